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

// Hands over what is open there, whatever else has its name by now. Gives the folder to go on with;
// nothing when it is none, or lies on another file system.
base::UniqueFd giveAway(int directory, const char* name, Walk& walk) {
    const base::UniqueFd entry(::openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!entry || ::fstat(entry.get(), &status) != 0) {
        if (errno != ENOENT) walk.note(errno);
        return {};
    }
    if (status.st_dev != walk.device) return {};
    base::UniqueFd below;
    if (S_ISDIR(status.st_mode)) {
        below.reset(::openat(entry.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!below) walk.note(errno);
    }
    if (walk.from.has(status.st_uid) &&
        ::fchownat(entry.get(), "", walk.toUid, walk.toGid, AT_EMPTY_PATH) != 0)
        walk.note(errno);
    return below;
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
        if (base::UniqueFd below = giveAway(::dirfd(here), entry->d_name, walk))
            path.emplace_back(::fdopendir(below.release()), ::closedir);
    }
    return walk.firstError;
}

int changeOwner(const std::string& path, UidRange from, uid_t toUid, gid_t toGid) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? errno : changeOwner(fd, from, toUid, toGid);
}

}  // namespace cf::sandbox
