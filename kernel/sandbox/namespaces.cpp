// Step 1: a process in namespaces of its own (namespaces(7), clone(2)).
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "sandbox/recipe.hpp"
#include "sandbox/syscalls.hpp"

namespace cf::sandbox {

pid_t cloneIntoNamespaces(uint64_t namespaces, bool sibling, base::UniqueFd& pidfd) {
    int fd = -1;
    sys::CloneArguments arguments;
    // The cgroup namespace comes after the groups have been joined: its root is the group of that
    // moment.
    arguments.flags = (namespaces & ~static_cast<uint64_t>(CLONE_NEWCGROUP)) | CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<uintptr_t>(&fd);
    // With CLONE_PARENT the kernel takes the caller's own exit signal and wants 0 here.
    if (sibling)
        arguments.flags |= CLONE_PARENT;
    else
        arguments.exitSignal = SIGCHLD;
    pid_t pid = sys::clone3(arguments);
    // Container engines refuse clone3, whose arguments their filter cannot see.
    if (pid < 0 && errno == ENOSYS) pid = sys::clone(arguments.flags | arguments.exitSignal, fd);
    if (pid > 0) pidfd.reset(fd);
    return pid;
}

void joinCgroup(const Launch& launch, const Setup& setup) {
    for (const auto& procs : launch.cgroup.join())
        setup.check(::write(procs.get(), "0", 1) == 1, "joining its control groups");
    if ((launch.namespaces & CLONE_NEWCGROUP) != 0)
        setup.check(::unshare(CLONE_NEWCGROUP) == 0, "making a cgroup namespace");
}

void nameHost(const Launch& launch, const Setup& setup) {
    if ((launch.namespaces & CLONE_NEWUTS) == 0) return;
    constexpr std::string_view name = "function";
    setup.check(::sethostname(name.data(), name.size()) == 0, "setting its host name");
    setup.check(::setdomainname("", 0) == 0, "setting its domain name");
}

}  // namespace cf::sandbox
