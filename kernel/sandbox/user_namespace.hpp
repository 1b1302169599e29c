// Step 0 without root: an unprivileged user is "root" in a user namespace of its own, which is
// enough to make the other namespaces (user_namespaces(7)). Only this one user exists in it.
// Supervisor only. Step 5 without root: one more for each sandbox.
#pragma once

namespace cf::sandbox {

// True after enterUserNamespace() has done its work.
bool inOwnUserNamespace();

// For an unprivileged process: enters the namespace and executes the platform's own file again,
// because the memory of a process belongs to the user namespace of its execve, and who may look at
// a process depends on that (ptrace(2)). `control` stays open across it. Comes back only when
// namespaces are not allowed here; nothing has changed then.
void enterUserNamespace(int control);

// Whether Linux counts the processes of a user namespace inside of that one, apart from the same
// user's others: RLIMIT_NPROC then holds a single sandbox (Linux 5.14, user_namespaces(7)). Finds
// out with throw-away processes. False, too, where the user is exempt from that limit or there can
// be no further namespace.
bool countsProcessesApart();

// For a process with one thread: a user namespace for it and what it starts, with the same one user
// in it and, until capabilities are dropped, power over nothing but itself. 0 or errno.
int enterInnerUserNamespace();

}  // namespace cf::sandbox
