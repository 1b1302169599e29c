// Runs inside a sandbox and tries what the filter of system calls and the fence around files are
// there to refuse. One line for each try: "<name> <errno>", 0 when it was done. The calls are made
// without libc, so that nothing checks their arguments before the Linux kernel does.
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace {

template <typename... Arguments>
long attempt(const char* name, long number, Arguments... arguments) {
    errno = 0;
    const long result = ::syscall(number, arguments...);
    std::printf("%s %d\n", name, result < 0 ? errno : 0);
    return result;
}

void attemptSocket(const char* name, int family, int type, int protocol) {
    const long fd = attempt(name, SYS_socket, family, type, protocol);
    if (fd >= 0) ::close(static_cast<int>(fd));
}

// Both ways of making namespaces that clone has; a child that came to be ends at once.
void attemptClone(const char* name, unsigned long flags) {
    errno = 0;
    const long pid = ::syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) ::_exit(0);
    std::printf("%s %d\n", name, pid < 0 ? errno : 0);
    if (pid > 0) ::waitpid(static_cast<pid_t>(pid), nullptr, 0);
}

void calls() {
    char buffer[256] = {};
    attempt("ptrace", SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
    attempt("process_vm_readv", SYS_process_vm_readv, ::getpid(), buffer, 0, buffer, 0, 0);
    attempt("process_vm_writev", SYS_process_vm_writev, ::getpid(), buffer, 0, buffer, 0, 0);
    attempt("pidfd_getfd", SYS_pidfd_getfd, 0, 0, 0);
    attempt("kcmp", SYS_kcmp, ::getpid(), ::getpid(), 0, 0, 0);
    attempt("io_uring_setup", SYS_io_uring_setup, 1, buffer);
    attempt("io_uring_enter", SYS_io_uring_enter, -1, 0, 0, 0, nullptr, 0);
    attempt("io_uring_register", SYS_io_uring_register, -1, 0, nullptr, 0);
    attempt("keyctl", SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0);
    attempt("add_key", SYS_add_key, "user", "name", "value", 5, KEY_SPEC_SESSION_KEYRING);
    attempt("request_key", SYS_request_key, "user", "name", nullptr, 0);
    attempt("bpf", SYS_bpf, 0, buffer, sizeof buffer);
    attempt("userfaultfd", SYS_userfaultfd, 1);
    attempt("perf_event_open", SYS_perf_event_open, buffer, 0, -1, -1, 0);
    attempt("unshare", SYS_unshare, CLONE_NEWUSER);
    attempt("setns", SYS_setns, -1, 0);
    attempt("mount", SYS_mount, "none", "/tmp", "tmpfs", 0, nullptr);
    attempt("umount2", SYS_umount2, "/tmp", 0);
    attempt("open_tree", SYS_open_tree, -100, "/", 1);
    attempt("fsopen", SYS_fsopen, "tmpfs", 0);
    attempt("move_mount", SYS_move_mount, -1, "", -1, "", 4);
    attempt("pivot_root", SYS_pivot_root, "/", "/");
    attempt("chroot", SYS_chroot, "/");
    attempt("open_by_handle_at", SYS_open_by_handle_at, -1, buffer, 0);
    attempt("name_to_handle_at", SYS_name_to_handle_at, -100, "/", buffer, buffer, 0);
    attempt("init_module", SYS_init_module, buffer, 1, "");
    attempt("kexec_load", SYS_kexec_load, 0, 0, nullptr, 0);
    attempt("reboot", SYS_reboot, 0, 0, 0, nullptr);
    attempt("swapon", SYS_swapon, "/", 0);
    attempt("settimeofday", SYS_settimeofday, nullptr, nullptr);
    attempt("clock_settime", SYS_clock_settime, 0, buffer);
    attempt("adjtimex", SYS_adjtimex, buffer);
    attempt("sethostname", SYS_sethostname, "name", 4);
    attempt("syslog", SYS_syslog, 10, nullptr, 0);
    attempt("quotactl", SYS_quotactl, 0, nullptr, 0, nullptr);
    attempt("acct", SYS_acct, nullptr);
    attempt("seccomp", SYS_seccomp, 1, 0, buffer);
    attempt("fanotify_init", SYS_fanotify_init, 0, 0);
    attempt("memfd_secret", 447, 0);
    attempt("shmget", SYS_shmget, 0, 4096, 0600);
    attempt("semget", SYS_semget, 0, 1, 0600);
    attempt("msgget", SYS_msgget, 0, 0600);
    attempt("mq_open", SYS_mq_open, "name", O_RDWR | O_CREAT, 0600, nullptr);
    attempt("personality", SYS_personality, 0x0040000);  // ADDR_NO_RANDOMIZE
    attempt("vmsplice", SYS_vmsplice, -1, nullptr, 0, 0);
    attempt("mbind", SYS_mbind, 0, 0, 0, nullptr, 0, 0);
    attempt("move_pages", SYS_move_pages, 0, 0, nullptr, nullptr, nullptr, 0);
    attempt("clone3", SYS_clone3, buffer, 88);
    unsigned long requests = 0;
    attempt("io_setup", SYS_io_setup, 16, &requests);
    attempt("inotify_init1", SYS_inotify_init1, 0);
    // Done for real, they would say that there is no such file.
    attempt("syncfs", SYS_syncfs, -1);
    attempt("sync", SYS_sync);
    const int here = ::open("/usr/bin", O_RDONLY | O_DIRECTORY);
    attempt("fcntl_notify", SYS_fcntl, here, F_NOTIFY, DN_ACCESS);
    // Linux takes the lower half of the number alone.
    attempt("fcntl_notify_high", SYS_fcntl, here, F_NOTIFY | 1l << 32, DN_ACCESS);
    attempt("fcntl_get", SYS_fcntl, here, F_GETFL);
    rlimit core{};
    const rlimit none{};
    attempt("core_set", SYS_prlimit64, 0, RLIMIT_CORE, &none, nullptr);
    attempt("core_set_and_get", SYS_prlimit64, 0, RLIMIT_CORE, &none, &core);
#ifdef SYS_setrlimit
    attempt("core_set_plain", SYS_setrlimit, RLIMIT_CORE, &none);
#else
    std::printf("core_set_plain 0\n");
#endif
    attempt("core_get", SYS_prlimit64, 0, RLIMIT_CORE, nullptr, &core);
    std::printf("core_changed %d\n", core.rlim_cur != 1 || core.rlim_max != 1);
    rlimit files{};
    attempt("files_get", SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &files);
    attempt("files_set", SYS_prlimit64, 0, RLIMIT_NOFILE, &files, nullptr);
    // Far above every call there is.
    attempt("unknown", 1000);
    attemptClone("clone_user", CLONE_NEWUSER);
    attemptClone("clone_mount", CLONE_NEWNS);
    attemptClone("clone_net", CLONE_NEWNET);
    attemptClone("clone_pid", CLONE_NEWPID);
    attemptClone("clone_uts", CLONE_NEWUTS);
    attemptClone("clone_ipc", CLONE_NEWIPC);
    attemptClone("clone_cgroup", CLONE_NEWCGROUP);
    attemptClone("clone", 0);
    attempt("personality_get", SYS_personality, 0xffffffff);
    attempt("getpid", SYS_getpid);
    attempt("memfd_create", SYS_memfd_create, "name", 0);
    int pipe[2];
    if (::pipe(pipe) == 0) attempt("larger_pipe", SYS_fcntl, pipe[1], F_SETPIPE_SZ, 1 << 17);
}

int bufferOf(int socket, int which) {
    int size = 0;
    socklen_t length = sizeof size;
    ::getsockopt(socket, SOL_SOCKET, which, &size, &length);
    return size;
}

// Says 1 when the buffer has another size afterwards.
void attemptBuffer(const char* name, int socket, int which) {
    const int before = bufferOf(socket, which), wanted = before / 4;
    if (::setsockopt(socket, SOL_SOCKET, which, &wanted, sizeof wanted) != 0)
        std::printf("%s %d\n", name, -errno);
    else
        std::printf("%s %d\n", name, bufferOf(socket, which) != before);
}

// Pipes or socket pairs that nobody reads, as full as they get, until it is ended.
[[noreturn]] void hoard(bool sockets) {
    static char text[4096];
    for (;;) {
        int ends[2];
        const int made = sockets ? ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends)
                                 : ::pipe2(ends, O_NONBLOCK);
        // No more for this process: another one goes on.
        if (made != 0 && ::fork() != 0) ::pause();
        if (made != 0) ::close_range(3, ~0u, 0);
        if (made != 0) continue;
        while (::write(ends[1], text, sizeof text) > 0) {
        }
    }
}

