#include "sandbox/user_namespace.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "sandbox/files.hpp"

namespace cf::sandbox {

namespace {

constexpr const char* stage = "in-user-namespace";

// A namespace in which the user `uid` is 0, and no other exists.
int enterAs(const std::string& uid, const std::string& gid, int further) {
    if (::unshare(CLONE_NEWUSER | further) != 0) return errno;
    writeFile("/proc/self/setgroups", "deny");
    if (!writeFile("/proc/self/uid_map", "0 " + uid + " 1")) return errno;
    return writeFile("/proc/self/gid_map", "0 " + gid + " 1") ? 0 : errno;
}

int enter(const std::string& uid, const std::string& gid) {
    if (const int error = enterAs(uid, gid, CLONE_NEWNS); error != 0) return error;
    // Mounts of the machine keep arriving, nothing goes out.
    return ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0 ? 0 : errno;
}

// Whether one process more may be started; it is gone again.
bool mayStartOne() {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    while (child > 0 && ::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return child > 0;
}

}  // namespace

bool inOwnUserNamespace() {
    const std::string line = readFile("/proc/self/cmdline");
    return line.ends_with(std::string("\0", 1) + stage + std::string("\0", 1));
}

void enterUserNamespace(int control) {
    const std::string uid = std::to_string(::geteuid());
    const std::string gid = std::to_string(::getegid());
    // Tried by a child first: a process that entered one whose map cannot be written would be
    // nobody for good.
    const pid_t child = ::fork();
    if (child == 0) ::_exit(enter(uid, gid) == 0 ? 0 : 1);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child < 0 || status != 0 || enter(uid, gid) != 0) return;
    ::fcntl(control, F_SETFD, 0);
    char name[] = "cloudfunction";
    char verb[] = "launcher";
    std::string last = stage;
    char* const arguments[] = {name, verb, last.data(), nullptr};
    ::execve("/proc/self/exe", arguments, ::environ);
}

int enterInnerUserNamespace() { return enterAs("0", "0", 0); }

bool countsProcessesApart() {
    const pid_t child = ::fork();
    if (child == 0) {
        if (enterInnerUserNamespace() != 0) ::_exit(1);
        // The supervisor's other processes are of the same user, but elsewhere.
        const auto limit = [](rlim_t processes) {
            const rlimit both{processes, processes};
            return ::setrlimit(RLIMIT_NPROC, &both) == 0;
        };
        ::_exit(limit(2) && mayStartOne() && limit(1) && !mayStartOne() ? 0 : 1);
    }
    int status = 1;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && status == 0;
}

}  // namespace cf::sandbox
