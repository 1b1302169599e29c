#include "app/privileges.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>

#include "base/unique_fd.hpp"

namespace cf::app {

namespace {

base::Failure failure(const std::string& what) {
    return {.reason = "start_failed", .detail = what + ": " + std::strerror(errno)};
}

bool mayEnter(const struct stat& dir, const KernelUser& user) {
    if (dir.st_uid == user.uid) return (dir.st_mode & S_IXUSR) != 0;
    if (dir.st_gid == user.gid) return (dir.st_mode & S_IXGRP) != 0;
    return (dir.st_mode & S_IXOTH) != 0;
}

// The first parent of `path` that the user may not enter; empty when there is none.
std::string blockedParent(const std::string& path, const KernelUser& user) {
    std::string at;
    for (const auto& part : std::filesystem::path(path).parent_path()) {
        at = at.empty() || at == "/" ? at + part.string() : at + "/" + part.string();
        struct stat status {};
        if (::stat(at.c_str(), &status) == 0 && !mayEnter(status, user)) return at;
    }
    return {};
}

bool chownTree(int dir, const char* name, const KernelUser& user) {
    if (::fchownat(dir, name, user.uid, user.gid, AT_SYMLINK_NOFOLLOW) != 0) return false;
    const int fd = ::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno == ENOTDIR || errno == ELOOP;
    DIR* stream = ::fdopendir(fd);
    if (stream == nullptr) return ::close(fd), false;
    bool ok = true;
    while (const dirent* entry = ::readdir(stream))
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) ok = chownTree(fd, entry->d_name, user) && ok;
    ::closedir(stream);
    return ok;
}

base::Result<void> keepReachable(const KernelUser& user, const std::vector<std::string>& keep) {
    std::map<std::string, std::vector<std::string>> covered;  // private parent -> what must stay visible
    for (const auto& path : keep)
        if (const auto parent = blockedParent(path, user); !parent.empty()) covered[parent].push_back(path);
    if (covered.empty()) return {};
    if (::unshare(CLONE_NEWNS) != 0) return failure("cannot make a mount namespace");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return failure("cannot make mounts private");
    // Opened in the new namespace: mounts of another one cannot be bound (mount(2), EINVAL).
    std::map<std::string, base::UniqueFd> handles;
    for (const auto& [parent, paths] : covered)
        for (const auto& path : paths) handles[path].reset(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (const auto& [parent, paths] : covered) {
        if (::mount("tmpfs", parent.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64k") != 0) return failure("cannot cover " + parent);
        for (const auto& path : paths) {
            std::error_code error;
            std::filesystem::create_directories(path, error);
            const std::string source = "/proc/self/fd/" + std::to_string(handles[path].get());
            if (::mount(source.c_str(), path.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) return failure("cannot keep " + path + " reachable");
        }
    }
    return {};
}

}  // namespace

KernelUser findKernelUser() {
    KernelUser user{.uid = ::geteuid(), .gid = ::getegid()};
    user.layer.name = "kernel_user";
    if (user.uid != 0) {
        user.layer.active = true;
        user.layer.detail = "the platform runs without root";
        return user;
    }
    const passwd* entry = ::getpwnam("cloudfunction");
    if (entry == nullptr) {
        user.layer.detail = "the kernel process keeps root: there is no user cloudfunction; make it with: useradd --system --user-group --no-create-home cloudfunction";
        return user;
    }
    user.uid = entry->pw_uid;
    user.gid = entry->pw_gid;
    user.drop = true;
    user.layer.active = true;
    user.layer.detail = "the kernel process runs as the user cloudfunction; only the launcher keeps root";
    return user;
}

base::Result<void> handOver(const std::string& dir, const KernelUser& user) {
    if (!user.drop) return {};
    struct stat status {};
    if (::stat(dir.c_str(), &status) == 0 && status.st_uid == user.uid) return {};
    if (!chownTree(AT_FDCWD, dir.c_str(), user)) return failure("cannot give " + dir + " to the user cloudfunction");
    return {};
}

base::Result<void> becomeKernelUser(const KernelUser& user, const std::vector<std::string>& keep) {
    if (!user.drop) return {};
    if (auto kept = keepReachable(user, keep); !kept) return kept;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(user.gid, user.gid, user.gid) != 0 || ::setresuid(user.uid, user.uid, user.uid) != 0)
        return failure("cannot become the user cloudfunction");
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    // A process that changed its user is not dumpable; its own /proc/self/fd must stay readable to it.
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return {};
}

}  // namespace cf::app
