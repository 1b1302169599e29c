// Bytecode for functions of many sources. Every worker of a version imports the same files, and an
// interpreter that may not write beside them compiles them each time: 0.12 ms for each KB.
#pragma once

#include <cloudfunction/executor.hpp>
#include <cstddef>
#include <string>

#include "probe.hpp"

namespace cf::python {

// From here on a start compiles for 15 ms or more; the tool takes 23 ms once, besides compiling.
inline constexpr size_t worthPrecompiling = 128 * 1024;

// Writes the bytecode of the function's own sources into the artifact when they are that large.
// Used by prepare(), before anything of the operator's that packages need is among the job's
// mounts: a parser is attack surface. Without the bytecode a function is slower to start and
// otherwise the same, so what goes wrong is a line in the build log. Throws Failed(CF_CANCELLED).
void precompile(const cloudfunction::Host& host, const Interpreter& interpreter,
                const cloudfunction::Job& job, const cloudfunction::FunctionInfo& function,
                const std::string& sourceDir, const std::string& artifactDir);

}  // namespace cf::python
