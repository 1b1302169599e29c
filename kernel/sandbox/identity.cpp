// Step 5b: an own user, no groups, an own session and keyring. Nothing in the sandbox belongs to
// anybody else, and nobody else's signals, keys or files reach it (credentials(7),
// session-keyring(7)).
#include <linux/keyctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/recipe.hpp"

namespace cf::sandbox {

gid_t toolGroup(const Machine& machine) {
    const LauncherOptions& options = machine.options;
    const bool needed = machine.root && !machine.isolated() && !options.privateFolder.empty();
    return needed && options.uidBase != 0 ? options.uidBase + options.uidCount : 0;
}

// The calls themselves: the C library's also signal the threads that it knows of, and what it knows
// here is what the launcher had when the kernel copied it.
void takeIdentity(const Launch& launch, const Setup& setup) {
    ::setsid();
    // What a tool makes is read by workers, which are other users.
    ::umask(launch.request.kind == TaskKind::worker ? 077 : 022);
    // Kernels without key support answer ENOSYS; there is then no keyring to share either.
    ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
    // In an own user namespace there is only one user, and setgroups is denied for good.
    if (!launch.machine.root) return;
    // Without mount namespaces a tool works in the platform's folders where they are; this group
    // opens the way there, and nothing else.
    const gid_t tools = toolGroup(launch.machine);
    const bool opensWay = launch.request.kind == TaskKind::tool && tools != 0;
    setup.check(::syscall(SYS_setgroups, opensWay ? 1 : 0, &tools) == 0, "leaving all groups");
    setup.check(::syscall(SYS_setresgid, launch.gid, launch.gid, launch.gid) == 0,
                "taking its own group id");
    setup.check(::syscall(SYS_setresuid, launch.uid, launch.uid, launch.uid) == 0,
                "taking its own user id");
}

}  // namespace cf::sandbox
