// What npm says when it fails, in words for the author of a function.
#pragma once

#include <string>
#include <string_view>

#include "cloudfunction/executor.hpp"

namespace node_executor {

// A failed run of npm, explained.
struct NpmProblem {
    std::string code;     // npm's own: "E404", "ETARGET", ...; empty: it gave none
    std::string package;  // the one it is about, where npm says so
    std::string message;
    std::string hint;
    // 1: what the user sent is at fault, 0: something else (network, registry, disk).
    bool users = false;
    // True when the registry could not be reached at all.
    bool unreachable = false;
};

// `errors`: npm's standard error. `lock`: what it installed, to name packages by their checksum.
NpmProblem readNpmProblem(std::string_view errors, std::string_view lock);

// The same for install scripts that failed, `errors` being npm's standard error and `output` what
// the scripts printed.
NpmProblem readScriptProblem(std::string_view errors, std::string_view output, bool hadNetwork);

}  // namespace node_executor
