// Step 6: nothing that the program or its children could get back (capabilities(7), prctl(2)). The
// bounding set goes before the user changes, because afterwards nobody may touch it any more.
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/recipe.hpp"

namespace cf::sandbox {

namespace {

bool setCapabilities(uint32_t low) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {{low, low, low}, {0, 0, 0}};
    return ::syscall(SYS_capset, &header, data) == 0;
}

}  // namespace

void dropPrivileges(const Launch& launch, const Setup& setup) {
    // A probe looks for toolchains wherever people install them, also below home directories.
    // Containers do not have that right to give.
    const bool reads = launch.request.kind == TaskKind::probe && launch.machine.root &&
                       ::prctl(PR_CAPBSET_READ, CAP_DAC_READ_SEARCH) == 1;
    const uint32_t kept = reads ? 1u << CAP_DAC_READ_SEARCH : 0;
    // A launcher without any privilege may not touch the bounding set, and has nothing to lose:
    // NO_NEW_PRIVS does it.
    const auto mayFail = [&](bool done) {
        const bool refused = !done && errno == EPERM && !launch.machine.root;
        setup.check(done || refused, "dropping capabilities");
    };
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
        if (capability >= 32 || (kept >> capability & 1) == 0)
            mayFail(::prctl(PR_CAPBSET_DROP, capability) == 0);
    const unsigned long bits =
        SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
        SECBIT_NO_SETUID_FIXUP_LOCKED |
        (reads ? SECBIT_KEEP_CAPS
               : SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED);
    mayFail(::prctl(PR_SET_SECUREBITS, bits) == 0);
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    takeIdentity(launch, setup);
    setup.check(setCapabilities(kept), "dropping capabilities");
    if (reads)
        setup.check(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0) == 0,
                    "keeping the right to read");
    setup.check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "giving up new privileges");
}

void filterSyscalls(const Launch& launch, const Setup& setup) {
    if (launch.request.kind == TaskKind::probe || !launch.machine.filter) return;
    // Where no namespace keeps a program off the machine's network, the lack of sockets does.
    const bool reachesMachine =
        launch.request.network.mode == Network::host || (launch.namespaces & CLONE_NEWNET) != 0;
    const SyscallFilter& filter =
        reachesMachine ? launch.machine.filter : launch.machine.filterWithoutInternet;
    setup.check(filter.install(), "filtering its system calls");
}

}  // namespace cf::sandbox
