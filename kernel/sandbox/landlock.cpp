#include "sandbox/landlock.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "sandbox/files.hpp"
#include "sandbox/recipe.hpp"
#include "sandbox/syscalls.hpp"
#include "sandbox/task_folder.hpp"

namespace cf::sandbox {

namespace {

// Rights as of linux/landlock.h; spelled out because the header of the oldest supported
// distribution knows version 2 only.
constexpr uint64_t execute = 1u << 0;
constexpr uint64_t writeFiles = 1u << 1;
constexpr uint64_t readFiles = 1u << 2;
constexpr uint64_t readDirectory = 1u << 3;
constexpr uint64_t makeDevice = 1u << 6 | 1u << 11;
constexpr uint64_t refer = 1u << 13;                // since version 2
constexpr uint64_t truncate = 1u << 14;             // since version 3
constexpr uint64_t useDevice = 1u << 15;            // since version 5
constexpr uint64_t scopeAbstractSockets = 1u << 0;  // since version 6, both
constexpr uint64_t scopeSignals = 1u << 1;

constexpr uint64_t reads = readFiles | readDirectory;
constexpr uint64_t runs = reads | execute;
constexpr uint64_t onFiles = execute | writeFiles | readFiles | truncate | useDevice;

uint64_t rightsOf(int version) {
    uint64_t rights = (refer << 1) - 1;
    if (version >= 3) rights |= truncate;
    if (version >= 5) rights |= useDevice;
    return rights;
}

class Fence {
public:
    Fence(const Setup& setup, int version) : setup_(setup), handled_(rightsOf(version)) {
        sys::LandlockRules rules;
        rules.files = handled_;
        if (version >= 6) rules.scoped = scopeAbstractSockets | scopeSignals;
        rules_.reset(sys::landlockCreate(rules));
        setup.check(static_cast<bool>(rules_), "making rules for files");
    }

    // What cannot be opened cannot be used by the program either.
    void allow(const char* path, uint64_t rights, int at = AT_FDCWD) const {
        const base::UniqueFd place(::openat(at, path, O_PATH | O_CLOEXEC));
        if (place) allow(place.get(), rights);
    }
    void allow(int place, uint64_t rights) const {
        struct stat status {};
        setup_.check(::fstat(place, &status) == 0, "looking at a path of its rules for files");
        if (!S_ISDIR(status.st_mode)) rights &= onFiles;
        sys::LandlockPath rule;
        rule.rights = rights & handled_;
        rule.place = place;
        setup_.check(sys::landlockAdd(rules_.get(), rule) == 0, "adding a rule for files");
    }
    // All but device nodes, which take a privilege that no program has.
    uint64_t everything() const { return handled_ & ~makeDevice & ~useDevice; }
    base::UniqueFd take() { return std::move(rules_); }

private:
    const Setup& setup_;
    uint64_t handled_;
    base::UniqueFd rules_;
};

void allowOwnRoot(const Fence& fence, const Launch& launch) {
    // Artifact and layers come later, as mounts. Landlock does not look at the place where a mount
    // lies but at that place's parent, which for /function is the root itself. The rule is about
    // this root: no path of the machine leads there.
    fence.allow("/", runs);
    for (const char* path : {"/tmp", "/dev/shm"}) fence.allow(path, fence.everything());
    for (const Mount& mount : launch.request.mounts)
        if (mount.kind != MountKind::readOnly)
            fence.allow(mount.target.c_str(), fence.everything());
}

// Rules only add, so a folder that is not to be read is one that no rule names: its neighbours are
// named one by one. Links are not; where they lead has a rule or none.
void allowAllBut(const Fence& fence, const std::string& folder, std::string_view closed) {
    for (const std::string& name : directoryNames(folder)) {
        const std::string path = folder + "/" + name;
        struct stat status {};
        if (name != closed && ::lstat(path.c_str(), &status) == 0 && !S_ISLNK(status.st_mode))
            fence.allow(path.c_str(), runs);
    }
}

// Without a root of its own: what the machine has for every program, what its plan names, and the
// folder of its own, where artifact and layers appear later.
void allowMachine(const Fence& fence, const Launch& launch) {
    allowAllBut(fence, "/usr", "local");
    allowAllBut(fence, "/usr/local", "etc");
    for (const char* path : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"})
        fence.allow(path, runs);
    for (const char* path :
         {"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
          "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/localtime",
          "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf",
          "/etc/host.conf", "/etc/gai.conf", "/etc/protocols", "/etc/services", "/etc/mime.types",
          "/etc/debian_version",  // pip of Debian fails without it
          "/proc"})
        fence.allow(path, reads);
    const int folders = launch.machine.taskFolders.get();
    const std::string own = taskFolder(launch.request.task);
    fence.allow(own.c_str(), runs, folders);
    fence.allow((own + "/tmp").c_str(), fence.everything(), folders);
    fence.allow("layers", runs, folders);
    for (const Mount& mount : launch.request.mounts)
        fence.allow(mount.target.c_str(),
                    mount.kind == MountKind::readOnly ? runs : fence.everything());
}

}  // namespace

int landlockVersion() { return std::max(0, sys::landlockVersion()); }

base::UniqueFd makeFence(const Launch& launch, const Setup& setup, int stub) {
    if (launch.machine.landlock < firstUsefulLandlock || launch.request.kind == TaskKind::probe)
        return {};
    Fence fence(setup, launch.machine.landlock);
    for (const char* path : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"})
        fence.allow(path, readFiles | writeFiles | truncate);
    // It is in no file system that the sandbox sees.
    if (stub >= 0) fence.allow(stub, runs);
    if ((launch.namespaces & CLONE_NEWNS) != 0)
        allowOwnRoot(fence, launch);
    else
        allowMachine(fence, launch);
    return fence.take();
}

void closeFence(const base::UniqueFd& fence, const Setup& setup) {
    if (!fence) return;
    setup.check(sys::landlockRestrict(fence.get()) == 0, "applying its rules for files");
}

}  // namespace cf::sandbox
