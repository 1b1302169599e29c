// Memory that runs out, as the control group tells it; a look at every task 10 times a second where
// there is no control group to hold it; and at the room that tools take on the disk.
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "sandbox/files.hpp"
#include "sandbox/launcher.hpp"
#include "sandbox/process_tree.hpp"
#include "sandbox/task_folder.hpp"
#include "sandbox/trees.hpp"

namespace cf::sandbox {

namespace {

using namespace std::chrono_literals;

constexpr auto watchdogPeriod = 100ms;
// Where memory is not counted, nobody can make a pipe or a socket's buffer larger (seccomp.cpp).
constexpr uint64_t pipeBytes = 65536;
constexpr uint64_t usualBuffer = 212'992;
constexpr uint64_t freeSockets = 64;

std::vector<pid_t> treeOf(pid_t pid) {
    std::vector<pid_t> all = descendantsOf(pid);
    all.push_back(pid);
    return all;
}

std::set<dev_t> disksOf(const Task& task) {
    std::set<dev_t> disks;
    struct stat status {};
    for (const Mount& mount : task.writable)
        if (::stat(mount.source.c_str(), &status) == 0) disks.insert(status.st_dev);
    return disks;
}

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
        if (!machine_.cgroups.memory())
            bufferTurns_.tick(watched, [this](TaskId id, int64_t entries) {
                return lookAtBuffers(*find(id), entries);
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

// What the task's own file systems in memory hold. Elsewhere its /tmp is on the disk.
uint64_t Launcher::inMemoryFiles(const Task& task) const {
    // Until it is announced, its root is the machine's.
    if (!machine_.isolated() || !task.announced) return 0;
    uint64_t bytes = 0;
    for (const char* folder : {"/root/tmp", "/root/dev/shm"}) {
        struct statvfs use {};
        if (::statvfs(("/proc/" + std::to_string(task.pid) + folder).c_str(), &use) == 0)
            bytes += (use.f_blocks - use.f_bfree) * use.f_frsize;
    }
    return bytes;
}

void Launcher::lookAtProcesses(Task& task, const TreeUse& use) {
    const uint64_t files = std::max(use.sharedBytes, inMemoryFiles(task));
    const uint64_t memory = use.memoryBytes + files + task.bufferBytes;
    task.peakSeen = std::max(task.peakSeen, memory);
    if (task.processorTime) {
        const std::string text = "usage_usec " + std::to_string(use.processorTime.count()) + "\n";
        // What it was before stays where this fails.
        [[maybe_unused]] const ssize_t put =
            ::pwrite(task.processorTime.get(), text.data(), text.size(), 0);
    }
    const bool tooMuch = !machine_.cgroups.memory() && memory > task.limits.memoryBytes;
    const bool tooMany =
        !machine_.cgroups.processes() && use.processes > task.limits.processes + 1;
    task.outOfMemory = task.outOfMemory || tooMuch;
    if (tooMuch || tooMany) killTask(task);
}

// What pipes and sockets hold is in no process's resident memory, and Linux does not tell how full
// they are: they count as full, but for as many as anybody may need.
Turns::Look Launcher::lookAtBuffers(Task& task, int64_t entries) {
    static const uint64_t ofSocket = std::max<uint64_t>(
        usualBuffer,
        std::strtoull(readFile("/proc/sys/net/core/wmem_default").c_str(), nullptr, 10));
    if (!task.buffers) task.buffers.emplace(treeOf(task.pid), task.uid);
    const auto seen = static_cast<int64_t>(task.buffers->look(static_cast<size_t>(entries)));
    const uint64_t held = task.buffers->pipes() * pipeBytes + task.buffers->sockets() * ofSocket;
    const uint64_t counted = held - std::min(held, freeSockets * ofSocket);
    if (!task.buffers->done()) {
        task.bufferBytes = std::max(task.bufferBytes, counted);
        return {seen, true};
    }
    task.bufferBytes = counted;
    task.buffers.reset();
    return {seen + 1};
}

// Elsewhere /tmp is memory of the task, with limits of its own.
Turns::Look Launcher::lookAtFiles(Task& task, int64_t entries) {
    const Limits& limits = task.limits;
    if (!task.measure)
        task.measure.emplace(taskFolder(task.id) + "/tmp",
                             TreeSize{limits.tmpBytes, limits.tmpInodes},
                             machine_.taskFolders.get());
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

// The kernel process may not look into folders that a tool keeps to itself; this one may. Mount
// after mount, then the files that processes hold open and that are in no folder any more.
Turns::Look Launcher::lookAtDisk(Task& task, int64_t entries) {
    if (task.killed || task.writable.empty()) return {1};
    int64_t seen = 0;
    bool isOver = false;
    while (!isOver && seen < entries) {
        const auto left = static_cast<size_t>(entries - seen);
        const bool inMounts = task.mountsMeasured < task.writable.size();
        seen += static_cast<int64_t>(inMounts ? lookAtMount(task, left)
                                              : lookAtUnnamed(task, left));
        isOver = task.outOfDisk || (!inMounts && !task.unnamed);
    }
    if (task.outOfDisk) killTask(task);
    return {seen, !isOver};
}

size_t Launcher::lookAtMount(Task& task, size_t entries) {
    constexpr uint64_t entryBytes = 4096;  // empty files use up a file system, too
    const uint64_t limit = task.limits.diskBytes;
    if (!task.diskMeasure)
        task.diskMeasure.emplace(task.writable[task.mountsMeasured].source,
                                 TreeSize{limit, limit / entryBytes});
    const size_t seen = task.diskMeasure->look(entries);
    if (!task.diskMeasure->done()) return seen;
    const TreeSize size = task.diskMeasure->size();
    task.diskMeasured += std::max(size.bytes, size.files * entryBytes);
    task.diskMeasure.reset();
    ++task.mountsMeasured;
    task.outOfDisk = task.diskMeasured > limit;
    return seen + 1;
}

size_t Launcher::lookAtUnnamed(Task& task, size_t entries) {
    if (!task.unnamed) task.unnamed.emplace(treeOf(task.pid), task.uid, disksOf(task));
    const size_t seen = task.unnamed->look(entries);
    task.outOfDisk = task.diskMeasured + task.unnamed->unnamedBytes() > task.limits.diskBytes;
    if (!task.unnamed->done()) return seen;
    task.unnamed.reset();
    task.mountsMeasured = 0;
    task.diskMeasured = 0;
    return seen + 1;
}

}  // namespace cf::sandbox
