// Removes types, and turns import/export into require/exports, with esbuild in the build sandbox.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cloudfunction/executor.hpp"

namespace node_executor {

// What a bundle became of.
struct Bundle {
    std::string code;
    std::set<std::string> files;  // that are in it, as the user named them
};

// Belongs to one build.
class Esbuild {
public:
    // `program` may be empty; transform() then fails with CF_UNAVAILABLE and says what to install.
    // `target` is a version of Node.js, "18.19.0".
    Esbuild(const cloudfunction::Job& job, std::string program, std::string target);

    // A single file: nothing is resolved or bundled, so that files stay files; import() finds them.
    // CommonJS for Node.js with an inline source map at its end. Its remarks are reported to the
    // job; throws Failed(CF_INVALID) when one of them is an error.
    std::string transform(std::string_view file, std::string_view source);

    // The entry and what it imports, as tsconfig.json has it, in one file of the same kind.
    // Packages named in `packages` stay imports; any other that is missing is an error at its
    // place. `line` is read behind the entry's last one, which is a file in `folder`; it may set
    // `variable`, which belongs to the whole bundle.
    Bundle bundle(const std::string& folder, const cloudfunction::File& entry,
                  const std::vector<std::string>& packages, const std::string& line,
                  const std::string& variable);

private:
    // `file` is named in errors that have no place of their own.
    cloudfunction::ToolRun run(std::string_view file, cloudfunction::Tool tool);
    std::string codeOf(std::string_view file, cloudfunction::ToolRun run);

    const cloudfunction::Job& job_;
    std::string program_;
    std::string target_;
    bool mounted_ = false;
};

// What esbuild prints: "✘ [ERROR] message", then "    file:line:column:" with columns from 0.
cloudfunction::Remarks parseEsbuildOutput(std::string_view text);

}  // namespace node_executor
