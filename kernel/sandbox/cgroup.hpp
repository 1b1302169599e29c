// Step 3 of the recipe: memory, process and CPU limits, and a kill that no process of a task
// escapes. Works with cgroup v1, with v2, and with both (v1 controllers for limits, the v2 tree for
// cgroup.kill). Launcher only, one thread. Reference: cgroups(7),
// Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/failure.hpp"
#include "base/unique_fd.hpp"
#include "sandbox/launch_spec.hpp"
#include "sandbox/launcher_client.hpp"

namespace cf::sandbox {

// The groups of one task. Groups are removed by TaskCgroup::remove, never by the destructor: they
// outlive launchers.
class TaskCgroup {
public:
    // How the task's first process gets into its groups, without waiting for a grace period of
    // RCU. The v2 group is an open directory in which clone3 can make it (CLONE_INTO_CGROUP), -1
    // without; a process made elsewhere writes "0" into joinV2(). For each v1 group it writes "0",
    // while it is its only thread. Closed with forgetJoin().
    int birthplace() const { return birthplace_.get(); }
    base::UniqueFd joinV2() const;
    const std::vector<base::UniqueFd>& joinV1() const { return join_; }
    void forgetJoin();
    // Becomes readable (v1: EPOLLIN of an eventfd; v2: EPOLLPRI of memory.events) when memory ran
    // out; -1 without.
    int oomEvent() const { return oomEvent_.get(); }
    uint32_t oomEventMask() const;
    // After the event: arms it again, and says whether it was about memory that ran out. v2 tells
    // of every event of the group; v1 of running out alone, a moment before the OOM killer acts.
    bool takeOomEvent() const;
    // True when Linux's OOM killer took one of the task's processes.
    bool ranOutOfMemory() const;
    // A new descriptor of the file whose text is the peak in bytes; -1 without a memory controller.
    base::UniqueFd openPeak() const;
    // A new descriptor of the file that tells what the task has computed so far (IdleWork reads it);
    // -1 when no group counts that.
    base::UniqueFd openProcessorTime() const;
    uint64_t peak() const;
    // SIGKILL to everything inside; false when this Linux has no cgroup.kill (5.14) or there is no
    // v2 tree.
    bool kill() const;
    // True when nothing is left of it. EBUSY while the last process is on its way out: try again
    // later.
    bool remove();

private:
    friend class CgroupTree;
    std::vector<std::string> directories_;
    std::string name_;     // "/<task>"
    std::string memory_;   // folder with the memory controller's files; empty without
    std::string unified_;  // folder with cgroup.kill; empty without
    std::string processorTime_;  // cpu.stat or cpuacct.usage; empty without
    bool memoryV2_ = false;
    std::vector<base::UniqueFd> join_;
    base::UniqueFd birthplace_;
    base::UniqueFd oomControl_;
    base::UniqueFd oomEvent_;
};

// The folders under which the groups of one platform instance live:
// <hierarchy>/cloudfunction-<instance>/<task>.
class CgroupTree {
public:
    // Looks what this machine has and makes the instance's folders; a machine without cgroups gives
    // an empty tree. `platform` are the processes that move to a leaf where pure v2 demands it.
    // `mountinfo` and `own` are the texts of /proc/self/mountinfo and /proc/self/cgroup.
    static CgroupTree find(const std::string& instance, const std::vector<pid_t>& platform,
                           const std::string& mountinfo, const std::string& own);

    // Makes the instance's folders this process's own until it ends. False while a platform that ran
    // on the same data before is still clearing them away, or has just removed them: find them anew
    // and try again.
    bool claim();

    bool memory() const { return !memory_.empty(); }
    bool swap() const { return swap_; }
    bool processes() const { return !pids_.empty(); }
    bool cpu() const { return !cpu_.empty(); }
    bool processorTime() const { return !accounting_.empty() || !v2_.empty(); }
    bool treeKill() const { return treeKill_; }
    bool any() const { return !parents_.empty(); }
    const std::string& description() const {
        return description_;
    }  // "cgroup v1", ..., or why there is none

    // Makes the groups of a task and sets its limits.
    base::Result<TaskCgroup> create(TaskId task, const Limits& limits) const;
    // Changes the limits (memory, processes, CPU) of a task that runs. Less memory than it uses now
    // is an error.
    base::Result<void> limit(const TaskCgroup& group, const Limits& limits) const;
    // Gives a task that runs the weight of one of `parts` (at least 1) instead of a whole task's, as
    // far as Linux divides it: into 512 parts on v1, 100 on v2. Nothing happens without such a group.
    void share(TaskId task, uint32_t parts) const;
    // Opens the groups of a task that an earlier launcher started.
    TaskCgroup open(TaskId task) const;
    // Kills and removes groups of tasks that `keep` does not want. True when none of them is left.
    bool sweep(const std::function<bool(TaskId)>& keep) const;
    // Removes the instance's own folders, after a sweep; the one that is claimed comes last.
    void removeSelf() const;

private:
    void useV1(const std::string& mount, const std::string& options, const std::string& instance);
    void findV2(const std::string& mount, const std::string& own, const std::string& instance,
                const std::vector<pid_t>& platform);
    bool useV2(const std::string& top, const std::string& instance,
               const std::vector<pid_t>& platform);
    void addParent(const std::string& directory);
    TaskCgroup describe(TaskId task) const;
    void watchMemory(TaskCgroup& group) const;

    std::vector<std::string> parents_;
    base::UniqueFd claim_;  // locked (flock(2)): the first of parents_
    std::string memory_, pids_, cpu_,
        unified_;       // parents by what they control; several may be the same folder
    std::string v2_;    // the parent in the v2 tree; empty without
    std::string accounting_;  // the parent that has cpuacct beside another controller of v1
    std::string leaf_;  // where the platform's own processes are, on pure v2
    bool memoryV2_ = false;
    bool swap_ = false;
    bool treeKill_ = false;
    std::string description_;
};

}  // namespace cf::sandbox
