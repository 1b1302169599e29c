#include "sandbox/attach.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "sandbox/messages.hpp"
#include "sandbox/syscalls.hpp"

namespace cf::sandbox {

namespace {

// A directory of the machine, cut loose from its place: to be moved into a sandbox. Without a
// descriptor `what` says what failed, with errno.
struct Tree {
    base::UniqueFd fd{};
    const char* what = nullptr;
};

Tree cut(const std::string& path) {
    base::UniqueFd fd(sys::openTree(AT_FDCWD, path.c_str(),
                                    sys::openTreeClone | O_CLOEXEC | AT_SYMLINK_NOFOLLOW));
    if (!fd) return {{}, "opening it"};
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return {{}, "looking at it"};
    errno = ENOTDIR;
    if (!S_ISDIR(status.st_mode)) return {{}, "opening it"};
    sys::MountAttributes readOnly;
    readOnly.set = sys::attributeReadOnly | sys::attributeNoSetuid | sys::attributeNoDevices;
    readOnly.propagation = MS_PRIVATE;
    if (sys::mountSetattr(fd.get(), "", AT_EMPTY_PATH, readOnly) != 0)
        return {{}, "making it read-only"};
    return {std::move(fd), nullptr};
}

// Where a tree is to be, inside the sandbox.
bool place(const Tree& tree, const std::string& target) {
    return sys::moveMount(tree.fd.get(), "", AT_FDCWD, target.c_str(), sys::moveFromEmptyPath) == 0;
}

bool setLayersWritable(bool writable) {
    sys::MountAttributes change;
    (writable ? change.clear : change.set) = sys::attributeReadOnly;
    return sys::mountSetattr(AT_FDCWD, "/layers", 0, change) == 0;
}

}  // namespace

Attacher::Attacher() : home_(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)) {
    // Linux refuses setns while root and working directory are shared with another thread, as that
    // of a thread sanitizer is.
    ::unshare(CLONE_FS);
}

base::Result<void> Attacher::attach(int pidfd, const std::string& artifact,
                                    const std::vector<std::string>& layers) const {
    const auto failed = [](const std::string& path, const std::string& what) {
        return base::Failure{"sandbox_failed", "The directory " + path +
                                                   " could not be attached: " + what + ": " +
                                                   std::strerror(errno) + "."};
    };
    const Tree code = cut(artifact);
    if (!code.fd) return failed(artifact, code.what);
    std::vector<Tree> trees;
    for (const auto& layer : layers) {
        trees.push_back(cut(layer));
        if (!trees.back().fd) return failed(layer, trees.back().what);
    }
    // setns also moves root and working directory to the namespace's root, there and back
    // (setns(2)).
    if (::setns(pidfd, CLONE_NEWNS) != 0) return failed(artifact, "entering the sandbox");
    const std::string* unplaced = place(code, "/function") ? nullptr : &artifact;
    if (unplaced == nullptr && !layers.empty()) {
        if (!setLayersWritable(true)) unplaced = &layers[0];
        for (size_t i = 0; unplaced == nullptr && i < layers.size(); ++i) {
            const std::string target = "/layers/" + layerName(layers[i]);
            if (::mkdir(target.c_str(), 0755) != 0 || !place(trees[i], target))
                unplaced = &layers[i];
        }
        if (unplaced == nullptr && !setLayersWritable(false)) unplaced = &layers[0];
    }
    const int error = errno;
    // A launcher that is stuck in a worker's file system is of no use; its successor is whole.
    if (::setns(home_.get(), CLONE_NEWNS) != 0) std::abort();
    errno = error;
    if (unplaced != nullptr) return failed(*unplaced, "mounting it in the sandbox");
    return {};
}

}  // namespace cf::sandbox
