// Blocking use of the launcher from threads that are not its loop: runs probes and build tools, feeds their input,
// collects their output, ends them at their deadline.
#pragma once

#include "base/event_loop.hpp"
#include "executors/ports.hpp"
#include "sandbox/launcher_client.hpp"

namespace cf::app {

class ChildProcesses final : public executors::ProcessRunner, public executors::ToolRunner {
public:
    // Loop and launcher outlive it; the loop must be running while run() is called. A program that has not started after
    // `startPatience` is given up, and ended should it start later.
    ChildProcesses(base::EventLoop& loop, sandbox::LauncherClient& launcher, std::chrono::milliseconds startPatience = std::chrono::seconds(10))
        : loop_(loop), launcher_(launcher), startPatience_(startPatience) {}

    base::Result<ProcessRunner::Outcome> run(const std::vector<std::string>& argv, std::string_view input, std::chrono::milliseconds timeout) override;
    base::Result<ToolRunner::Outcome> run(const sandbox::ToolSpec& spec, std::string_view input, const Receive& receive,
                                          executors::Clock::time_point deadline, const std::atomic<bool>& cancel, const Excess& excess = {}) override;

private:
    struct Shared;
    // For the launcher's client, which calls them on the loop's thread.
    sandbox::LauncherClient::ToolCallback started(const std::shared_ptr<Shared>& shared);
    static sandbox::LauncherClient::EndedCallback ended(const std::shared_ptr<Shared>& shared);
    struct Verdict {
        sandbox::Ended ended{};
        bool timedOut = false;
        bool cancelled = false;
        bool exceeded = false;
    };
    base::Result<Verdict> drive(const std::shared_ptr<Shared>& shared, std::string_view input, const Receive& receive,
                                executors::Clock::time_point deadline, const std::atomic<bool>& cancel, const Excess& excess);

    base::EventLoop& loop_;
    sandbox::LauncherClient& launcher_;
    const std::chrono::milliseconds startPatience_;
};

}  // namespace cf::app
