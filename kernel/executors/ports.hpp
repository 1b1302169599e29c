// What executors/ needs from the rest of the platform, as interfaces: app/ implements them over the
// launcher and the workers, tests implement them with plain processes. All calls block; they come
// from build threads and the loading thread, several at once, never from an event loop.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.hpp"
#include "sandbox/launch_spec.hpp"

namespace cf::executors {

using Clock = std::chrono::steady_clock;

// Runs a program outside of any sandbox: how executors are probed
// (sandbox::LauncherClient::startProbe).
class ProcessRunner {
public:
    struct Outcome {
        int exitCode = -1;  // -1 when a signal ended it
        int signal = 0;
        bool timedOut = false;  // it was killed because `timeout` passed
        std::string
            output{};  // standard output, at most outputLimit bytes; the rest is read and dropped
        std::string errors{};  // end of standard error, at most 8 KB
    };
    static constexpr size_t outputLimit = 4u << 20;

    virtual ~ProcessRunner() = default;
    // `input` is given on standard input, which is then closed. Returns when the process ended,
    // even while a grandchild still holds its pipes. Failures: it could not be started.
    virtual base::Result<Outcome> run(const std::vector<std::string>& argv, std::string_view input,
                                      std::chrono::milliseconds timeout) = 0;
};

// Runs a build tool in the build sandbox (sandbox::LauncherClient::startTool).
class ToolRunner {
public:
    enum class Stream { output, errors };
    // Called on the thread that called run(), as bytes arrive.
    using Receive = std::function<void(Stream, std::string_view)>;
    // Asked about every 50 ms on that thread; true ends the tool.
    using Excess = std::function<bool()>;
    struct Outcome {
        sandbox::Ended ended{};
        bool timedOut = false;   // killed because `deadline` passed
        bool cancelled = false;  // killed because `*cancel` became true
        bool exceeded = false;   // killed because `excess` said so
    };

    virtual ~ToolRunner() = default;
    // Looks at `cancel` at least every 100 ms. The tool's whole tree is dead when it returns.
    // Failures: the sandbox or the program could not be started.
    virtual base::Result<Outcome> run(const sandbox::ToolSpec& spec, std::string_view input,
                                      const Receive& receive, Clock::time_point deadline,
                                      const std::atomic<bool>& cancel,
                                      const Excess& excess = {}) = 0;
};

// Has a prewarmed worker parse a source without running it (CHECK and CHECKED frames).
class SourceChecker {
public:
    virtual ~SourceChecker() = default;
    // Gives the remarks as the worker wrote them. Failures: no worker of this executor could be
    // asked in time.
    virtual base::Result<std::string> check(const std::string& executorId, std::string_view file,
                                            std::string_view source,
                                            Clock::time_point deadline) = 0;
};

}  // namespace cf::executors
