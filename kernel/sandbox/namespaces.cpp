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

pid_t cloneIntoNamespaces(uint64_t namespaces, bool sibling, int cgroup, base::UniqueFd& pidfd,
                          bool& inCgroup) {
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
    const uint64_t flags = arguments.flags;
    inCgroup = cgroup >= 0;
    if (inCgroup) {
        arguments.flags |= sys::cloneIntoCgroup;
        arguments.cgroup = static_cast<uint64_t>(cgroup);
    }
    pid_t pid = sys::clone3(arguments);
    // Linux before 5.7 does not know the flag; a group may be one that takes nobody who is born in
    // it. What is wrong all the same is said by the attempt to join.
    if (pid < 0 && inCgroup && errno != EAGAIN && errno != ENOMEM) {
        inCgroup = false;
        arguments.flags = flags;
        arguments.cgroup = 0;
        pid = sys::clone3(arguments);
    }
    // Container engines refuse clone3, whose arguments their filter cannot see.
    if (pid < 0 && errno == ENOSYS) pid = sys::clone(arguments.flags | arguments.exitSignal, fd);
    if (pid > 0) pidfd.reset(fd);
    return pid;
}

void joinCgroup(const Launch& launch, const Setup& setup, bool inCgroup) {
    const auto join = [&](const base::UniqueFd& list) {
        setup.check(list && ::write(list.get(), "0", 1) == 1, "joining its control groups");
    };
    if (!inCgroup && launch.cgroup.birthplace() >= 0) join(launch.cgroup.joinV2());
    for (const auto& tasks : launch.cgroup.joinV1()) join(tasks);
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
