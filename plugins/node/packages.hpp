// The packages of a function: which there are, and how they get below node_modules.
#pragma once

#include <string>
#include <vector>

#include "cloudfunction/executor.hpp"
#include "toolchain.hpp"

namespace node_executor {

// How packages may be installed; the properties executor.node.*.
struct PackageRules {
    bool scripts = true;  // install_scripts: run what packages want to run when installed
    bool scriptsNetwork =
        false;  // install_scripts_network: let these scripts reach what builds may
    unsigned registryTimeout = 30;  // registry_timeout: seconds that a registry may stay silent
};

// What a function's own code finds.
struct Packages {
    std::string link;                // where node_modules has to point; empty: no link
    std::vector<std::string> names;  // importable by name
};

// Finds out what `function` asks for and has npm install it into a dependency layer, or finds the
// layer of an earlier build. No process is started when nothing is asked for, when the packages lie
// under files, or when lock and layer are there. Reports to `job` and throws Failed. `artifactDir`
// is closed to tools from then on: scripts of packages must not write into it.
Packages providePackages(const cloudfunction::Job& job, const cloudfunction::FunctionInfo& function,
                         const Toolchain& toolchain, const PackageRules& rules,
                         const std::string& artifactDir);

}  // namespace node_executor
