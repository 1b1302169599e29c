// Step 2, /proc: of the new pid namespace, so it shows the sandbox's own processes. What speaks of
// the whole machine and runtimes do not need is covered; what configures the machine is read-only,
// although its owner is root anyway.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "sandbox/root_filesystem.hpp"
#include "sandbox/syscalls.hpp"

namespace cf::sandbox {

namespace {

constexpr const char* covered[] = {"kcore",      "keys",      "key-users",   "kmsg",
                                   "kallsyms",   "modules",   "sched_debug", "sysrq-trigger",
                                   "timer_list", "interrupts",  "softirqs",    "cmdline",
                                   "config.gz",  "diskstats",   "partitions",  "locks"};
constexpr const char* coveredDirectories[] = {"acpi", "scsi", "asound"};
constexpr const char* readOnly[] = {"bus", "fs", "irq", "sys"};

void cover(const NewRoot& root, const std::string& path, int with) {
    // Looked for first: a tree that finds no place makes the process wait for a grace period of
    // RCU when it is closed.
    if (::faccessat(root.fd(), path.c_str(), F_OK, 0) != 0) return;
    const base::UniqueFd tree(
        sys::openTree(with, "", sys::openTreeClone | O_CLOEXEC | AT_EMPTY_PATH));
    root.setup().check(static_cast<bool>(tree), "covering " + path);
    root.setup().check(
        sys::moveMount(tree.get(), "", root.fd(), path.c_str(), sys::moveFromEmptyPath) == 0,
        "covering " + path);
}

}  // namespace

void addProc(const NewRoot& root) {
    root.directory("/proc", 0555);
    const std::string staged = root.staged("/proc");
    root.setup().check(
        ::mount("proc", staged.c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0,
        "mounting /proc");
    const base::UniqueFd null(::openat(root.fd(), "dev/null", O_PATH | O_CLOEXEC));
    for (const char* name : covered) cover(root, std::string("proc/") + name, null.get());
    for (const char* name : coveredDirectories)
        if (::access((staged + "/" + name).c_str(), F_OK) == 0)
            root.setup().check(
                ::mount("tmpfs", (staged + "/" + name).c_str(), "tmpfs",
                        MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=0555") == 0,
                std::string("covering /proc/") + name);
    for (const char* name : readOnly) {
        const std::string path = staged + "/" + name;
        const base::UniqueFd tree(
            sys::openTree(AT_FDCWD, path.c_str(), sys::openTreeClone | O_CLOEXEC));
        if (!tree) continue;
        sys::MountAttributes attributes;
        attributes.set = sys::attributeReadOnly;
        const bool done =
            sys::mountSetattr(tree.get(), "", AT_EMPTY_PATH, attributes) == 0 &&
            sys::moveMount(tree.get(), "", AT_FDCWD, path.c_str(), sys::moveFromEmptyPath) == 0;
        root.setup().check(done, std::string("making /proc/") + name + " read-only");
    }
    // A number that is the machine's until it is started again: another one each time it is read.
    const base::UniqueFd numbers(
        ::openat(root.fd(), "proc/sys/kernel/random/uuid", O_PATH | O_CLOEXEC));
    if (numbers) cover(root, "proc/sys/kernel/random/boot_id", numbers.get());
}

}  // namespace cf::sandbox
