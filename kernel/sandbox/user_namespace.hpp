// Step 0 without root: an unprivileged user is "root" in a user namespace of its own, which is
// enough to make the other namespaces (user_namespaces(7)). Only this one user exists in it.
// Supervisor only.
#pragma once

namespace cf::sandbox {

// True after enterUserNamespace() has done its work.
bool inOwnUserNamespace();

// For an unprivileged process: enters the namespace and executes the platform's own file again,
// because the memory of a process belongs to the user namespace of its execve, and who may look at
// a process depends on that (ptrace(2)). `control` stays open across it. Comes back only when
// namespaces are not allowed here; nothing has changed then.
void enterUserNamespace(int control);

}  // namespace cf::sandbox
