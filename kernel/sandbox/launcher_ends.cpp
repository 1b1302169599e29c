// How tasks end: the supervisor and each pid 1 report, files go back to their owner, the kernel is
// told, groups and users become free.
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "sandbox/launcher.hpp"
#include "sandbox/process_tree.hpp"
#include "sandbox/root_filesystem.hpp"
#include "sandbox/syscalls.hpp"
#include "sandbox/task_folder.hpp"
#include "sandbox/trees.hpp"

namespace cf::sandbox {

namespace {

using namespace std::chrono_literals;

constexpr auto firstRemovalRetry = 2ms;
constexpr auto lastRemovalRetry = 500ms;

}  // namespace

void Launcher::readReports() {
    Report report;
    while (::read(machine_.reportsIn.get(), &report, sizeof report) ==
           static_cast<ssize_t>(sizeof report)) {
        if (report.task != 0) {
            if (Task* const task = find(report.task))
                task->programStatus = report.status;
            else if (resuming_)
                earlyStatuses_[report.task] = report.status;
            continue;
        }
        // The number may belong to another task already; it is the one whose process is no more.
        const auto found = std::find_if(tasks_.begin(), tasks_.end(), [&](const auto& entry) {
            return entry.second->pid == report.pid && processOf(entry.second->pidfd.get()) < 0;
        });
        if (found != tasks_.end())
            finish(*found->second, report.status);
        else if (resuming_)
            earlyEnds_[report.pid] = report.status;
    }
}

void Launcher::finish(Task& task, int status) {
    if (task.setup) readSetup(task);
    task.setupWatcher.reset();
    task.oomWatcher.reset();
    for (const base::TimerId timer : {task.setupTimer, task.probeTimer, task.killTimer})
        loop_.cancel(timer);
    // Its pid may come back as somebody else's.
    task.pid = -1;
    if (!machine_.isolated()) killStrays();
    const bool owes =
        !task.writable.empty() && machine_.root && task.uid != machine_.options.kernelUid;
    if (!owes && !usesTaskFolder(machine_, task.kind)) return tellEnd(task, status);
    giveBack(task, status, owes);
}

void Launcher::giveBack(Task& task, int status, bool owes) {
    // Trees of a hundred thousand files take a while: not on this loop.
    const pid_t helper = ::fork();
    if (helper == 0) {
        int error = 0;
        if (usesTaskFolder(machine_, task.kind)) {
            error = removeTree(taskFolder(task.id), machine_.taskFolders.get());
            if (!owes) ::_exit(error);
        }
        for (const Mount& mount : task.writable) {
            const int one = changeOwner(mount.source, {task.uid, task.uid},
                                        machine_.options.kernelUid, machine_.options.kernelGid);
            if (one != 0 && one != ENOENT) error = one;
        }
        ::_exit(error);
    }
    if (helper < 0) return tellEnd(task, status);
    task.helper.reset(sys::pidfdOpen(helper));
    task.helperWatcher = std::make_unique<FdWatcher>(
        loop_, task.helper.get(), EPOLLIN, [this, &task, status, helper](uint32_t) {
            int ended = 0;
            ::waitpid(helper, &ended, 0);
            if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0)
                base::logWarning(
                    "sandbox",
                    "Files of a task could not all be given back to the platform's user or removed: " +
                        std::string(std::strerror(WIFEXITED(ended) ? WEXITSTATUS(ended) : EIO)));
            tellEnd(task, status);
        });
}

void Launcher::tellEnd(Task& task, int status) {
    if (!task.announced) {
        if (task.setupText.empty()) task.setupText = "it ended before it was ready";
        send(encodeFailed(task.id, "The sandbox could not be started: " + task.setupText + "."));
        return forget(task);
    }
    Ended ended;
    ended.outOfMemory = task.outOfMemory || task.cgroup.ranOutOfMemory();
    ended.outOfDisk = task.outOfDisk;
    ended.memoryPeakBytes = std::max(task.cgroup.peak(), task.peakSeen);
    const int known = task.programStatus.value_or(status);
    if (known != -1) {
        if (WIFSIGNALED(known))
            ended.signal = WTERMSIG(known);
        else if (!task.programStatus && WEXITSTATUS(known) > 128)
            ended.signal = WEXITSTATUS(known) - 128;
        else
            ended.exitCode = WEXITSTATUS(known);
    }
    send(encode(task.id, ended));
    forget(task);
}

void Launcher::forget(Task& task) {
    if (task.link) network_.forget(*task.link);
    removeCgroup(std::make_shared<TaskCgroup>(std::move(task.cgroup)),
                 task.ownUid ? std::optional<uid_t>(task.uid) : std::nullopt, firstRemovalRetry);
    tasks_.erase(task.id);
    if (ending_ && tasks_.empty()) loop_.stop();
}

void Launcher::removeCgroup(std::shared_ptr<TaskCgroup> cgroup, std::optional<uid_t> uid,
                            base::EventLoop::Clock::duration wait) {
    if (cgroup->remove()) {
        if (uid) slots_.giveBack(*uid);
        return;
    }
    loop_.after(wait, [this, cgroup = std::move(cgroup), uid, wait] {
        removeCgroup(cgroup, uid,
                     std::min<base::EventLoop::Clock::duration>(wait * 2, lastRemovalRetry));
    });
}

}  // namespace cf::sandbox
