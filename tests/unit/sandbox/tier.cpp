#include "tier.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "sandbox/files.hpp"

namespace cf::sandbox::test {

namespace {

constexpr uid_t nobody = 65534;

// Leaves the capabilities in `mask` and no way to others.
bool keepCapabilities(uint64_t mask) {
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
        if ((mask >> capability & 1) == 0 && ::prctl(PR_CAPBSET_DROP, capability) != 0)
            return false;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct now[2] = {};
    if (::syscall(SYS_capget, &header, now) != 0) return false;
    for (unsigned i = 0; i < 2; ++i) {
        const auto part = static_cast<uint32_t>(mask >> (32 * i));
        now[i] = {now[i].effective & part, now[i].permitted & part, now[i].inheritable & part};
    }
    return ::syscall(SYS_capset, &header, now) == 0;
}

}  // namespace

bool enterTier(const std::string& tier) {
    bool done = ::geteuid() == 0;
    if (done && tier == "user")
        done = ::setgroups(0, nullptr) == 0 && ::setresgid(nobody, nobody, nobody) == 0 &&
               ::setresuid(nobody, nobody, nobody) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0;
    else if (done && tier == "container")
        done = keepCapabilities(~(1ull << CAP_SYS_ADMIN));
    else if (done && tier == "bare")
        done = ::unshare(CLONE_NEWUSER) == 0 && writeFile("/proc/self/setgroups", "deny") &&
               writeFile("/proc/self/uid_map", "0 0 1") &&
               writeFile("/proc/self/gid_map", "0 0 1") &&
               writeFile("/proc/sys/user/max_user_namespaces", "0") && keepCapabilities(0);
    if (!done)
        std::fprintf(stderr, "skipped: the tier %s can only be entered by root\n", tier.c_str());
    return done;
}

}  // namespace cf::sandbox::test
