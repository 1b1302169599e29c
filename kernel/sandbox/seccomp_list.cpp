// What runtimes, build tools and ordinary native libraries call. It began as the list that Docker
// allows without capabilities (moby, profiles/seccomp/default.json); what is not in here on
// purpose, and why, stands in docs/sandbox.md. clone, clone3, socket, socketpair and personality
// depend on their arguments: seccomp.cpp.
#include "sandbox/seccomp.hpp"

namespace cf::sandbox {

const std::vector<std::string_view>& allowedSyscalls() {
    static const std::vector<std::string_view> names = {
        // files
        "access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat",
        "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir",
        "fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr",
        "flistxattr", "flock", "fremovexattr", "fsetxattr", "fstat", "fstatfs", "fsync",
        "ftruncate", "futimesat", "getcwd", "getdents", "getdents64", "getxattr", "getxattrat",
        "ioctl", "lchown", "lgetxattr", "link", "linkat", "listxattr", "listxattrat", "llistxattr",
        "lremovexattr", "lseek", "lsetxattr", "lstat", "mkdir", "mkdirat", "mknod", "mknodat",
        "newfstatat", "open", "openat", "openat2", "pread64", "preadv", "preadv2", "pwrite64",
        "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv",
        "removexattr", "removexattrat", "rename", "renameat", "renameat2", "rmdir", "sendfile",
        "setxattr", "setxattrat", "splice", "stat", "statfs", "statx", "symlink", "symlinkat",
        "sync_file_range", "tee", "truncate", "umask", "unlink", "unlinkat", "utime", "utimensat",
        "utimes", "write", "writev", "cachestat",
        // memory
        "brk", "madvise", "map_shadow_stack", "membarrier", "mincore", "mlock", "mlock2",
        "mlockall", "mmap", "mprotect", "mremap", "mseal", "msync", "munlock", "munlockall",
        "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect",
        // processes and threads
        "arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork",
        "futex", "futex_requeue", "futex_wait", "futex_waitv", "futex_wake", "get_robust_list",
        "get_thread_area", "getcpu", "getegid", "geteuid", "getgid", "getgroups", "getpgid",
        "getpgrp", "getpid", "getppid", "getpriority", "getresgid", "getresuid", "getrlimit",
        "getrusage", "getsid", "gettid", "getuid", "ioprio_get", "ioprio_set", "kill", "pidfd_open",
        "pidfd_send_signal", "prctl", "prlimit64", "restart_syscall", "rseq",
        "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
        "sched_getparam", "sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity",
        "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield", "set_robust_list",
        "set_thread_area", "set_tid_address", "setfsgid", "setfsuid", "setgid", "setgroups",
        "setpgid", "setpriority", "setregid", "setresgid", "setresuid", "setreuid", "setrlimit",
        "setsid", "setuid", "tgkill", "tkill", "vfork", "wait4", "waitid", "riscv_flush_icache",
        "riscv_hwprobe",
        // signals, time and waiting
        "alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "epoll_create",
        "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd",
        "eventfd2", "getitimer", "gettimeofday", "nanosleep", "pause", "pipe", "pipe2", "poll",
        "ppoll", "pselect6", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo",
        "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "select",
        "setitimer", "sigaltstack", "signalfd", "signalfd4", "time", "timer_create", "timer_delete",
        "timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime",
        "timerfd_settime", "times",
        // sockets that there are
        "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt",
        "listen", "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt",
        "shutdown",
        // the rest
        "getrandom", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
        "sysinfo", "uname", "uretprobe"};
    return names;
}

const std::vector<std::string_view>& absentSyscalls() {
    static const std::vector<std::string_view> names = {
        // a number of requests that all of the machine share
        "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup", "io_submit",
        // tell when others use the files that all sandboxes see
        "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch"};
    return names;
}

const std::vector<std::string_view>& voidSyscalls() {
    static const std::vector<std::string_view> names = {"sync", "syncfs"};
    return names;
}

}  // namespace cf::sandbox
