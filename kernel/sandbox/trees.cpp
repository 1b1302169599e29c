#include "sandbox/trees.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <vector>

#include "base/unique_fd.hpp"

namespace cf::sandbox {

namespace {

constexpr int openFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// Two descriptors a level; artifacts and caches are not deeper, hostile trees are taken apart.
constexpr size_t deepest = 200;

Directory openStream(int fd) { return {fd < 0 ? nullptr : ::fdopendir(fd), ::closedir}; }

const dirent* nextEntry(DIR* stream) {
    for (;;) {
        const dirent* const entry = ::readdir(stream);
        if (entry == nullptr) return nullptr;
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
            return entry;
    }
}

int copyFile(int from, const char* name, int to, const struct stat& status) {
    const base::UniqueFd in(::openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    const base::UniqueFd out(::openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!in || !out) return errno;
    for (;;) {
        const ssize_t sent = ::sendfile(out.get(), in.get(), nullptr, 1 << 30);
        if (sent < 0) return errno;
        if (sent == 0) break;
    }
    return ::fchmod(out.get(), status.st_mode & 0777) == 0 ? 0 : errno;
}

int linkEntry(int from, const char* name, int to, const struct stat& status) {
    if (S_ISLNK(status.st_mode)) {
        char text[PATH_MAX];
        const ssize_t size = ::readlinkat(from, name, text, sizeof text - 1);
        if (size < 0) return errno;
        text[size] = 0;
        return ::symlinkat(text, to, name) == 0 ? 0 : errno;
    }
    if (!S_ISREG(status.st_mode)) return 0;
    if (::linkat(from, name, to, name, 0) == 0) return 0;
    if (errno == EXDEV || errno == EMLINK || errno == EPERM)
        return copyFile(from, name, to, status);
    return errno;
}

int makeFolder(int parent, const char* name, uid_t uid, gid_t gid, base::UniqueFd& made) {
    if (::mkdirat(parent, name, 0755) != 0) return errno;
    made.reset(::openat(parent, name, openFolder));
    if (!made) return errno;
    // The launcher's umask is not to be relied on.
    if (::fchmod(made.get(), 0755) != 0) return errno;
    if (uid == ::geteuid()) return 0;
    return ::fchown(made.get(), uid, gid) == 0 ? 0 : errno;
}

}  // namespace

int linkTree(const std::string& source, const std::string& target, uid_t uid, gid_t gid, int at) {
    struct Level {
        Directory from;
        base::UniqueFd to;
    };
    std::vector<Level> path;
    base::UniqueFd top;
    Directory first = openStream(::open(source.c_str(), openFolder));
    if (!first) return errno;
    if (const int error = makeFolder(at, target.c_str(), uid, gid, top); error != 0) return error;
    path.push_back({std::move(first), std::move(top)});
    while (!path.empty()) {
        DIR* const from = path.back().from.get();
        const int to = path.back().to.get();
        const dirent* const entry = nextEntry(from);
        if (entry == nullptr) {
            path.pop_back();
            continue;
        }
        struct stat status {};
        if (::fstatat(::dirfd(from), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            return errno;
        if (!S_ISDIR(status.st_mode)) {
            if (const int error = linkEntry(::dirfd(from), entry->d_name, to, status); error != 0)
                return error;
            continue;
        }
        if (path.size() >= deepest) return ELOOP;
        Level next{openStream(::openat(::dirfd(from), entry->d_name, openFolder)), {}};
        if (!next.from) return errno;
        if (const int error = makeFolder(to, entry->d_name, uid, gid, next.to); error != 0)
            return error;
        path.push_back(std::move(next));
    }
    return 0;
}

namespace {

// Its owner may have taken away even the owner's right to look inside. That is given back to the
// open folder, not to what has its name: a link by now, perhaps. A descriptor that is for the path
// alone opens what cannot be read, and its name in /proc leads to nothing else.
Directory openForRemoval(int parent, const char* name) {
    const base::UniqueFd folder(
        ::openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder) return openStream(-1);
    ::chmod(("/proc/self/fd/" + std::to_string(folder.get())).c_str(), 0700);
    return openStream(::openat(folder.get(), ".", openFolder));
}

}  // namespace

int removeTree(const std::string& path, int at) {
    if (::unlinkat(at, path.c_str(), 0) == 0 || errno == ENOENT) return 0;
    std::vector<std::pair<Directory, std::string>> open;
    open.emplace_back(openStream(::openat(at, path.c_str(), openFolder)), std::string());
    if (!open.back().first) return errno;
    const int top = ::dirfd(open.front().first.get());
    int firstError = 0;
    uint64_t moved = 0;
    while (!open.empty()) {
        DIR* const here = open.back().first.get();
        const dirent* const entry = nextEntry(here);
        if (entry == nullptr) {
            const std::string name = std::move(open.back().second);
            open.pop_back();
            if (!open.empty() &&
                ::unlinkat(::dirfd(open.back().first.get()), name.c_str(), AT_REMOVEDIR) != 0 &&
                firstError == 0)
                firstError = errno;
            continue;
        }
        const std::string name = entry->d_name;
        if (::unlinkat(::dirfd(here), name.c_str(), 0) == 0) continue;
        if (errno != EISDIR && errno != EPERM) {
            if (firstError == 0) firstError = errno;
            continue;
        }
        // Too deep to go on: what is below becomes a neighbour of the top's entries.
        if (open.size() >= deepest) {
            const std::string aside = ".cf-deep-" + std::to_string(moved++);
            if (::renameat(::dirfd(here), name.c_str(), top, aside.c_str()) == 0)
                ::rewinddir(open.front().first.get());
            else if (firstError == 0)
                firstError = errno;
            continue;
        }
        Directory below = openForRemoval(::dirfd(here), name.c_str());
        if (below)
            open.emplace_back(std::move(below), name);
        else if (firstError == 0)
            firstError = errno;
    }
    if (::unlinkat(at, path.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT && firstError == 0)
        firstError = errno;
    return firstError;
}

TreeMeasure::TreeMeasure(const std::string& path, TreeSize bounds, int at) : bounds_(bounds) {
    Directory top = openStream(::openat(at, path.c_str(), openFolder));
    if (top) open_.push_back(std::move(top));
}

size_t TreeMeasure::look(size_t entries) {
    size_t seen = 0;
    while (!open_.empty() && seen < entries) {
        ++seen;
        if (++looked_ / 4 > bounds_.files) {
            open_.clear();
            break;
        }
        DIR* const here = open_.back().get();
        const dirent* const entry = nextEntry(here);
        if (entry == nullptr) {
            open_.pop_back();
            continue;
        }
        struct stat status {};
        if (::fstatat(::dirfd(here), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
        ++size_.files;
        size_.bytes += static_cast<uint64_t>(status.st_blocks) * blockBytes;
        // A place to hide is as bad as a place that is too large.
        if (S_ISDIR(status.st_mode) && open_.size() >= deepest) size_.files = bounds_.files + 1;
        if (size_.bytes > bounds_.bytes || size_.files > bounds_.files) {
            open_.clear();
            break;
        }
        if (!S_ISDIR(status.st_mode)) continue;
        Directory below = openStream(::openat(::dirfd(here), entry->d_name, openFolder));
        if (below) open_.push_back(std::move(below));
    }
    return seen;
}

TreeSize sizeOfTree(const std::string& path, TreeSize bounds) {
    TreeMeasure measure(path, bounds);
    measure.look(SIZE_MAX);
    return measure.size();
}

}  // namespace cf::sandbox
