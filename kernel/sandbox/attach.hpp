// Late code: makes an artifact appear inside a sandbox that runs already. Launcher only.
#pragma once

#include <string>

#include "base/failure.hpp"
#include "base/unique_fd.hpp"

namespace cf::sandbox {

// Attaches artifacts. Keeps the way back to the launcher's own mount namespace.
class Attacher {
public:
    Attacher();
    // Mounts `artifact` (a directory) read-only at /function of the sandbox whose process `pidfd`
    // is. Failures: sandbox_failed.
    base::Result<void> attach(int pidfd, const std::string& artifact) const;

private:
    base::UniqueFd home_;
};

}  // namespace cf::sandbox
