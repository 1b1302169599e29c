#include "sandbox/attach.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "sandbox/syscalls.hpp"

namespace cf::sandbox {

Attacher::Attacher() : home_(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)) {}

base::Result<void> Attacher::attach(int pidfd, const std::string& artifact) const {
    const auto failed = [&](const char* what) {
        return base::Failure{"sandbox_failed", "The artifact " + artifact +
                                                   " could not be attached: " + what + ": " +
                                                   std::strerror(errno) + "."};
    };
    const base::UniqueFd tree(sys::openTree(AT_FDCWD, artifact.c_str(),
                                            sys::openTreeClone | O_CLOEXEC | AT_SYMLINK_NOFOLLOW));
    if (!tree) return failed("opening it");
    struct stat status {};
    if (::fstat(tree.get(), &status) != 0) return failed("looking at it");
    errno = ENOTDIR;
    if (!S_ISDIR(status.st_mode)) return failed("opening it");
    sys::MountAttributes readOnly;
    readOnly.set = sys::attributeReadOnly | sys::attributeNoSetuid | sys::attributeNoDevices;
    readOnly.propagation = MS_PRIVATE;
    if (sys::mountSetattr(tree.get(), "", AT_EMPTY_PATH, readOnly) != 0)
        return failed("making it read-only");
    // setns also moves root and working directory to the namespace's root, there and back
    // (setns(2)).
    if (::setns(pidfd, CLONE_NEWNS) != 0) return failed("entering the sandbox");
    const bool moved =
        sys::moveMount(tree.get(), "", AT_FDCWD, "/function", sys::moveFromEmptyPath) == 0;
    const int error = errno;
    // A launcher that is stuck in a worker's file system is of no use; its successor is whole.
    if (::setns(home_.get(), CLONE_NEWNS) != 0) std::abort();
    errno = error;
    if (!moved) return failed("mounting it at /function");
    return {};
}

}  // namespace cf::sandbox
