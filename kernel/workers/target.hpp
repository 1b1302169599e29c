// What workers run: one built version of a function with its settings, as the invocation path needs
// it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/launch_spec.hpp"

namespace cf::workers {

// How a worker of some runtime is started; made by the runtime's executor.
struct LaunchPlan {
    sandbox::WorkerSpec spec{};  // limits and network are filled in by this folder
    uint32_t concurrency = 1;    // the most invocations that one worker can take at once
    bool checks = false;         // answers CHECK frames
    bool notPrewarmed = false;   // needs a worker of its own from the start
    bool operator==(const LaunchPlan&) const = default;
};

// Immutable and shared: a change of settings makes a new Target of the same version.
struct Target {
    std::string functionId{};
    std::string functionName{};
    uint64_t version = 0;
    std::string runtime{};  // key of the prewarmed pool: the executor's id
    std::string artifactDir{};
    std::vector<std::string> layers{};  // folders of the dependency layers its artifact links to
    sandbox::NetworkPolicy network{};
    std::string handler{};
    sandbox::Environment environment{};
    uint32_t memoryMb = 128;
    uint32_t concurrency = 1;
    uint32_t minWorkers = 0;
    uint32_t maxWorkers = 0;  // 0: as many as the platform allows
    std::chrono::milliseconds timeout{30'000};
    std::chrono::milliseconds initTimeout{10'000};
    std::chrono::seconds keepAlive{600};
    std::shared_ptr<const LaunchPlan> plan = std::make_shared<const LaunchPlan>();  // never null
};

using TargetPtr = std::shared_ptr<const Target>;

}  // namespace cf::workers
