// The process tree behind the control socket. `cloudfunction launcher` is the supervisor: it does
// nothing but hold the socket, keep a launcher running, and reap. Every sandbox is its child, so
// launchers may die and sandboxes live on, no end is lost, and the end of the supervisor ends them
// all (prctl(2), PR_SET_PDEATHSIG).
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "base/log.hpp"
#include "sandbox/control_socket.hpp"
#include "sandbox/files.hpp"
#include "sandbox/launcher.hpp"
#include "sandbox/machine.hpp"
#include "sandbox/router.hpp"
#include "sandbox/trees.hpp"
#include "sandbox/user_namespace.hpp"

namespace cf::sandbox {

namespace {

using namespace std::chrono_literals;

// A launcher that keeps dying must not eat a processor.
constexpr auto restartPause = 50ms;

void prepareProcess() {
    ::prctl(PR_SET_NAME, "cf-supervisor");
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    // The kernel decides when to end, by closing its socket; a service manager signals everybody.
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
}

void killChildren() {
    for (;;) {
        for (const auto& child : words(readFile("/proc/thread-self/children"))) {
            const long pid = std::strtol(child.c_str(), nullptr, 10);
            if (pid > 1) ::kill(static_cast<pid_t>(pid), SIGKILL);
        }
        if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
    }
}

pid_t forkLauncher(const Machine& machine, int control, bool restarted) {
    const pid_t supervisor = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(runLauncher(machine, base::UniqueFd(control), supervisor, restarted));
    return pid;
}

// Runs launchers until one ends by itself: the kernel is gone.
void supervise(const Machine& machine, int control) {
    pid_t launcher = forkLauncher(machine, control, false);
    for (;;) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, 0);
        if (pid < 0 && errno != EINTR) return;
        if (pid < 0) continue;
        if (pid != launcher) {
            const Report report{0, pid, status};
            [[maybe_unused]] const ssize_t put =
                ::write(machine.reportsOut.get(), &report, sizeof report);
            continue;
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
        base::logError(
            "sandbox",
            "The launcher ended unexpectedly and is started again; running workers go on.");
        std::this_thread::sleep_for(restartPause);
        launcher = forkLauncher(machine, control, true);
    }
}

}  // namespace

int launcherMain(int control) {
    prepareProcess();
    if (::geteuid() != 0 && !inOwnUserNamespace()) enterUserNamespace(control);
    const base::UniqueFd keep(control);
    ::fcntl(control, F_SETFD, FD_CLOEXEC);
    ControlSocket socket{base::UniqueFd(::fcntl(control, F_DUPFD_CLOEXEC, 4))};
    Packet first;
    if (socket.receive(first) != ControlSocket::Received::packet) return 1;
    const auto options = decodeOptions(first);
    if (!options) return 1;

    Machine machine = prepareMachine(*options, {::getppid(), ::getpid()});
    const std::vector<Layer> layers = testLayers(machine);
    bool complete = true;
    for (const Layer& layer : layers) complete = complete && layer.active;
    const bool refuse = options->strict && !complete;
    socket.send(encode(layers, refuse));
    socket.close();
    if (!refuse) supervise(machine, control);

    killChildren();
    for (int tries = 0; !machine.cgroups.sweep([](TaskId) { return false; }) && tries < 100;
         ++tries)
        std::this_thread::sleep_for(5ms);
    machine.cgroups.removeSelf();
    if (machine.router) machine.router->restore();
    removeTree(machine.options.taskFolders);
    return 0;
}

}  // namespace cf::sandbox
