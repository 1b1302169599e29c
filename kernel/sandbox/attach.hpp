// Late code: makes an artifact and the layers that it needs appear inside a sandbox that runs
// already. Launcher only.
#pragma once

#include <string>
#include <vector>

#include "base/failure.hpp"
#include "base/unique_fd.hpp"

namespace cf::sandbox {

// Attaches artifacts. Keeps the way back to the launcher's own mount namespace.
class Attacher {
public:
    Attacher();
    // Mounts `artifact` (a directory) read-only at /function of the sandbox whose process `pidfd`
    // is, and each of `layers` at /layers/<its last part>. After a failure some of them may be
    // there: such a worker is of no use. Failures: sandbox_failed.
    base::Result<void> attach(int pidfd, const std::string& artifact,
                              const std::vector<std::string>& layers) const;

private:
    base::UniqueFd home_;
};

}  // namespace cf::sandbox
