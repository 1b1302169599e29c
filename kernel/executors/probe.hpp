// Probing a plugin in a throw-away process: the parent's side (probePlugin) and what that process
// runs (probeMain). A plugin that crashes, hangs or lies there is reported as unavailable; it never
// comes near the kernel.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "executors/ports.hpp"
#include "executors/report.hpp"

namespace cf::executors {

struct ProbeRequest {
    std::string library{};                            // the copy to load
    std::string homeParent{};                         // the folder where the original lies
    std::map<std::string, std::string> properties{};  // under "executor.", keys without that word
};

// Runs `command` + {library, homeParent} with the properties as JSON on standard input. Blocks up
// to `timeout`. Always gives a report; `unavailable` is set when the plugin cannot be used.
ProbeReport probePlugin(ProcessRunner& runner, std::vector<std::string> command,
                        const ProbeRequest& request, std::chrono::milliseconds timeout);

// `cloudfunction probe-executor <library> <home parent>`: loads the library with all its symbols
// bound, checks and asks it, and writes report lines to standard output, where nothing that the
// plugin prints can get in between. `arguments` begin behind "probe-executor". Does not return:
// destructors of a plugin that was only looked at are not to run.
[[noreturn]] void probeMain(const std::vector<std::string>& arguments);

}  // namespace cf::executors
