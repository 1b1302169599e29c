// Builds one version: runs the builder in the build sandbox and passes on what it says.
#pragma once

#include <string>

#include "cloudfunction/executor.hpp"
#include "toolset.hpp"

namespace go_executor {

// Leaves the program `main` in artifactDir. Throws Failed: CF_INVALID when the source is at fault (diagnostics were
// reported), CF_UNAVAILABLE without a toolchain, CF_CANCELLED, CF_FAILED. `registryTimeout`: seconds that module proxies
// may stay silent.
void build(const cloudfunction::Job& job, const cloudfunction::FunctionInfo& function, const Toolset& tools,
           unsigned registryTimeout, const std::string& sourceDir, const std::string& artifactDir);

}  // namespace go_executor
