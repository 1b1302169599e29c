// Memory that runs out, as the control group tells it; a look at every task 10 times a second where
// there is no control group to hold it; and at the room that tools take on the disk.
#include <unistd.h>

#include <algorithm>

#include "sandbox/launcher.hpp"
#include "sandbox/process_tree.hpp"
#include "sandbox/task_folder.hpp"
#include "sandbox/trees.hpp"

namespace cf::sandbox {

namespace {

using namespace std::chrono_literals;

constexpr auto watchdogPeriod = 100ms;

}  // namespace

void Launcher::watchMemory(Task& task) {
    if (task.cgroup.oomEvent() < 0) return;
    task.oomWatcher = std::make_unique<FdWatcher>(
        loop_, task.cgroup.oomEvent(), task.cgroup.oomEventMask(), [this, &task](uint32_t) {
            if (!task.cgroup.takeOomEvent()) return;
            task.outOfMemory = true;
            // Linux takes one process; the rest of the tree is of no use without it.
            killTask(task);
        });
}

// Stands in for the controllers that are not there, and for quotas of disks; does not run when
// nothing needs it.
void Launcher::watch() {
    const CgroupTree& groups = machine_.cgroups;
    const bool counted = groups.memory() && groups.processes() && groups.processorTime();
    const bool onDisk = std::any_of(tasks_.begin(), tasks_.end(), [](const auto& entry) {
        return entry.second->limits.diskBytes != 0;
    });
    if (watching_ || (counted && machine_.isolated() && !onDisk)) return;
    watching_ = true;
    loop_.after(watchdogPeriod, [this, counted] {
        watching_ = false;
        std::vector<TaskId> watched;
        for (const auto& [id, task] : tasks_)
            if (task->kind != TaskKind::probe && task->pid >= 0) watched.push_back(id);
        std::sort(watched.begin(), watched.end());
        if (!counted)
            processTurns_.tick(watched, [this](TaskId id, int64_t) {
                const TreeUse use = useOf(find(id)->pid);
                lookAtProcesses(*find(id), use);
                return Turns::Look{int64_t{use.processes} + 1};
            });
        if (!machine_.isolated())
            fileTurns_.tick(watched, [this](TaskId id, int64_t entries) {
                return lookAtFiles(*find(id), entries);
            });
        std::erase_if(watched, [this](TaskId id) { return find(id)->limits.diskBytes == 0; });
        diskTurns_.tick(watched, [this](TaskId id, int64_t entries) {
            return lookAtDisk(*find(id), entries);
        });
        if (!machine_.isolated()) killStrays();
        if (!tasks_.empty()) watch();
    });
}

void Launcher::lookAtProcesses(Task& task, const TreeUse& use) {
    task.peakSeen = std::max(task.peakSeen, use.memoryBytes);
    if (task.processorTime) {
        const std::string text = "usage_usec " + std::to_string(use.processorTime.count()) + "\n";
        // What it was before stays where this fails.
        [[maybe_unused]] const ssize_t put =
            ::pwrite(task.processorTime.get(), text.data(), text.size(), 0);
    }
    const bool tooMuch = !machine_.cgroups.memory() && use.memoryBytes > task.limits.memoryBytes;
    const bool tooMany =
        !machine_.cgroups.processes() && use.processes > task.limits.processes + 1;
    task.outOfMemory = task.outOfMemory || tooMuch;
    if (tooMuch || tooMany) killTask(task);
}

// Elsewhere /tmp is memory of the task, with limits of its own.
Turns::Look Launcher::lookAtFiles(Task& task, int64_t entries) {
    const Limits& limits = task.limits;
    if (!task.measure)
        task.measure.emplace(taskFolder(machine_.options.taskFolders, task.id) + "/tmp",
                             TreeSize{limits.tmpBytes, limits.tmpInodes});
    const auto seen = static_cast<int64_t>(task.measure->look(static_cast<size_t>(entries)));
    if (!task.measure->done()) return {seen, true};
    const TreeSize size = task.measure->size();
    task.measure.reset();
    if (size.bytes > limits.tmpBytes || size.files > limits.tmpInodes) {
        task.outOfMemory = true;
        killTask(task);
    }
    // One whose folder is empty is a few system calls, too.
    return {seen + 1};
}

// The kernel process may not look into folders that a tool keeps to itself; this one may.
Turns::Look Launcher::lookAtDisk(Task& task, int64_t entries) {
    constexpr uint64_t entryBytes = 4096;  // empty files use up a file system, too
    const uint64_t limit = task.limits.diskBytes;
    if (task.killed) return {1};
    if (task.mountsMeasured == task.writable.size()) {
        task.mountsMeasured = 0;
        task.diskMeasured = 0;
        if (task.writable.empty()) return {1};
    }
    if (!task.diskMeasure)
        task.diskMeasure.emplace(task.writable[task.mountsMeasured].source,
                                 TreeSize{limit, limit / entryBytes});
    const auto seen = static_cast<int64_t>(task.diskMeasure->look(static_cast<size_t>(entries)));
    if (!task.diskMeasure->done()) return {seen, true};
    const TreeSize size = task.diskMeasure->size();
    task.diskMeasured += std::max(size.bytes, size.files * entryBytes);
    task.diskMeasure.reset();
    ++task.mountsMeasured;
    if (task.diskMeasured > limit) {
        task.outOfDisk = true;
        killTask(task);
    }
    return {seen + 1, task.mountsMeasured < task.writable.size()};
}

}  // namespace cf::sandbox
