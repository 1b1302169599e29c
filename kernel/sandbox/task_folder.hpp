// What stands in for a file system of its own where there are no mount namespaces (an ordinary
// container, a user without rights): a folder for each worker and tool, below one of the platform.
//
//   <folder>/<task>/            entered by the task's user alone, written by nobody
//   <folder>/<task>/tmp/        its /tmp
//   <folder>/<task>/function/   the artifact, as hard links
//   <folder>/layers/<key>/      dependency layers, as hard links, shared by those that name them
//
// Nothing is mounted, so a path of a plan that should appear elsewhere (/opt/cloudfunction/x) is
// replaced by what it stands for wherever arguments and environment name it. Paths that a program
// has built in, /tmp above all, are not: the fence around files refuses them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "sandbox/messages.hpp"

namespace cf::sandbox {

// Both sides of the control socket know where a task's artifact is.
std::string taskFolder(const std::string& folder, TaskId task);

// Launcher: the folder of all, emptied and made anew; nothing with errno. The path to it belongs to
// the kernel's user, so it is good for this once and for what runs without privileges. The launcher
// goes on with the descriptor: what is below belongs to root, and nobody else can replace it.
base::UniqueFd makeTaskFolders(const std::string& path);

// Below that descriptor.
std::string taskFolder(TaskId task);
std::string overlayFolder(TaskId task, size_t index);

// Launcher: makes the folder and its tmp for a task that is about to start. 0 or errno.
int makeTaskFolder(int folders, TaskId task, uid_t uid, gid_t gid);

// Launcher: the artifact and layers of a worker appear. 0 or errno; `what` is what failed.
int fillTaskFolder(int folders, TaskId task, const AttachRequest& request, std::string& what);

// The request with the paths of this machine, and TMPDIR where it names none: programs ask it
// before they try /tmp.
StartRequest translated(StartRequest request, const std::string& taskFolder);
// One argument or value of the environment: its parts between ':' and '=' that begin with a
// mount's target or with /tmp.
std::string translated(const std::string& text, const std::vector<Mount>& mounts,
                       const std::string& taskFolder);

}  // namespace cf::sandbox
