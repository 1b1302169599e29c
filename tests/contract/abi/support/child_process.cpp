#include "child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstring>

#include "base/unique_fd.hpp"

extern char** environ;

namespace cf::test {

namespace {

using executors::Clock;

struct Request {
    std::vector<std::string> argv{};
    const sandbox::Environment* environment = nullptr;  // null: inherited
    std::string_view input{};
    std::function<void(bool isErrors, std::string_view)> receive{};
    Clock::time_point deadline{};
    const std::atomic<bool>* cancel = nullptr;
    executors::ToolRunner::Excess excess{};
};

struct End {
    int status = 0;
    bool timedOut = false;
    bool cancelled = false;
    bool exceeded = false;
};

struct Pipe {
    base::UniqueFd read{}, write{};
};

Pipe makePipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::bad_alloc();
    return {base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

base::Result<End> runChild(const Request& request) {
    Pipe in = makePipe(), out = makePipe(), err = makePipe();
    std::vector<char*> argv, environment;
    for (const auto& one : request.argv) argv.push_back(const_cast<char*>(one.c_str()));
    argv.push_back(nullptr);
    std::vector<std::string> variables;
    if (request.environment != nullptr)
        for (const auto& [name, value] : *request.environment)
            variables.push_back(name + "=" + value);
    for (auto& one : variables) environment.push_back(one.data());
    environment.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, in.read.get(), 0);
    posix_spawn_file_actions_adddup2(&actions, out.write.get(), 1);
    posix_spawn_file_actions_adddup2(&actions, err.write.get(), 2);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    pid_t pid = -1;
    const int failed = ::posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(),
                                     request.environment != nullptr ? environment.data() : environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed != 0)
        return base::Failure{.reason = "sandbox_failed",
                             .detail = request.argv[0] + ": " + std::strerror(failed)};
    in.read.reset();
    out.write.reset();
    err.write.reset();
    // Inputs of these tests are smaller than a pipe, so this never waits.
    [[maybe_unused]] const ssize_t put =
        ::write(in.write.get(), request.input.data(), request.input.size());
    in.write.reset();

    End end;
    bool ended = false;
    char piece[65536];
    for (pollfd fds[2] = {{out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}};
         !ended || fds[0].fd >= 0 || fds[1].fd >= 0;) {
        ::poll(fds, 2, ended ? 0 : 10);
        bool moved = false;
        for (int i = 0; i < 2; ++i) {
            if (fds[i].fd < 0 || fds[i].revents == 0) continue;
            const ssize_t got = ::read(fds[i].fd, piece, sizeof piece);
            if (got <= 0)
                fds[i].fd = -1;
            else {
                moved = true;
                request.receive(i == 1, {piece, static_cast<size_t>(got)});
            }
        }
        if (ended && !moved) break;
        if (!ended && ::waitpid(pid, &end.status, WNOHANG) == pid) ended = true;
        if (ended) continue;
        end.cancelled = end.cancelled || (request.cancel != nullptr && request.cancel->load());
        end.timedOut = end.timedOut || Clock::now() >= request.deadline;
        end.exceeded = end.exceeded || (request.excess && request.excess());
        if (end.cancelled || end.timedOut || end.exceeded) ::kill(-pid, SIGKILL);
    }
    return end;
}

int exitCodeOf(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
int signalOf(int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }

}  // namespace

base::Result<executors::ProcessRunner::Outcome> PlainProcessRunner::run(
    const std::vector<std::string>& argv, std::string_view input,
    std::chrono::milliseconds timeout) {
    Outcome outcome;
    auto end = runChild({argv, nullptr, input,
                         [&](bool isErrors, std::string_view bytes) {
                             (isErrors ? outcome.errors : outcome.output).append(bytes);
                         },
                         Clock::now() + timeout, nullptr, {}});
    if (!end) return std::move(end).failure();
    outcome.exitCode = exitCodeOf(end->status);
    outcome.signal = signalOf(end->status);
    outcome.timedOut = end->timedOut;
    return outcome;
}

base::Result<executors::ToolRunner::Outcome> PlainToolRunner::run(const sandbox::ToolSpec& spec,
                                                                  std::string_view input,
                                                                  const Receive& receive,
                                                                  Clock::time_point deadline,
                                                                  const std::atomic<bool>& cancel,
                                                                  const Excess& excess) {
    last = spec;
    ++runs;
    auto end = runChild({spec.argv, &spec.environment, input,
                         [&](bool isErrors, std::string_view bytes) {
                             receive(isErrors ? Stream::errors : Stream::output, bytes);
                         },
                         deadline, &cancel, excess});
    if (!end) return std::move(end).failure();
    return Outcome{{exitCodeOf(end->status), signalOf(end->status), false, 0},
                   end->timedOut,
                   end->cancelled,
                   end->exceeded};
}

}  // namespace cf::test
