#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sandbox/control_socket.hpp"
#include "sandbox/launcher_client.hpp"

namespace cf::sandbox {

namespace {

constexpr int launcherDescriptor = 3;
// It is ready in a fifth of a second; a machine that is out of breath takes its time.
constexpr timeval reportTimeout{.tv_sec = 30, .tv_usec = 0};

base::Failure unavailable(const std::string& detail) { return {"sandbox_unavailable", detail}; }

}  // namespace

base::Result<LauncherProcess> spawnLauncher(const LauncherOptions& options) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return unavailable(std::string("The launcher's socket could not be made: ") +
                           std::strerror(errno) + ".");
    base::UniqueFd control(pair[0]);
    // dup2 onto itself would keep O_CLOEXEC, so the other end must not be where it is to go.
    base::UniqueFd theirs(::fcntl(pair[1], F_DUPFD_CLOEXEC, launcherDescriptor + 1));
    ::close(pair[1]);

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), launcherDescriptor);
    ::posix_spawnattr_init(&attributes);
    // Its own session: the terminal's Ctrl-C is the kernel's to answer.
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    char name[] = "cloudfunction-launcher";
    char verb[] = "launcher";
    char* const arguments[] = {name, verb, nullptr};
    LauncherProcess process;
    const std::string program = options.launcher.empty() ? "/proc/self/exe" : options.launcher;
    const int error =
        ::posix_spawn(&process.pid, program.c_str(), &actions, &attributes, arguments, ::environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (error != 0)
        return unavailable("The launcher could not be started: " + program + ": " +
                           std::strerror(error) + ".");
    theirs.reset();

    ControlSocket socket(std::move(control));
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &reportTimeout, sizeof reportTimeout);
    socket.send(encode(options));
    Packet packet;
    const auto received = socket.receive(packet);
    const auto giveUp = [&](const std::string& detail) {
        socket.close();
        int status = 0;
        while (::waitpid(process.pid, &status, 0) < 0 && errno == EINTR) {
        }
        return unavailable(detail);
    };
    if (received != ControlSocket::Received::packet || packet.kind != MessageKind::layers)
        return giveUp(
            "The launcher did not report within 30 seconds what this machine can give to "
            "sandboxes.");
    process.layers = decodeLayers(packet);
    if (const auto tier = tierOf(process.layers); tier == "container" || tier == "bare")
        process.taskFolders = options.taskFolders;
    std::string missing;
    for (const Layer& layer : process.layers)
        if (!layer.active)
            missing += (missing.empty() ? "" : "; ") + layer.name + ": " + layer.detail;
    if (options.strict && !missing.empty())
        return giveUp("Layers of the sandbox are missing and sandbox.strict is set: " + missing +
                      ".");
    constexpr timeval noTimeout{0, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &noTimeout, sizeof noTimeout);
    ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
    process.control.reset(socket.release());
    return process;
}

}  // namespace cf::sandbox
