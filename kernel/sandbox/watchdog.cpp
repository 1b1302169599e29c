// Memory that runs out, as the control group tells it; and a look at every task 10 times a second
// where there is no control group to hold it.
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
    const bool counted = machine_.cgroups.memory() && machine_.cgroups.processes();
    if (watching_ || (counted && machine_.isolated())) return;
    watching_ = true;
    loop_.after(watchdogPeriod, [this] {
        watching_ = false;
        for (auto& [id, task] : tasks_) {
            if (task->kind == TaskKind::probe || task->pid < 0) continue;
            const TreeUse use = useOf(task->pid);
            // Elsewhere /tmp is memory of the task, with limits of its own.
            if (usesTaskFolder(machine_, task->kind)) {
                const TreeSize size =
                    sizeOfTree(taskFolder(machine_.options.taskFolders, id) + "/tmp",
                               {task->limits.tmpBytes, task->limits.tmpInodes});
                if (size.bytes > task->limits.tmpBytes || size.files > task->limits.tmpInodes) {
                    task->outOfMemory = true;
                    killTask(*task);
                    continue;
                }
            }
            task->peakSeen = std::max(task->peakSeen, use.memoryBytes);
            const bool tooMuch =
                !machine_.cgroups.memory() && use.memoryBytes > task->limits.memoryBytes;
            const bool tooMany =
                !machine_.cgroups.processes() && use.processes > task->limits.processes + 1;
            task->outOfMemory = task->outOfMemory || tooMuch;
            if (tooMuch || tooMany) killTask(*task);
        }
        if (!machine_.isolated()) killStrays();
        if (!tasks_.empty()) watch();
    });
}

}  // namespace cf::sandbox
