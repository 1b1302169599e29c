// A launcher that follows a dead one: the kernel tells it of every task that lives on, and the rest
// is swept away. What it is told may be wrong or hostile: a process counts as a task only when it
// is a child of the supervisor, its user is asked of Linux, and what cannot be asked any more,
// because the process is gone, gives nothing that `reclaim` would not.
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include "base/log.hpp"
#include "sandbox/launcher.hpp"
#include "sandbox/machine.hpp"
#include "sandbox/process_tree.hpp"

namespace cf::sandbox {

namespace {

// A supervisor that is about to write a report needs a processor for it, no more.
constexpr std::chrono::milliseconds lateReport{50};
constexpr std::chrono::milliseconds strayPause{1};
constexpr int strayTries = 200;

}  // namespace

bool Launcher::isOurs(int pidfd) const {
    // A pidfd names one process for ever, so what is found out about it here stays true.
    const pid_t pid = processOf(pidfd);
    return pid > 0 && pid != ::getpid() && parentOf(pid) == supervisor_;
}

// What it was started as; false when the user `seen` is not one that this task can have.
bool Launcher::takeUser(Task& task, uid_t seen) {
    const LauncherOptions& options = machine_.options;
    task.uid = task.kind == TaskKind::probe ? options.kernelUid : sharedUid(machine_);
    if (task.kind == TaskKind::probe || options.uidBase == 0) return true;
    task.uid = seen;
    task.ownUid = slots_.takeThis(seen);
    return task.ownUid;
}

// Its link to the router; nothing for one in the machine's own network, where a policy would be
// applied to the machine.
std::optional<uint32_t> Launcher::linkOf(const AdoptRequest& request) const {
    if (request.link == 0 || !network_.available() ||
        request.link > machine_.router->range().sandboxes())
        return {};
    struct stat own {};
    struct stat machines {};
    const std::string path = "/proc/" + std::to_string(request.pid) + "/ns/net";
    if (::stat(path.c_str(), &own) != 0 || ::fstat(machine_.router->home(), &machines) != 0 ||
        (own.st_ino == machines.st_ino && own.st_dev == machines.st_dev))
        return {};
    return request.link - 1;
}

void Launcher::adopt(Packet& packet) {
    std::string why;
    auto request = decodeAdopt(packet, why);
    if (!resuming_ || !request || packet.fds.empty() || !isPidfd(packet.fds[0].get()) ||
        find(packet.task) != nullptr) {
        refuse("The launcher refused to adopt a task.");
        return;
    }
    const int pidfd = packet.fds[0].get();
    const bool isTask = isOurs(pidfd) && processOf(pidfd) == request->pid;
    const uid_t user = userOf(request->pid);
    const auto link = linkOf(*request);
    // Asked last: one that ends between the questions above is no stranger but gone.
    const bool gone = processOf(pidfd) < 0;
    if (!gone && !isTask) {
        refuse("The launcher refused to adopt a process that is no task.");
        return;
    }
    auto task = std::make_unique<Task>();
    task->id = request->task;
    task->kind = request->kind;
    task->pid = request->pid;
    if (!takeUser(*task, gone ? request->uid : user)) {
        refuse("The launcher refused to adopt a task of a user that no task has.");
        return;
    }
    task->pidfd = std::move(packet.fds[0]);
    task->limits = request->limits;
    for (Mount& mount : request->mounts)
        if (isPlatforms(mount.source)) task->writable.push_back(std::move(mount));
    task->network = request->network.mode;
    // The policy of one that is gone is swept away with the others that nobody has.
    if (!gone && link) {
        task->link = link;
        if (const auto bound = network_.apply(*task->link, request->network, task->pidfd.get());
            !bound)
            base::logWarning("sandbox", bound.failure().detail);
    }
    task->announced = true;
    if (task->kind != TaskKind::probe) task->cgroup = machine_.cgroups.open(task->id);
    Task& known = *task;
    const TaskId id = known.id;
    tasks_.emplace(id, std::move(task));
    if (const auto early = earlyStatuses_.find(id); early != earlyStatuses_.end())
        known.programStatus = early->second;
    if (const auto early = earlyEnds_.find(known.pid); early != earlyEnds_.end())
        return finish(known, early->second);
    readReports();
    // A moment lies between the supervisor's reaping a process and its saying so.
    const auto deadline = base::EventLoop::Clock::now() + lateReport;
    // One that finished in readReports may be here still, giving files back, or be no more.
    const auto isOver = [&] { return find(id) == nullptr || known.pid < 0; };
    while (gone && !isOver() && base::EventLoop::Clock::now() < deadline) {
        pollfd report{machine_.reportsIn.get(), POLLIN, 0};
        ::poll(&report, 1, static_cast<int>(lateReport.count()));
        readReports();
    }
    if (isOver()) return;
    // Its end was heard by the launcher that died and told to nobody: how it ended is lost.
    if (gone) return finish(known, -1);
    watchMemory(known);
}

void Launcher::resume() {
    resuming_ = false;
    earlyEnds_.clear();
    earlyStatuses_.clear();
    network_.sweep();
    // Tasks that the dead launcher was just starting belong to nobody.
    // Their files are taken back next, so they have to be dead.
    for (int tries = 0; killStrays() && tries < strayTries; ++tries)
        std::this_thread::sleep_for(strayPause);
    machine_.cgroups.sweep([this](TaskId id) { return find(id) != nullptr; });
    watch();
}

bool Launcher::killStrays() {
    bool found = false;
    for (const pid_t child : childrenOf(supervisor_)) {
        const bool known = child == ::getpid() ||
                           std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& entry) {
                               return entry.second->pid == child;
                           });
        if (known) continue;
        ::kill(child, SIGKILL);
        found = true;
    }
    return found;
}

}  // namespace cf::sandbox
