// System calls that libc of some supported distributions has no wrapper for. Same contract as
// wrapped ones: -1 and errno. Used by the launcher alone.
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace cf::sandbox::sys {

// clone3(2), argument of its first version plus `cgroup` (Linux 5.7).
struct CloneArguments {
    uint64_t flags = 0;
    uint64_t pidfd = 0;
    uint64_t childTid = 0;
    uint64_t parentTid = 0;
    uint64_t exitSignal = 0;
    uint64_t stack = 0;
    uint64_t stackSize = 0;
    uint64_t tls = 0;
    uint64_t setTid = 0;
    uint64_t setTidSize = 0;
    uint64_t cgroup = 0;
};

constexpr uint64_t cloneIntoCgroup = 0x200000000ULL;

// mount_setattr(2).
struct MountAttributes {
    uint64_t set = 0;
    uint64_t clear = 0;
    uint64_t propagation = 0;
    uint64_t userNamespace = 0;
};

constexpr uint64_t attributeReadOnly = 0x1;
constexpr uint64_t attributeNoSetuid = 0x2;
constexpr uint64_t attributeNoDevices = 0x4;
constexpr uint64_t attributeNoExec = 0x8;

constexpr unsigned openTreeClone = 1;
constexpr unsigned atRecursive = 0x8000;
constexpr unsigned moveFromEmptyPath = 0x4;
constexpr unsigned moveToEmptyPath = 0x40;

constexpr uint64_t resolveNoMagicLinks = 0x02;
constexpr uint64_t resolveNoSymlinks = 0x04;
constexpr uint64_t resolveInRoot = 0x10;

constexpr unsigned closeRangeCloexec = 1u << 2;

// landlock_create_ruleset(2), landlock_add_rule(2).
struct LandlockRules {
    uint64_t files = 0;
    uint64_t network = 0;  // since version 4
    uint64_t scoped = 0;   // since version 6
};
struct __attribute__((packed)) LandlockPath {
    uint64_t rights = 0;
    int32_t place = -1;
};

struct OpenHow {
    uint64_t flags = 0;
    uint64_t mode = 0;
    uint64_t resolve = 0;
};

inline pid_t clone3(CloneArguments& arguments) {
    return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}
// The older form. With CLONE_PIDFD the descriptor goes where the parent's thread id would.
inline pid_t clone(uint64_t flags, int& pidfd) {
    return static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, &pidfd, nullptr, nullptr));
}
inline int openTree(int directory, const char* path, unsigned flags) {
    return static_cast<int>(::syscall(SYS_open_tree, directory, path, flags));
}
inline int moveMount(int from, const char* fromPath, int to, const char* toPath, unsigned flags) {
    return static_cast<int>(::syscall(SYS_move_mount, from, fromPath, to, toPath, flags));
}
inline int mountSetattr(int fd, const char* path, unsigned flags, MountAttributes attributes) {
    return static_cast<int>(
        ::syscall(SYS_mount_setattr, fd, path, flags, &attributes, sizeof attributes));
}
inline int openat2(int directory, const char* path, const OpenHow& how) {
    return static_cast<int>(::syscall(SYS_openat2, directory, path, &how, sizeof how));
}
inline int pivotRoot(const char* newRoot, const char* putOld) {
    return static_cast<int>(::syscall(SYS_pivot_root, newRoot, putOld));
}
inline int pidfdOpen(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0u)); }
inline int pidfdSendSignal(int pidfd, int signal) {
    return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0u));
}
inline int closeRange(unsigned first, unsigned last, unsigned flags) {
    return static_cast<int>(::syscall(SYS_close_range, first, last, flags));
}

inline int landlockVersion() {
    constexpr unsigned askVersion = 1;
    return static_cast<int>(::syscall(SYS_landlock_create_ruleset, nullptr, size_t{0}, askVersion));
}
// An older Linux refuses a longer struct than it knows, unless the rest is zero.
inline int landlockCreate(const LandlockRules& rules) {
    return static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0u));
}
inline int landlockAdd(int ruleset, const LandlockPath& path) {
    constexpr int pathBeneath = 1;
    return static_cast<int>(::syscall(SYS_landlock_add_rule, ruleset, pathBeneath, &path, 0u));
}
inline int landlockRestrict(int ruleset) {
    return static_cast<int>(::syscall(SYS_landlock_restrict_self, ruleset, 0u));
}

}  // namespace cf::sandbox::sys
