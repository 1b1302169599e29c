// Step 2, tools: directories that a tool may write to belong to its user while it runs. What it
// leaves is hostile: links to anywhere, other people's inodes linked in, trees deeper than a path
// can be.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "sandbox/root_filesystem.hpp"
#include "sandbox/trees.hpp"

namespace cf::sandbox {

namespace {

struct Walk {
    UidRange from;
    uid_t toUid;
    gid_t toGid;
    dev_t device;
    int firstError = 0;

    void note(int error) {
        if (firstError == 0) firstError = error;
    }
};

void giveAway(int directory, const char* name, const struct stat& status, Walk& walk) {
    if (!walk.from.has(status.st_uid)) return;
    if (::fchownat(directory, name, walk.toUid, walk.toGid, AT_SYMLINK_NOFOLLOW) != 0)
        walk.note(errno);
}

}  // namespace

int changeOwner(int directory, UidRange from, uid_t toUid, gid_t toGid) {
    struct stat top {};
    if (directory < 0 || ::fstat(directory, &top) != 0) return errno;
    Walk walk{from, toUid, toGid, top.st_dev};
    // Down to where the walk is. Depth is bounded by descriptors, so that a tree of any depth ends with
    // an error (EMFILE) instead of a stack overflow.
    std::vector<Directory> path;
    if (from.has(top.st_uid) && ::fchown(directory, toUid, toGid) != 0) walk.note(errno);
    path.emplace_back(::fdopendir(directory), ::closedir);
    if (!path.back()) return errno;
    while (!path.empty()) {
        DIR* const here = path.back().get();
        const dirent* const entry = ::readdir(here);
        if (entry == nullptr) {
            path.pop_back();
            continue;
        }
        if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
        struct stat status {};
        if (::fstatat(::dirfd(here), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno != ENOENT) walk.note(errno);
            continue;
        }
        if (status.st_dev != walk.device) continue;
        if (S_ISDIR(status.st_mode)) {
            const int child = ::openat(::dirfd(here), entry->d_name,
                                       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (child < 0) {
                walk.note(errno);
                continue;
            }
            if (from.has(status.st_uid) && ::fchown(child, toUid, toGid) != 0) walk.note(errno);
            path.emplace_back(::fdopendir(child), ::closedir);
        } else {
            giveAway(::dirfd(here), entry->d_name, status, walk);
        }
    }
    return walk.firstError;
}

int changeOwner(const std::string& path, UidRange from, uid_t toUid, gid_t toGid) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? errno : changeOwner(fd, from, toUid, toGid);
}

}  // namespace cf::sandbox
