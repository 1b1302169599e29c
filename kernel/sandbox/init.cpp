// Process 1 of a sandbox: starts the program, reaps what it leaves behind, says how it ended, and
// ends with it; with process 1 Linux ends every process of the namespace. It stays in this code,
// holds no capability, and is not dumpable, so that the program, although the same user, cannot
// look into it or use its descriptors.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "sandbox/files.hpp"
#include "sandbox/recipe.hpp"
#include "sandbox/syscalls.hpp"

namespace cf::sandbox {

namespace {

// Without a pid namespace this process stands in for one: it is the subreaper of everything below
// it, and killing it politely (SIGTERM) makes it kill everything below it first.
void killDescendants() {
    for (;;) {
        const auto children = words(readFile("/proc/thread-self/children"));
        for (const auto& child : children) {
            const long pid = std::strtol(child.c_str(), nullptr, 10);
            if (pid > 1) ::kill(static_cast<pid_t>(pid), SIGKILL);
        }
        // Children of the killed come to this process and show up in the next round.
        if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
    }
}

// Without a pid namespace: SIGTERM, which may come once only (from Linux, when the supervisor
// ends), and the ends of children. Blocked, so that none comes between a look and the wait.
sigset_t signalsOfInit() {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigaddset(&signals, SIGCHLD);
    return signals;
}

bool isAskedToEnd() {
    sigset_t pending;
    return ::sigpending(&pending) == 0 && ::sigismember(&pending, SIGTERM) == 1;
}

}  // namespace

void bindToSupervisor(const Launch& launch, const Setup& setup) {
    const bool ownPids = (launch.namespaces & CLONE_NEWPID) != 0;
    setup.check(::prctl(PR_SET_PDEATHSIG, ownPids ? SIGKILL : SIGTERM) == 0,
                "binding its life to the launcher's");
    // Linux tells of an end that comes, not of one that was.
    pollfd supervisor{launch.machine.supervisor.get(), POLLIN, 0};
    if (::poll(&supervisor, 1, 0) != 0) ::_exit(127);
}

void runInit(const Launch& launch, const Setup& setup) {
    const bool ownPids = (launch.namespaces & CLONE_NEWPID) != 0;
    if (!ownPids) {
        ::setsid();
        setup.check(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "becoming the reaper of its children");
    }
    // The program waits until this process is sealed: it must not get a look at it before.
    int sealed[2];
    setup.check(::pipe2(sealed, O_CLOEXEC) == 0, "making a pipe");
    const pid_t program = ::fork();
    setup.check(program >= 0, "starting the program");
    if (program == 0) {
        ::close(sealed[1]);
        runProgram(launch, setup, sealed[0]);
    }
    const sigset_t signals = signalsOfInit();
    if (!ownPids) ::sigprocmask(SIG_BLOCK, &signals, nullptr);

    const int reports = ::fcntl(launch.machine.reportsOut.get(), F_DUPFD_CLOEXEC, 16);
    dropPrivileges(launch, setup);
    ::prctl(PR_SET_DUMPABLE, 0);
    bindToSupervisor(launch, setup);
    setup.check(::write(sealed[1], "", 1) == 1, "starting the program");
    ::dup2(reports, 0);
    sys::closeRange(1, ~0u, 0);

    for (;;) {
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, ownPids ? 0 : WNOHANG);
        if (!ownPids &&
            (isAskedToEnd() || (ended == 0 && ::sigwaitinfo(&signals, nullptr) == SIGTERM))) {
            killDescendants();
            ::_exit(128 + SIGKILL);
        }
        if (ended != program) continue;
        const Report report{launch.request.task, 0, status};
        [[maybe_unused]] const ssize_t put = ::write(0, &report, sizeof report);
        if (!ownPids) killDescendants();
        ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
}

}  // namespace cf::sandbox
