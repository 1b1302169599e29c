// Removes types, and turns import/export into require/exports, with esbuild in the build sandbox.
#pragma once

#include <string>
#include <string_view>

#include "cloudfunction/executor.hpp"

namespace node_executor {

// Transforms single files: nothing is resolved or bundled, so that files stay files. Belongs to one
// build.
class Esbuild {
public:
    // `program` may be empty; transform() then fails with CF_UNAVAILABLE and says what to install.
    // `target` is a version of Node.js, "18.19.0".
    Esbuild(const cloudfunction::Job& job, std::string program, std::string target);

    // CommonJS for Node.js with an inline source map at its end. Its remarks are reported to the
    // job; throws Failed(CF_INVALID) when one of them is an error.
    std::string transform(std::string_view file, std::string_view source);

private:
    const cloudfunction::Job& job_;
    std::string program_;
    std::string target_;
    bool mounted_ = false;
};

// What esbuild prints: "✘ [ERROR] message", then "    file:line:column:" with columns from 0.
cloudfunction::Remarks parseEsbuildOutput(std::string_view text);

}  // namespace node_executor
