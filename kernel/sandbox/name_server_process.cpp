// The name server's process: what it may do.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "sandbox/name_forwarder.hpp"
#include "sandbox/name_server.hpp"
#include "sandbox/seccomp.hpp"
#include "sandbox/syscalls.hpp"
#include "sandbox/uid_slots.hpp"

namespace cf::sandbox {

namespace {

// Gives up everything but three sockets and the right to make more of them. False: it must not run.
bool confine() {
    rlimit files{2048, 2048}, nothing{0, 0};
    // Compiling takes a file in memory, which is not to be had later.
    std::string why;
    const auto filter = SyscallFilter::compile({.internet = true, .unmappedMemory = false}, why);
    if (::unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
                "size=4k,nr_inodes=2,mode=0555") != 0 ||
        ::chdir("/proc") != 0 || sys::pivotRoot(".", ".") != 0 || ::umount2(".", MNT_DETACH) != 0 ||
        ::chdir("/") != 0)
        return false;
    ::setrlimit(RLIMIT_NOFILE, &files);
    ::setrlimit(RLIMIT_CORE, &nothing);
    ::setrlimit(RLIMIT_FSIZE, &nothing);
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
        ::prctl(PR_CAPBSET_DROP, capability);
    if (::setgroups(0, nullptr) != 0 || ::setresgid(nobody, nobody, nobody) != 0 ||
        ::setresuid(nobody, nobody, nobody) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    ::setrlimit(RLIMIT_NPROC, &nothing);
    ::prctl(PR_SET_DUMPABLE, 0);
    // Changing the user cleared it.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    return filter && filter.install();
}

}  // namespace

void runNameServer(int control, int datagrams, int streams) {
    ::prctl(PR_SET_NAME, "cf-names");
    constexpr int high = 16;
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    int fds[] = {null, null, null, control, datagrams, streams};
    for (int& fd : fds) fd = ::fcntl(fd, F_DUPFD_CLOEXEC, high);
    for (int i = 0; i < 6; ++i)
        if (::dup2(fds[i], i) != i) ::_exit(1);
    sys::closeRange(6, ~0u, 0);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
    if (!confine()) ::_exit(1);
    forwardNames(3, 4, 5);
    ::_exit(0);
}

}  // namespace cf::sandbox
