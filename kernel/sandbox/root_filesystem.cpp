// Step 2: a root directory that has only what the program may see (mount_namespaces(7),
// pivot_root(2)).
#include "sandbox/root_filesystem.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "sandbox/syscalls.hpp"
#include "sandbox/task_folder.hpp"
#include "sandbox/trees.hpp"

namespace cf::sandbox {

namespace {

constexpr uint64_t readOnlyAttributes =
    sys::attributeReadOnly | sys::attributeNoSetuid | sys::attributeNoDevices;
constexpr const char* layersOptions = "size=16k,nr_inodes=128,mode=0755";
constexpr const char* rootOptions = "size=2m,nr_inodes=2k,mode=0755";

// Directories of the machine's root that modern systems have as links into /usr; older ones have
// them for real.
void addSystem(const NewRoot& root) {
    root.bind("/usr", "/usr", readOnlyAttributes);
    for (const char* path : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
        char target[PATH_MAX];
        const ssize_t size = ::readlink(path, target, sizeof target - 1);
        if (size > 0)
            root.link(std::string(target, static_cast<size_t>(size)), path);
        else
            root.bind(path, path, readOnlyAttributes);
    }
}

// The machine's own configuration, which everybody may read outside: tokens of registries, the
// properties of an installed platform. Nothing is ever in the root's own /function, over which
// artifacts are mounted.
void coverConfiguration(const NewRoot& root) {
    constexpr const char* configuration = "/usr/local/etc";
    sys::OpenHow how;
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = sys::resolveInRoot | sys::resolveNoMagicLinks;
    const base::UniqueFd there(sys::openat2(root.fd(), configuration, how));
    struct stat status {};
    // A link leads to what the sandbox has at that place.
    if (!there || ::fstat(there.get(), &status) != 0 || !S_ISDIR(status.st_mode)) return;
    const base::UniqueFd empty(
        ::openat(root.fd(), "function", O_PATH | O_DIRECTORY | O_CLOEXEC));
    root.setup().check(static_cast<bool>(empty), "opening an empty directory");
    root.bindOpen(empty.get(), "an empty directory", configuration, readOnlyAttributes);
}

}  // namespace

NewRoot::NewRoot(const Launch& launch, const Setup& setup) : launch_(launch), setup_(setup) {
    // Nothing that is mounted here may show outside, and nothing from outside here.
    setup.check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0,
                "making mounts private");
    setup.check(::mount("tmpfs", stagingPath, "tmpfs", MS_NOSUID | MS_NODEV, rootOptions) == 0,
                "mounting a new root");
    root_.reset(::open(stagingPath, O_PATH | O_DIRECTORY | O_CLOEXEC));
    setup.check(static_cast<bool>(root_), "opening the new root");
}

void NewRoot::directory(const std::string& path, mode_t mode) const {
    setup_.check(::mkdirat(root_.get(), path.c_str() + 1, mode) == 0 || errno == EEXIST,
                 "making " + path);
}

void NewRoot::link(const std::string& target, const std::string& path) const {
    setup_.check(::symlinkat(target.c_str(), root_.get(), path.c_str() + 1) == 0, "making " + path);
}

