// Memory that runs out, as the control group tells it; and a look at every task 10 times a second
// where there is no control group to hold it.
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

// Stands in for the controllers that are not there; does not run when they are.
void Launcher::watch() {
    const CgroupTree& groups = machine_.cgroups;
    const bool counted = groups.memory() && groups.processes() && groups.processorTime();
    if (watching_ || (counted && machine_.isolated())) return;
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

}  // namespace cf::sandbox
