// From files in the executors folders to executors that work: copy, probe in a process of its own,
// load, create. Used by app/ at the start. Blocks for up to the probe's timeout; not on an event
// loop.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "executors/executor.hpp"
#include "executors/ports.hpp"

namespace cf::executors {

struct LoaderOptions {
    std::vector<std::string> folders{};  // searched in this order; property executors.folder
    std::string dataDir{};               // copies lie in <dataDir>/executors
    std::map<std::string, std::string>
        properties{};  // under "executor.", keys without that word ("lua.path")
    std::vector<std::string> probeCommand{};  // absolute program and "probe-executor"
    std::chrono::milliseconds probeTimeout{30'000};  // of one plugin; property executors.probe_timeout
};

class Loader {
public:
    // `runner` is used during loadAll only.
    Loader(LoaderOptions options, ProcessRunner& runner)
        : options_(std::move(options)), runner_(runner) {}

    // Every plugin in the folders, probed side by side, in the order of folders and names. Ones
    // that cannot be used are in the list too, with the reason. Of two that claim one id or runtime
    // name the first has it. Once per process.
    std::vector<std::shared_ptr<const Executor>> loadAll();

private:
    struct Candidate;
    void probe(Candidate& candidate, const std::string& copies) const;
    std::shared_ptr<const Executor> load(Candidate candidate) const;

    LoaderOptions options_;
    ProcessRunner& runner_;
};

}  // namespace cf::executors
