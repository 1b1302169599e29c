#include "sandbox/task_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "sandbox/trees.hpp"

namespace cf::sandbox {

namespace {

constexpr const char* layersFolder = "layers";

// Not left to the umask.
int makeOwnFolder(int at, const std::string& path, mode_t mode, uid_t uid, gid_t gid) {
    if (::mkdirat(at, path.c_str(), mode) != 0 || ::fchmodat(at, path.c_str(), mode, 0) != 0)
        return errno;
    if (uid == ::geteuid()) return 0;
    return ::fchownat(at, path.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

// `path` when it is `from` or below it, with `to` in its place.
bool replaceFront(std::string& path, const std::string& from, const std::string& to) {
    if (!path.starts_with(from) || (path.size() > from.size() && path[from.size()] != '/'))
        return false;
    path.replace(0, from.size(), to);
    return true;
}

std::string replaced(std::string part, const std::vector<Mount>& mounts,
                     const std::string& folder) {
    // The later mount covers the earlier one.
    for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount)
        if (replaceFront(part, mount->target, mount->source)) return part;
    replaceFront(part, "/tmp", folder + "/tmp");
    return part;
}

}  // namespace

std::string taskFolder(const std::string& folder, TaskId task) {
    return folder + "/" + taskFolder(task);
}

std::string taskFolder(TaskId task) { return std::to_string(task); }

std::string overlayFolder(TaskId task, size_t index) {
    return taskFolder(task) + "/overlay" + std::to_string(index);
}

base::UniqueFd makeTaskFolders(const std::string& path) {
    constexpr int high = 16;  // out of the way of the program's descriptors
    removeTree(path);
    // Searched by everybody, listed by nobody.
    constexpr mode_t mode = 0711;
    if (::mkdir(path.c_str(), mode) != 0) return {};
    base::UniqueFd made(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!made || ::fstat(made.get(), &status) != 0) return {};
    errno = EPERM;
    if (status.st_uid != ::geteuid() || ::fchmod(made.get(), mode) != 0) return {};
    errno = makeOwnFolder(made.get(), layersFolder, mode, ::geteuid(), ::getegid());
    if (errno != 0) return {};
    return base::UniqueFd(::fcntl(made.get(), F_DUPFD_CLOEXEC, high));
}

int makeTaskFolder(int folders, TaskId task, uid_t uid, gid_t gid) {
    const std::string own = taskFolder(task);
    // Searched by its user, who is in the group, and owned by root: nothing in it can be replaced.
    if (const int error = makeOwnFolder(folders, own, 0710, ::geteuid(), gid); error != 0)
        return error;
    if (uid != ::geteuid() &&
        ::fchownat(folders, own.c_str(), ::geteuid(), gid, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    return makeOwnFolder(folders, own + "/tmp", 0700, uid, gid);
}

int fillTaskFolder(int folders, TaskId task, const AttachRequest& request, std::string& what) {
    what = request.path;
    if (const int error = linkTree(request.path, taskFolder(task) + "/function", ::geteuid(),
                                   ::getegid(), folders);
        error != 0)
        return error;
    for (const std::string& layer : request.layers) {
        what = layer;
        const std::string made = std::string(layersFolder) + "/" + layerName(layer);
        if (::faccessat(folders, made.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) continue;
        const std::string partial = std::string(layersFolder) + "/.partial";
        removeTree(partial, folders);
        if (const int error = linkTree(layer, partial, ::geteuid(), ::getegid(), folders);
            error != 0)
            return error;
        if (::renameat(folders, partial.c_str(), folders, made.c_str()) != 0) return errno;
    }
    return 0;
}

std::string translated(const std::string& text, const std::vector<Mount>& mounts,
                       const std::string& folder) {
    std::string out;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find_first_of(":=", at), text.size());
        out += replaced(text.substr(at, end - at), mounts, folder);
        if (end < text.size()) out += text[end];
        at = end + 1;
    }
    return out;
}

StartRequest translated(StartRequest request, const std::string& folder) {
    // A scratch layer over a cache is a tree of its own that shares the cache's files.
    size_t overlays = 0;
    std::vector<Mount> seen = request.mounts;
    for (Mount& mount : seen)
        if (mount.kind == MountKind::overlay)
            mount.source = folder + "/overlay" + std::to_string(overlays++);
    for (auto* list : {&request.argv, &request.environment})
        for (std::string& text : *list) text = translated(text, seen, folder);
    const auto isTmpdir = [](const std::string& text) { return text.starts_with("TMPDIR="); };
    if (std::none_of(request.environment.begin(), request.environment.end(), isTmpdir))
        request.environment.push_back("TMPDIR=" + folder + "/tmp");
    request.directory = translated(request.directory, seen, folder);
    // From here on a mount's target is where it is found on this machine.
    for (size_t i = 0; i < seen.size(); ++i) request.mounts[i].target = seen[i].source;
    return request;
}

}  // namespace cf::sandbox
