// Turns the files of a version into an artifact that the worker loads.
#pragma once

#include <string>

#include "cloudfunction/executor.hpp"
#include "packages.hpp"
#include "toolchain.hpp"

namespace node_executor {

// The operation `prepare`. JavaScript is parsed by a warm worker and copied; no process is started.
// With a file that needs compiling (TypeScript, JSX) every module goes through esbuild and becomes
// CommonJS under its own name; with a tsconfig.json, whose settings only esbuild understands, the
// entry and all that it imports become one file. Packages that package.json asks for are installed
// before anything is written. Reports what is wrong to `job` and throws Failed.
void build(const cloudfunction::Job& job, const cloudfunction::FunctionInfo& function,
           const Toolchain& toolchain, const PackageRules& rules, const std::string& sourceDir,
           const std::string& artifactDir);

}  // namespace node_executor
