// Process 1 of a sandbox: starts the program, reaps what it leaves behind, says how it ended, and
// ends with it; with process 1 Linux ends every process of the namespace. It stays in this code,
// holds no capability, and is not dumpable, so that the program, although the same user, cannot
// look into it or use its descriptors.
#include <fcntl.h>
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

volatile sig_atomic_t askedToEnd = 0;

void onTerminate(int) { askedToEnd = 1; }

}  // namespace

void runInit(const Launch& launch, const Setup& setup) {
    const bool ownPids = (launch.namespaces & CLONE_NEWPID) != 0;
    if (!ownPids) {
        ::setsid();
        setup.check(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "becoming the reaper of its children");
        struct sigaction action {};
        action.sa_handler = onTerminate;
        ::sigaction(SIGTERM, &action, nullptr);
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

    const int reports = ::fcntl(launch.machine.reportsOut.get(), F_DUPFD_CLOEXEC, 16);
    dropPrivileges(launch, setup);
    ::prctl(PR_SET_DUMPABLE, 0);
    // The end of the supervisor is the end of every task. Last, because changing users clears it.
    setup.check(::prctl(PR_SET_PDEATHSIG, ownPids ? SIGKILL : SIGTERM) == 0,
                "binding its life to the launcher's");
    setup.check(::write(sealed[1], "", 1) == 1, "starting the program");
    ::dup2(reports, 0);
    sys::closeRange(1, ~0u, 0);

    for (;;) {
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, 0);
        if (askedToEnd != 0) {
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
