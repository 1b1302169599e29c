// The recipe: how a request becomes a fenced-in process. One mechanism a file, in the order in
// which they happen; this header is the list. Everything that takes a `Setup` runs in the new
// process, between clone3 and execve. The reader's guide with the reasons is docs/sandbox.md.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.hpp"
#include "base/unique_fd.hpp"
#include "sandbox/cgroup.hpp"
#include "sandbox/messages.hpp"
#include "sandbox/seccomp.hpp"

namespace cf::sandbox {

class Router;

// What this machine can give; found once by the supervisor (machine.cpp) and inherited by every
// launcher it forks.
struct Machine {
    LauncherOptions options{};
    bool root = false;              // may run sandboxes as other users
    bool ownUserNamespace = false;  // not root: inside a user namespace in which this user is 0
    bool innerUserNamespaces = false;  // each sandbox has one of its own, for its process limit
    uint64_t namespaces = 0;        // CLONE_NEW* that work here; 0: plain processes
    CgroupTree cgroups{};
    int landlock = 0;  // version of Landlock that is used; 0: none
    SyscallFilter filter{}, filterWithoutInternet{};  // empty: none could be made
    std::string filterFault{};                        // why
    base::UniqueFd stub{};        // the stub's executable
    base::UniqueFd taskFolders{};  // where tasks have folders (task_folder.hpp); none with mounts
    std::shared_ptr<Router> router{};  // the way out for sandboxes; none where there is none
    base::UniqueFd supervisor{};  // its pidfd
    base::UniqueFd reportsIn{};   // where Report records are read, by the launcher
    base::UniqueFd reportsOut{};  // where supervisor and pid 1s write them
    bool isolated() const { return namespaces != 0; }
};

// Without mount namespaces, workers and tools have a folder of their own (task_folder.hpp).
inline bool usesTaskFolder(const Machine& machine, TaskKind kind) {
    return !machine.isolated() && kind != TaskKind::probe;
}
// The group of tools that have to enter the platform's private folder; 0: no tool has to.
gid_t toolGroup(const Machine& machine);

// How a process ended; written to one pipe by every pid 1 (for the program it started, `task` set)
// and by the supervisor (for each of its children, `pid` set). The pipe lives as long as the
// supervisor, so no end is lost with a launcher.
struct Report {
    TaskId task;
    int32_t pid;
    int32_t status;  // as of waitpid(2)
};

// What the steps work on. Descriptors are the sandbox's ends.
struct Launch {
    const Machine& machine;
    const StartRequest& request;
    uint64_t namespaces;
    uid_t uid;
    gid_t gid;
    const TaskCgroup& cgroup;
    int input;  // -1: /dev/null
    int output;
    int errors;
    int socket;         // becomes fd 3; -1: none
    void (*inspect)();  // instead of a program: the launcher's test of its own sandbox
    int network;        // a network namespace with a link to the router; -1: an empty one of its own
};

// Failures of a step travel through a pipe to the launcher, in words; a successful execve closes
// the pipe.
class Setup {
public:
    explicit Setup(int pipe) : pipe_(pipe) {}
    // Ends the process. `what` goes before the reason of `error` (errno): "mounting /usr".
    [[noreturn]] void fail(std::string_view what, int error) const;
    void check(bool ok, std::string_view what) const;
    int pipe() const { return pipe_; }

private:
    int pipe_;
};

// 1  namespaces.cpp: a process in new namespaces; 0 in the child, -1 and errno on failure. As
// `sibling` it is a child of
//    the supervisor, so that it outlives the launcher and its end is always heard. `cgroup` is where
//    it should be born, -1: nowhere; `inCgroup` says whether it was.
pid_t cloneIntoNamespaces(uint64_t namespaces, bool sibling, int cgroup, base::UniqueFd& pidfd,
                          bool& inCgroup);
void joinCgroup(const Launch& launch, const Setup& setup, bool inCgroup);
void nameHost(const Launch& launch, const Setup& setup);
// 2  root_filesystem.cpp, device_files.cpp, proc_files.cpp, etc_files.cpp, overlay.cpp,
// ownership.cpp
void buildRoot(const Launch& launch, const Setup& setup);
//    On machines without mount namespaces: what can be done for the request's mounts all the same.
void useMachinesRoot(const Launch& launch, const Setup& setup);
// 3  cgroup.hpp
// 4  descriptors.cpp
void arrangeDescriptors(const Launch& launch, const Setup& setup, int& stub);
// 5  user_namespace.hpp, resource_limits.cpp, identity.cpp
void limitResources(const Launch& launch, const Setup& setup);
void takeIdentity(const Launch& launch, const Setup& setup);
// 6  privileges.cpp
void dropPrivileges(const Launch& launch, const Setup& setup);
// 7  network.cpp
void enterNetwork(const Launch& launch, const Setup& setup);
// 8  landlock.cpp; made while there are privileges and descriptors left, closed when both are gone.
//    `stub` is the executable that no path of the sandbox leads to, -1: none
base::UniqueFd makeFence(const Launch& launch, const Setup& setup, int stub);
void closeFence(const base::UniqueFd& fence, const Setup& setup);
// 9  privileges.cpp, seccomp.hpp: from here on only calls of the list. The last step of all.
void filterSyscalls(const Launch& launch, const Setup& setup);
// and the two that tie them together: init.cpp (pid 1) and start.cpp
// Ends this process with the supervisor, also when that one ended before. Changing users undoes it.
void bindToSupervisor(const Launch& launch, const Setup& setup);
[[noreturn]] void runInit(const Launch& launch, const Setup& setup);
// A byte comes through `sealed` when pid 1 is ready.
[[noreturn]] void runProgram(const Launch& launch, const Setup& setup, int sealed);

// A task that is being set up. The launcher's ends.
struct Starting {
    pid_t pid = -1;
    base::UniqueFd pidfd{};
    base::UniqueFd setup{};  // failure text, or its end: the program runs
    TaskCgroup cgroup{};
    base::UniqueFd socket{}, input{}, output{}, errors{};  // the kernel's ends
};

struct StartOptions {
    uid_t uid = 0;
    gid_t gid = 0;
    bool sibling = true;
    void (*inspect)() = nullptr;
    int network = -1;
};

// Runs the recipe up to the point where the new process works on its own. Failures: sandbox_failed.
base::Result<Starting> startTask(const Machine& machine, const StartRequest& request,
                                 const StartOptions& options);

}  // namespace cf::sandbox
