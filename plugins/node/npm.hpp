// Runs npm in the build sandbox: with the network and the operator's configuration where it only
// fetches, without either where it runs code of the packages that it fetched.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cloudfunction/executor.hpp"
#include "toolchain.hpp"

namespace node_executor {

// A registry did not answer: the function does not build, unless an older lock helps.
struct Unreachable : cloudfunction::Failed {
    using Failed::Failed;
};

// Belongs to one build. Its files lie in the job's scratch folder.
class Npm {
public:
    // `userConfig`: what counts of the .npmrc that came with the function. `registryTimeout`:
    // seconds that a registry may stay silent.
    Npm(const cloudfunction::Job& job, const Toolchain& toolchain, std::string userConfig,
        unsigned registryTimeout);

    // A lock for `packageJson`. Throws Failed when npm finds none; its remarks are reported.
    std::string resolve(std::string_view packageJson);
    // Fills `directory`/node_modules with what `lock` names. No script runs.
    void install(const std::string& directory, std::string_view packageJson,
                 const std::string& lockName, std::string_view lock);
    // Runs the install scripts of `packages` (empty: of all) below `directory`. No fetching tool
    // may run after it: what these scripts did to the folders that they may write is unknown.
    cloudfunction::ToolRun runScripts(const std::string& directory,
                                      const std::vector<std::string>& packages, bool network);
    // Takes away whatever the scripts must not see.
    void forget();

private:
    cloudfunction::Tool command(const std::vector<std::string>& arguments,
                                const std::string& directory) const;
    cloudfunction::ToolRun fetch(const std::vector<std::string>& arguments,
                                 const std::string& directory);
    void prepareFolders();

    const cloudfunction::Job& job_;
    const Toolchain& toolchain_;
    std::string userConfig_;
    unsigned registryTimeout_;
    std::string folder_;  // below the scratch folder; empty until it is needed
};

}  // namespace node_executor
