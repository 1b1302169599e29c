#include "app/child_processes.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace cf::app {

using namespace std::chrono_literals;
using executors::Clock;

namespace {
constexpr auto lookInterval = 50ms;      // how often cancellation and the end are looked at
// After the kill: hundreds of processes die slowly on a machine that is out of breath, and only when they
// are dead their files are the platform's again.
constexpr auto endPatience = 60s;
constexpr size_t keptErrors = 8 * 1024;
}  // namespace

// What the loop thread tells the waiting thread. Shared, because either may be gone first.
struct ChildProcesses::Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<base::Result<sandbox::LauncherClient::Tool>> started;
    std::optional<sandbox::Ended> ended;
    bool givenUp = false;  // nobody waits any more

    // False: it is not wanted any more.
    bool onStarted(base::Result<sandbox::LauncherClient::Tool> tool) {
        const std::lock_guard lock(mutex);
        if (givenUp) return false;
        started.emplace(std::move(tool));
        changed.notify_all();
        return true;
    }
    void onEnded(const sandbox::Ended& end) {
        const std::lock_guard lock(mutex);
        ended = end;
        changed.notify_all();
    }
};

sandbox::LauncherClient::ToolCallback ChildProcesses::started(const std::shared_ptr<Shared>& shared) {
    return [shared, &launcher = launcher_](base::Result<sandbox::LauncherClient::Tool> tool) {
        const sandbox::TaskId task = tool ? tool->task : 0;
        if (!shared->onStarted(std::move(tool)) && task != 0) launcher.kill(task);
    };
}

sandbox::LauncherClient::EndedCallback ChildProcesses::ended(const std::shared_ptr<Shared>& shared) {
    return [shared](const sandbox::Ended& end) { shared->onEnded(end); };
}

base::Result<ChildProcesses::Verdict> ChildProcesses::drive(const std::shared_ptr<Shared>& shared, std::string_view input, const Receive& receive,
                                                            Clock::time_point deadline, const std::atomic<bool>& cancel,
                                                            const Excess& excess) {
    {
        std::unique_lock lock(shared->mutex);
        shared->givenUp = !shared->changed.wait_for(lock, startPatience_, [&] { return shared->started.has_value(); });
        if (shared->givenUp)
            return base::Failure{.reason = "sandbox_failed", .detail = "the launcher did not start the program in time"};
        if (!*shared->started) return std::move(*shared->started).failure();
    }
    sandbox::LauncherClient::Tool tool = std::move(**shared->started);
    for (const int fd : {tool.input.get(), tool.output.get(), tool.errors.get()})
        if (fd >= 0) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (input.empty()) tool.input.reset();

    Verdict verdict;
    bool killed = false;
    Clock::time_point giveUp = Clock::time_point::max();
    std::string buffer(64 * 1024, '\0');
    const auto drain = [&](base::UniqueFd& fd, executors::ToolRunner::Stream stream) {
        while (fd) {
            const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
            if (got > 0) receive(stream, std::string_view(buffer.data(), static_cast<size_t>(got)));
            else if (got == 0) fd.reset();
            else if (errno != EINTR) return;
        }
    };
    for (;;) {
        bool ended = false;
        {
            const std::lock_guard lock(shared->mutex);
            ended = shared->ended.has_value();
        }
        if (ended || (!tool.output && !tool.errors)) {
            // Its end is known, or both pipes are closed: what is left in them is all there is.
            drain(tool.output, executors::ToolRunner::Stream::output);
            drain(tool.errors, executors::ToolRunner::Stream::errors);
            if (ended) break;
        }
        const auto now = Clock::now();
        const bool exceeded = !killed && excess && excess();
        if (!killed && (now >= deadline || cancel || exceeded)) {
            verdict.cancelled = cancel;
            verdict.exceeded = !verdict.cancelled && exceeded;
            verdict.timedOut = !verdict.cancelled && !exceeded;
            killed = true;
            giveUp = now + endPatience;
            loop_.post([this, task = tool.task] { launcher_.kill(task); });
        }
        if (now >= giveUp) return base::Failure{.reason = "sandbox_failed", .detail = "the program could not be ended"};
        pollfd fds[3] = {{tool.input.get(), POLLOUT, 0}, {tool.output.get(), POLLIN, 0}, {tool.errors.get(), POLLIN, 0}};
        if (!tool.output && !tool.errors) {
            std::unique_lock lock(shared->mutex);
            shared->changed.wait_for(lock, lookInterval, [&] { return shared->ended.has_value(); });
            continue;
        }
        ::poll(fds, 3, static_cast<int>(std::chrono::milliseconds(lookInterval).count()));
        if (tool.input && fds[0].revents != 0) {
            const ssize_t put = ::write(tool.input.get(), input.data(), input.size());
            if (put > 0) input.remove_prefix(static_cast<size_t>(put));
            if (input.empty() || (put < 0 && errno != EAGAIN && errno != EINTR)) tool.input.reset();
        }
        drain(tool.output, executors::ToolRunner::Stream::output);
        drain(tool.errors, executors::ToolRunner::Stream::errors);
    }
    verdict.ended = *shared->ended;
    if (!killed && verdict.ended.exitCode < 0 && verdict.ended.signal == 0)
        return base::Failure{.reason = "sandbox_failed",
                             .detail = "the launcher is gone and took the program with it",
                             .hint = "restart the platform and try again"};
    return verdict;
}

base::Result<executors::ProcessRunner::Outcome> ChildProcesses::run(const std::vector<std::string>& argv, std::string_view input,
                                                                    std::chrono::milliseconds timeout) {
    auto shared = std::make_shared<Shared>();
    loop_.post([this, shared, argv, timeout] {
        launcher_.startProbe(argv, timeout + 1s, started(shared), ended(shared));
    });
    ProcessRunner::Outcome outcome;
    const auto receive = [&](Stream stream, std::string_view bytes) {
        if (stream == Stream::output) {
            outcome.output.append(bytes.substr(0, outputLimit - std::min(outputLimit, outcome.output.size())));
        } else {
            outcome.errors.append(bytes);
            if (outcome.errors.size() > keptErrors) outcome.errors.erase(0, outcome.errors.size() - keptErrors);
        }
    };
    static const std::atomic<bool> never{false};
    auto verdict = drive(shared, input, receive, Clock::now() + timeout, never, {});
    if (!verdict) return std::move(verdict).failure();
    outcome.exitCode = verdict->ended.exitCode;
    outcome.signal = verdict->ended.signal;
    outcome.timedOut = verdict->timedOut;
    return outcome;
}

base::Result<executors::ToolRunner::Outcome> ChildProcesses::run(const sandbox::ToolSpec& spec, std::string_view input, const Receive& receive,
                                                                 Clock::time_point deadline, const std::atomic<bool>& cancel,
                                                                 const Excess& excess) {
    auto shared = std::make_shared<Shared>();
    loop_.post([this, shared, spec] {
        launcher_.startTool(spec, started(shared), ended(shared));
    });
    auto verdict = drive(shared, input, receive, deadline, cancel, excess);
    if (!verdict) return std::move(verdict).failure();
    return ToolRunner::Outcome{.ended = verdict->ended, .timedOut = verdict->timedOut, .cancelled = verdict->cancelled, .exceeded = verdict->exceeded};
}

}  // namespace cf::app