void sockets() {
    attemptSocket("unix", AF_UNIX, SOCK_STREAM, 0);
    attemptSocket("unix_datagram", AF_UNIX, SOCK_DGRAM, 0);
    attemptSocket("alg", AF_ALG, SOCK_SEQPACKET, 0);
    attemptSocket("vsock", 40, SOCK_STREAM, 0);
    attemptSocket("packet", AF_PACKET, SOCK_RAW, 0);
    attemptSocket("packet_datagram", AF_PACKET, SOCK_DGRAM, 0);
    attemptSocket("raw", AF_INET, SOCK_RAW, 1);
    attemptSocket("raw6", AF_INET6, SOCK_RAW, 58);
    attemptSocket("ping", AF_INET, SOCK_DGRAM, 1);
    attemptSocket("mptcp", AF_INET, SOCK_STREAM, 262);
    attemptSocket("sctp", AF_INET, SOCK_STREAM, 132);
    attemptSocket("bluetooth", 31, SOCK_RAW, 1);
    attemptSocket("can", 29, SOCK_RAW, 1);
    attemptSocket("netfilter", AF_NETLINK, SOCK_RAW, 12);
    attemptSocket("audit", AF_NETLINK, SOCK_RAW, 9);
    attemptSocket("route", AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    attemptSocket("tcp", AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    attemptSocket("tcp6", AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 6);
    attemptSocket("udp", AF_INET, SOCK_DGRAM, 17);
    int pair[2];
    attempt("pair", SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair);
    attemptBuffer("send_buffer", pair[0], SO_SNDBUF);
    attemptBuffer("receive_buffer", pair[0], SO_RCVBUF);
    const int yes = 1;
    attempt("socket_option", SYS_setsockopt, pair[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
    attempt("pair_inet", SYS_socketpair, AF_INET, SOCK_STREAM, 0, pair);
}

// The 32-bit door into the same kernel: its call numbers mean other things.
[[maybe_unused]] void foreign() {
#ifdef __x86_64__
    const pid_t child = ::fork();
    if (child == 0) {
        long result;
        asm volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    std::printf("ia32 %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    const pid_t other = ::fork();
    if (other == 0) {
        ::syscall(0x40000000 + 39);
        ::_exit(0);
    }
    ::waitpid(other, &status, 0);
    std::printf("x32 %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
#endif
}

void attemptOpen(const char* path, int flags) {
    errno = 0;
    const int fd = ::open(path, flags, 0600);
    std::printf("%s %d\n", path, fd < 0 ? errno : 0);
    if (fd >= 0) ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::strncmp(argv[1], "hoard:", 6) == 0)
        hoard(std::strcmp(argv[1] + 6, "sockets") == 0);
    // Every argument beyond the first is a file to open: "r:/path", "w:/path" or "c:/path".
    for (int i = 1; i < argc; ++i) {
        const int flags = argv[i][0] == 'r'   ? O_RDONLY
                          : argv[i][0] == 'w' ? O_WRONLY
                                              : O_WRONLY | O_CREAT;
        attemptOpen(argv[i] + 2, flags);
    }
    if (argc > 1) return 0;
    calls();
    sockets();
    std::fflush(stdout);
    foreign();
    return 0;
}
