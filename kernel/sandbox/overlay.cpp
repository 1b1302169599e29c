// Step 2, tools: a cache that a tool may use as if it were its own. Writes go to a layer in memory
// that dies with the sandbox (Documentation/filesystems/overlayfs.rst).
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "sandbox/root_filesystem.hpp"

namespace cf::sandbox {

namespace {

std::string escaped(const std::string& path) {
    std::string text;
    for (const char c : path) {
        if (c == ':' || c == ',' || c == '\\') text += '\\';
        text += c;
    }
    return text;
}

// The tool is another user than the cache's owner and could not add files to its directories. So
// the scratch layer repeats the directories, owned by the tool; overlayfs takes a merged
// directory's owner from the upper one.
struct Level {
    std::unique_ptr<DIR, int (*)(DIR*)> lower;
    base::UniqueFd upper;
};

void repeatDirectories(const NewRoot& root, int lower, int upper) {
    const Launch& launch = root.launch();
    std::vector<Level> path;
    path.push_back({{::fdopendir(lower), ::closedir}, base::UniqueFd(upper)});
    while (!path.empty()) {
        root.setup().check(path.back().lower != nullptr, "reading a cache");
        const dirent* const entry = ::readdir(path.back().lower.get());
        if (entry == nullptr) {
            path.pop_back();
            continue;
        }
        const char* const name = entry->d_name;
        if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0 ||
            (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
            continue;
        const int below = ::openat(::dirfd(path.back().lower.get()), name,
                                   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0) continue;
        const int over = path.back().upper.get();
        const bool made = ::mkdirat(over, name, 0755) == 0 &&
                          ::fchownat(over, name, launch.uid, launch.gid, AT_SYMLINK_NOFOLLOW) == 0;
        base::UniqueFd made2(
            made ? ::openat(over, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1);
        root.setup().check(static_cast<bool>(made2), "preparing a scratch layer");
        path.push_back({{::fdopendir(below), ::closedir}, std::move(made2)});
    }
}

}  // namespace

void addOverlay(const NewRoot& root, const Mount& mount, size_t index) {
    const Setup& setup = root.setup();
    const Launch& launch = root.launch();
    const base::UniqueFd lower(::open(mount.source.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lower) {
        if (errno == ENOENT && mount.optional) return;
        setup.fail("opening " + mount.source, errno);
    }
    if (index == 0) {
        root.directory("/.scratch", 0700);
        root.temporary("/.scratch",
                       "mode=0700,size=" + std::to_string(launch.request.limits.tmpBytes));
    }
    const std::string base = "/.scratch/" + std::to_string(index);
    const std::string upper = base + "/upper";
    const std::string work = base + "/work";
    root.directory(base);
    root.directory(upper);
    root.directory(work);
    base::UniqueFd top(::openat(root.fd(), upper.c_str() + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    setup.check(top && ::fchown(top.get(), launch.uid, launch.gid) == 0,
                "preparing a scratch layer");
    struct stat owner {};
    if (::fstat(lower.get(), &owner) == 0 && owner.st_uid != launch.uid)
        repeatDirectories(root, ::fcntl(lower.get(), F_DUPFD_CLOEXEC, 0), top.release());

    std::string options = "lowerdir=" + escaped(mount.source) +
                          ",upperdir=" + escaped(root.staged(upper)) +
                          ",workdir=" + escaped(root.staged(work));
    if (!launch.machine.root) options += ",userxattr";
    const base::UniqueFd place = root.target(mount.target, true);
    // Overlayfs takes its layers by path while mounting, so the place is given by directory
    // instead.
    setup.check(::fchdir(place.get()) == 0, "entering " + mount.target);
    setup.check(::mount("overlay", ".", "overlay", MS_NOSUID | MS_NODEV, options.c_str()) == 0,
                "mounting an overlay of " + mount.source);
    setup.check(::chdir("/") == 0, "leaving " + mount.target);
}

}  // namespace cf::sandbox
