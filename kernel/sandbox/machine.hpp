// Finds out what the machine can give by doing it: each kind of namespace once, and one whole
// throw-away sandbox that looks at itself from inside. Supervisor only, before the first launcher
// is forked.
#pragma once

#include <vector>

#include "sandbox/recipe.hpp"

namespace cf::sandbox {

// Makes the control groups, opens the stub and the report pipe.
// `platform` are the processes that pure cgroup v2 makes move to a leaf.
Machine prepareMachine(const LauncherOptions& options, const std::vector<pid_t>& platform);

// Runs the throw-away sandbox. When it does not work as a whole, `machine` is reduced to plain
// processes.
std::vector<Layer> testLayers(Machine& machine);

// Removes the folders of tasks that an earlier run left, and makes the place for new ones where
// they are needed (task_folder.hpp). False: it could not be made.
bool prepareTaskFolders(Machine& machine);

// Who a worker or tool without a slot of its own runs as.
uid_t sharedUid(const Machine& machine);
gid_t sharedGid(const Machine& machine);

}  // namespace cf::sandbox
