// Step 5a: limits of one process (getrlimit(2)). Memory, processes and CPU are the control group's
// business.
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/recipe.hpp"

namespace cf::sandbox {

namespace {

// Locked memory counts against the group's memory too; this keeps a little for runtimes that lock a
// page of secrets.
constexpr rlim_t lockedBytes = 64 * 1024;
constexpr rlim_t pendingSignals = 1024;
// 0 stops files only; with 1 Linux does not start the machine's handler of core dumps either
// (core(5)), and no dump is that small.
constexpr rlim_t noCoreDump = 1;
constexpr int tenTimesLess = 10;  // nice values; each is a factor of 1.25 (sched(7))
// Without a process controller, and with one user for everything whose processes Linux counts
// together, this only stops a fork bomb from taking the machine.
constexpr rlim_t sharedUserProcesses = 4096;

}  // namespace

void limitResources(const Launch& launch, const Setup& setup) {
    const auto set = [&](int resource, rlim_t value) {
        rlimit current{};
        // An unprivileged launcher cannot raise what it does not have; the lower of both holds.
        if (::getrlimit(static_cast<__rlimit_resource>(resource), &current) == 0 &&
            current.rlim_max < value)
            value = current.rlim_max;
        const rlimit limit{value, value};
        setup.check(::setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0,
                    "setting resource limits");
    };
    const Limits& limits = launch.request.limits;
    set(RLIMIT_CORE, noCoreDump);
    if (launch.request.kind == TaskKind::probe) return;
    // Where no group weighs it: the platform's own processes have ten times its share. Refused only
    // where it is as low already.
    if (!launch.machine.cgroups.cpu()) {
        errno = 0;
        const int own = ::getpriority(PRIO_PROCESS, 0);
        if (errno == 0) ::setpriority(PRIO_PROCESS, 0, own + tenTimesLess);
    }
    // Waking up, it takes the core from nobody (sched(7)): the loop that woke it goes on to the
    // next call. docs/decisions/workers-do-not-preempt.md. Where it is refused, that is slower, not
    // less safe.
    const sched_param noPriority{};
    ::sched_setscheduler(0, SCHED_BATCH, &noPriority);
    set(RLIMIT_NOFILE, limits.openFiles);
    set(RLIMIT_FSIZE, limits.fileBytes);
    set(RLIMIT_MEMLOCK, lockedBytes);
    set(RLIMIT_MSGQUEUE, 0);
    set(RLIMIT_SIGPENDING, pendingSignals);
    if (!launch.machine.cgroups.processes()) {
        const bool ownUser = launch.machine.root && launch.machine.options.uidBase != 0;
        // Its first process is of the same user, but not in its user namespace.
        set(RLIMIT_NPROC, launch.machine.innerUserNamespaces ? rlim_t{limits.processes}
                          : ownUser                          ? rlim_t{limits.processes} + 1
                                                             : sharedUserProcesses);
    }
}

}  // namespace cf::sandbox
