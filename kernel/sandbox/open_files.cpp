#include "sandbox/open_files.hpp"

#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "sandbox/trees.hpp"

namespace cf::sandbox {

namespace {

constexpr uint64_t entryBytes = 4096;  // empty files use up a file system, too

// Sees what this user may see. With another one go the rights to pass by files' permissions, and
// come back (capabilities(7)).
class LookingAs {
public:
    explicit LookingAs(uid_t user) : user_(::setfsuid(user)), group_(::setfsgid(user)) {}
    ~LookingAs() {
        ::setfsuid(static_cast<uid_t>(user_));
        ::setfsgid(static_cast<gid_t>(group_));
    }
    LookingAs(const LookingAs&) = delete;
    LookingAs& operator=(const LookingAs&) = delete;

private:
    int user_, group_;
};

}  // namespace

OpenFiles::OpenFiles(const std::vector<pid_t>& processes, uid_t owner, std::set<dev_t> disks)
    : owner_(owner), disks_(std::move(disks)) {
    for (const pid_t pid : processes)
        for (const char* folder : {"/fd", "/map_files"})
            folders_.push_back("/proc/" + std::to_string(pid) + folder);
}

size_t OpenFiles::look(size_t entries) {
    if (owner_ == ::geteuid()) return lookOn(entries);
    const LookingAs owner(owner_);
    return lookOn(entries);
}

size_t OpenFiles::lookOn(size_t entries) {
    size_t seen = 0;
    for (; seen < entries && !done(); ++seen) {
        if (!folder_) {
            folder_.reset(::opendir(folders_[next_++].c_str()));
            continue;
        }
        const dirent* const entry = ::readdir(folder_.get());
        if (entry == nullptr)
            folder_.reset();
        else if (entry->d_name[0] != '.')
            note(::dirfd(folder_.get()), entry->d_name);
    }
    return seen;
}

void OpenFiles::note(int folder, const char* name) {
    struct stat status {};
    if (::fstatat(folder, name, &status, 0) != 0) return;
    const bool isUnnamed =
        S_ISREG(status.st_mode) && status.st_nlink == 0 && disks_.contains(status.st_dev);
    const bool isPipe = S_ISFIFO(status.st_mode), isSocket = S_ISSOCK(status.st_mode);
    if (!isUnnamed && !isPipe && !isSocket) return;
    if (!seen_.emplace(status.st_dev, status.st_ino).second) return;
    pipes_ += isPipe;
    sockets_ += isSocket;
    if (isUnnamed)
        unnamedBytes_ += std::max(entryBytes, static_cast<uint64_t>(status.st_blocks) * blockBytes);
}

}  // namespace cf::sandbox
