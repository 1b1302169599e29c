// What every part of workers/ stands on: the loop, the launcher, limits and the ears outside of
// this folder.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/event_loop.hpp"
#include "base/json.hpp"
#include "sandbox/idle_work.hpp"
#include "sandbox/worker_launcher.hpp"
#include "workers/crowding.hpp"
#include "workers/places.hpp"
#include "workers/printed.hpp"
#include "workers/starts.hpp"
#include "workers/target.hpp"

namespace cf::workers {

// An executor's words on a worker's end; both empty when it has nothing to add.
struct ExitWords {
    std::string message{};
    std::string hint{};
};

struct Options {
    uint32_t cores = 2;         // how many workers a short function spreads over
    uint32_t dispatchers = 1;   // share these cores; what follows is this one's part
    uint32_t maxWorkers = 256;  // prewarmed ones included
    uint64_t memoryBytes = 0;   // of all workers together; see Places. 0: no limit
    uint32_t prewarmed = 2;     // per runtime
    std::map<std::string, uint32_t> prewarmedOf{};  // runtimes with another number
    uint32_t queueSize = 1000;  // waiting invocations of one function
    std::chrono::milliseconds queueTimeout{30'000};
    // How long a version that is to be live waits for a place for its first worker.
    std::chrono::milliseconds preloadPatience{10'000};
    // How long an idle worker stays that a function of short calls has beyond the cores.
    std::chrono::milliseconds surplusKeepAlive{5000};
    uint32_t maxResponseBytes = 6u << 20;
    sandbox::Limits limits{};  // of every worker, but for memory
    double idleCores = 0;  // what an idle worker may compute for good; 0: as much as it likes

    // A line (or part of one) that a function printed. `invocationId` is empty outside of an
    // invocation.
    std::function<void(const Target&, std::string_view invocationId, Stream, std::string_view text)>
        onLog{};
    // Asks the executor of a worker's runtime to explain its end.
    std::function<ExitWords(const Target&, const sandbox::Ended&, std::string_view lastErrors)>
        explain{};
    // A runtime's prewarmed workers do not start (`why`), or do again (empty).
    std::function<void(const std::string& runtime, const std::string& why)> onRuntimeTrouble{};
    // How many processes want each core, at least 1; without it Linux is asked.
    std::function<double()> perCore{};
};

class Worker;

// Shared by reference; lives as long as the Dispatcher.
struct Context {
    base::EventLoop& loop;
    sandbox::WorkerLauncher& launcher;
    Options options;
    base::JsonValidator validator{};
    uint32_t workers = 0;   // alive or starting, of all kinds
    uint32_t starving = 0;  // pools with calls for which there is no place
    Places places{options.maxWorkers, options.memoryBytes};
    Starts starts{std::max<size_t>(1, size_t{2} * options.cores / options.dispatchers)};
    Crowding crowding{options.cores};
    sandbox::IdleBudget idleBudget{options.idleCores,
                                   options.cores / 8.0 / options.dispatchers};
    base::WallFromSteady wall{};
    std::vector<Worker*> unflushed{};  // have output for the end of this round
};

}  // namespace cf::workers
