// How the kernel process gives up root: it keeps a lock on its data, hands the folders to the user `cloudfunction`, keeps
// the few folders it needs reachable, and becomes that user. The launcher, started before, is the only one left as root.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/failure.hpp"
#include "sandbox/launch_spec.hpp"

namespace cf::app {

struct KernelUser {
    uid_t uid = 0;
    gid_t gid = 0;
    bool drop = false;          // become it; false: stay who we are
    sandbox::Layer layer{};     // for health
};

// Root becomes `cloudfunction` where that user exists; everybody else stays.
KernelUser findKernelUser();

// Gives `dir` and everything below it to the user, when its owner is somebody else.
base::Result<void> handOver(const std::string& dir, const KernelUser& user);

// Becomes the user for good. `keep` are folders it must be able to enter although a parent of theirs may be private
// (a checkout below /root): in a mount namespace of its own the private parent is covered by an empty one that holds
// nothing but these. Single-threaded, root.
base::Result<void> becomeKernelUser(const KernelUser& user, const std::vector<std::string>& keep);

}  // namespace cf::app
