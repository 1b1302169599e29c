// The launcher process: one loop that carries out the kernel's requests. Forked by the supervisor, and again whenever it
// dies; it keeps nothing that a successor could not learn from the kernel and the control groups.
#pragma once

#include <sys/types.h>

#include "base/unique_fd.hpp"
#include "sandbox/recipe.hpp"

namespace cf::sandbox {

// Runs until the kernel's end of `control` closes; then 0. `restarted`: an earlier launcher died.
int runLauncher(const Machine& machine, base::UniqueFd control, pid_t supervisor, bool restarted);

}  // namespace cf::sandbox
