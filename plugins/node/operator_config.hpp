// The operator's own configuration of npm: registry, tokens, proxies, certificates. Collected once
// by the probe from the surroundings in which the platform was started, and lent to npm while it
// fetches. Secret: never logged, never in an artifact, never seen by code of a package.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cloudfunction/executor.hpp"

namespace node_executor {

struct OperatorConfig {
    std::string userConfig;    // npmrc lines, variables replaced by their values
    std::string globalConfig;  // the same of the machine-wide file
    std::vector<std::pair<std::string, std::string>> environment;
    std::vector<std::string> files;  // certificates and keys that the above names

    std::string json() const;  // an object
    static OperatorConfig fromJson(std::string_view json);
};

// For the probe process: reads ~/.npmrc, the npmrc of the installation that `npm` (npm-cli.js)
// belongs to, and the environment.
OperatorConfig collectOperatorConfig(const std::string& npm);

// The part of `text`, an npmrc, that says where packages come from and how to get there. Nothing
// else of it is used: an operator's `prefix` or `script-shell` has no place in a build.
std::string connectionLines(std::string_view text);

// What counts of an npmrc that came with a function: its registries, and how versions are resolved.
// Nothing that could lead the operator's tokens elsewhere.
std::string userLines(std::string_view text);

// ${NAME} and ${NAME?} replaced by the environment of this process, ~/ by `home`.
std::string expanded(std::string_view text, const std::string& home);

}  // namespace node_executor