void NewRoot::file(const std::string& path, const std::string& content) const {
    const base::UniqueFd fd(
        ::openat(root_.get(), path.c_str() + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
    setup_.check(fd && ::write(fd.get(), content.data(), content.size()) ==
                           static_cast<ssize_t>(content.size()),
                 "writing " + path);
}

void NewRoot::temporary(const std::string& path, const std::string& options) const {
    directory(path);
    setup_.check(
        ::mount("tmpfs", staged(path).c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0,
        "mounting " + path);
}

base::UniqueFd NewRoot::target(const std::string& path, bool isDirectory) const {
    sys::OpenHow how;
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = sys::resolveInRoot | sys::resolveNoMagicLinks;
    base::UniqueFd found(sys::openat2(root_.get(), path.c_str(), how));
    if (found) return found;
    setup_.check(errno == ENOENT, "finding " + path);
    const size_t slash = path.find_last_of('/', path.find_last_not_of('/'));
    const std::string name = path.substr(slash + 1);
    const base::UniqueFd parent = target(slash == 0 ? "/" : path.substr(0, slash), true);
    if (isDirectory) {
        setup_.check(::mkdirat(parent.get(), name.c_str(), 0755) == 0, "making " + path);
    } else {
        const base::UniqueFd made(
            ::openat(parent.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
        setup_.check(static_cast<bool>(made), "making " + path);
    }
    found.reset(sys::openat2(root_.get(), path.c_str(), how));
    setup_.check(static_cast<bool>(found), "finding " + path);
    return found;
}

void NewRoot::attach(int tree, const std::string& name, const std::string& path,
                     uint64_t attributes, bool isDirectory) const {
    sys::MountAttributes wanted;
    wanted.set = attributes;
    wanted.propagation = MS_PRIVATE;
    setup_.check(sys::mountSetattr(tree, "", AT_EMPTY_PATH | sys::atRecursive, wanted) == 0,
                 "fencing in " + name);
    const base::UniqueFd place = target(path, isDirectory);
    setup_.check(sys::moveMount(tree, "", place.get(), "",
                                sys::moveFromEmptyPath | sys::moveToEmptyPath) == 0,
                 "mounting " + name + " at " + path);
}

bool NewRoot::bind(const std::string& source, const std::string& path, uint64_t attributes) const {
    const base::UniqueFd tree(
        sys::openTree(AT_FDCWD, source.c_str(), sys::openTreeClone | O_CLOEXEC | sys::atRecursive));
    if (!tree && (errno == ENOENT || errno == ENOTDIR)) return false;
    setup_.check(static_cast<bool>(tree), "opening " + source);
    struct stat status {};
    setup_.check(::fstat(tree.get(), &status) == 0, "looking at " + source);
    attach(tree.get(), source, path, attributes, S_ISDIR(status.st_mode));
    return true;
}

void NewRoot::bindOpen(int source, const std::string& name, const std::string& path,
                       uint64_t attributes) const {
    const base::UniqueFd tree(sys::openTree(
        source, "", sys::openTreeClone | O_CLOEXEC | sys::atRecursive | AT_EMPTY_PATH));
    setup_.check(static_cast<bool>(tree), "opening " + name);
    attach(tree.get(), name, path, attributes, true);
}

namespace {

// Hands the directory of a writable mount to the tool. Whoever speaks for the kernel must not get
// at other people's directories that way.
base::UniqueFd openWritable(const Launch& launch, const Setup& setup, const Mount& mount) {
    base::UniqueFd source(
        ::open(mount.source.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!source && errno == ENOENT && mount.optional) return source;
    setup.check(static_cast<bool>(source), "opening " + mount.source);
    const uid_t kernelUid = launch.machine.options.kernelUid;
    if (!launch.machine.root || launch.uid == kernelUid) return source;
    struct stat status {};
    setup.check(::fstat(source.get(), &status) == 0, "looking at " + mount.source);
    if (status.st_uid != kernelUid)
        setup.fail("The directory " + mount.source +
                       " may not be made writable: it is not the platform's own",
                   0);
    const int error = changeOwner(::fcntl(source.get(), F_DUPFD_CLOEXEC, 0), {kernelUid, kernelUid},
                                  launch.uid, launch.gid);
    if (error != 0) setup.fail("giving " + mount.source + " to the tool", error);
    return source;
}

}  // namespace

void addMounts(const NewRoot& root) {
    const Launch& launch = root.launch();
    size_t overlays = 0;
    for (const Mount& mount : launch.request.mounts) {
        if (mount.kind == MountKind::overlay) {
            addOverlay(root, mount, overlays++);
            continue;
        }
        if (mount.kind == MountKind::readOnly) {
            if (!root.bind(mount.source, mount.target, readOnlyAttributes) && !mount.optional)
                root.setup().fail("The path " + mount.source + " that it needs does not exist", 0);
            continue;
        }
        const base::UniqueFd source = openWritable(launch, root.setup(), mount);
        if (!source) continue;
        root.bindOpen(source.get(), mount.source, mount.target,
                      sys::attributeNoSetuid | sys::attributeNoDevices);
    }
}

void useMachinesRoot(const Launch& launch, const Setup& setup) {
    if (launch.request.kind == TaskKind::probe) return;
    ::umask(0);
    size_t overlays = 0;
    for (const Mount& mount : launch.request.mounts) {
        const size_t overlay = mount.kind == MountKind::overlay ? overlays++ : 0;
        if (::access(mount.source.c_str(), F_OK) != 0) {
            if (mount.optional) continue;
            setup.fail("The path " + mount.source + " that it needs does not exist", 0);
        }
        if (mount.kind == MountKind::writable) openWritable(launch, setup, mount);
        if (mount.kind != MountKind::overlay) continue;
        // The tool owns the folders and may add to them; the files stay the cache's.
        const int error = linkTree(mount.source, overlayFolder(launch.request.task, overlay),
                                   launch.uid, launch.gid, launch.machine.taskFolders.get());
        if (error != 0) setup.fail("making a scratch layer over " + mount.source, error);
    }
}

void buildRoot(const Launch& launch, const Setup& setup) {
    ::umask(0);
    const NewRoot root(launch, setup);
    const Limits& limits = launch.request.limits;
    addSystem(root);
    addDevices(root);
    addEtc(root);
    root.directory("/function");
    coverConfiguration(root);
    // Read-only before the program starts; the launcher makes a place for each layer (attach.cpp).
    root.temporary("/layers", layersOptions);
    root.temporary("/tmp", "mode=1777,size=" + std::to_string(limits.tmpBytes) +
                               ",nr_inodes=" + std::to_string(limits.tmpInodes));
    addMounts(root);
    addProc(root);

    setup.check(::fchdir(root.fd()) == 0, "entering the new root");
    setup.check(sys::pivotRoot(".", ".") == 0, "changing the root");
    // Both roots now lie on "/", the old one on top: it goes, with everything below it.
    setup.check(::umount2(".", MNT_DETACH) == 0, "leaving the old root");
    setup.check(::chdir("/") == 0, "entering the new root");
    sys::MountAttributes readOnly;
    readOnly.set = readOnlyAttributes;
    setup.check(sys::mountSetattr(AT_FDCWD, "/layers", 0, readOnly) == 0 &&
                    sys::mountSetattr(AT_FDCWD, "/", 0, readOnly) == 0,
                "making the root read-only");
}

}  // namespace cf::sandbox
