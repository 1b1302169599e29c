#include "sandbox/launcher.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>
#include <unordered_map>

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "sandbox/attach.hpp"
#include "sandbox/control_socket.hpp"
#include "sandbox/machine.hpp"
#include "sandbox/process_tree.hpp"
#include "sandbox/root_filesystem.hpp"
#include "sandbox/syscalls.hpp"
#include "sandbox/task.hpp"
#include "sandbox/uid_slots.hpp"

namespace cf::sandbox {

namespace {

using namespace std::chrono_literals;

constexpr auto setupTimeout = 10s;
constexpr auto watchdogPeriod = 100ms;
constexpr auto killRetry = 50ms;
constexpr auto firstRemovalRetry = 2ms;
constexpr auto lastRemovalRetry = 500ms;
constexpr auto endTimeout = 3s;

class Launcher {
public:
    Launcher(const Machine& machine, base::UniqueFd control, pid_t supervisor, bool restarted);
    void run();

private:
    using Tasks = std::unordered_map<TaskId, std::unique_ptr<Task>>;

    void onControl(uint32_t events);
    void handle(Packet& packet);
    void refuse(std::string_view what);
    void start(const Packet& packet);
    void attach(const Packet& packet);
    void reclaim(const Packet& packet);
    void kill(Packet& packet);
    void adopt(Packet& packet);
    void resume();
    void end();

    void readReports();
    void readSetup(Task& task);
    void announce(Task& task);
    void watchMemory(Task& task);
    void killTask(Task& task);
    void finish(Task& task, int status);
    void tellEnd(Task& task, int status);
    void giveBack(Task& task, int status);
    void forget(Task& task);
    void removeCgroup(std::shared_ptr<TaskCgroup> cgroup, std::optional<uid_t> uid, base::EventLoop::Clock::duration wait);
    void killStrays();
    void watch();
    void send(std::string packet, std::vector<base::UniqueFd> fds = {});
    bool isOurs(int pidfd) const;
    Task* find(TaskId id);

    const Machine& machine_;
    pid_t supervisor_;
    base::EventLoop loop_;
    ControlSocket control_;
    Attacher attacher_;
    UidSlots slots_;
    Tasks tasks_;
    bool resuming_;
    bool ending_ = false;
    bool watching_ = false;
    uint64_t refused_ = 0;
    // Ends that were reported before the kernel told a new launcher of the task.
    std::unordered_map<pid_t, int> earlyEnds_;
    std::unordered_map<TaskId, int> earlyStatuses_;
    base::UniqueFd supervisorFd_;
    std::unique_ptr<FdWatcher> controlWatcher_, reportsWatcher_, supervisorWatcher_;
};

base::UniqueFd duplicate(const base::UniqueFd& fd) { return base::UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

Launcher::Launcher(const Machine& machine, base::UniqueFd control, pid_t supervisor, bool restarted)
    : machine_(machine),
      supervisor_(supervisor),
      control_(std::move(control)),
      slots_(machine.options.uidBase, machine.options.uidBase != 0 ? machine.options.uidCount : 0),
      resuming_(restarted),
      supervisorFd_(sys::pidfdOpen(supervisor)) {
    controlWatcher_ = std::make_unique<FdWatcher>(loop_, control_.get(), EPOLLIN, [this](uint32_t e) { onControl(e); });
    reportsWatcher_ =
        std::make_unique<FdWatcher>(loop_, machine_.reportsIn.get(), EPOLLIN, [this](uint32_t) { readReports(); });
    if (supervisorFd_)
        supervisorWatcher_ =
            std::make_unique<FdWatcher>(loop_, supervisorFd_.get(), EPOLLIN, [this](uint32_t) { loop_.stop(); });
    if (restarted) send(encodeBare(MessageKind::restarted, 0));
}

void Launcher::send(std::string packet, std::vector<base::UniqueFd> fds) {
    control_.send(std::move(packet), std::move(fds));
    if (control_.hasQueued() && controlWatcher_) controlWatcher_->change(EPOLLIN | EPOLLOUT);
}

Task* Launcher::find(TaskId id) {
    const auto found = tasks_.find(id);
    return found == tasks_.end() ? nullptr : found->second.get();
}

void Launcher::onControl(uint32_t events) {
    if ((events & EPOLLOUT) != 0 && control_.flush()) controlWatcher_->change(EPOLLIN);
    Packet packet;
    for (;;) switch (control_.receive(packet)) {
            case ControlSocket::Received::packet: handle(packet); break;
            case ControlSocket::Received::garbage:
                refuse("The launcher refused a control message that is none.");
                break;
            case ControlSocket::Received::nothing: return;
            case ControlSocket::Received::end: end(); return;
        }
}

void Launcher::refuse(std::string_view what) {
    // One in a thousand is enough to know that somebody is at it, and does not fill the log.
    if (refused_++ % 1000 == 0) base::logWarning("sandbox", what);
}

void Launcher::handle(Packet& packet) {
    // What was asked of the launcher that died is void, except for kills; the kernel knows and asks again.
    const bool isVoid = resuming_ && packet.kind != MessageKind::kill && packet.kind != MessageKind::adopt &&
                        packet.kind != MessageKind::resume;
    if (isVoid) return;
    switch (packet.kind) {
        case MessageKind::start: start(packet); break;
        case MessageKind::attach: attach(packet); break;
        case MessageKind::reclaim: reclaim(packet); break;
        case MessageKind::kill: kill(packet); break;
        case MessageKind::adopt: adopt(packet); break;
        case MessageKind::resume: resume(); break;
        default: refuse("The launcher refused a control message that only it may send."); break;
    }
}

void Launcher::start(const Packet& packet) {
    std::string why;
    const auto request = decodeStart(packet, why);
    if (!request) return send(encodeFailed(packet.task, why));
    if (find(request->task) != nullptr)
        return send(encodeFailed(packet.task, "The launcher refused the request: there is a task with this id already."));
    auto task = std::make_unique<Task>();
    task->id = request->task;
    task->kind = request->kind;
    task->limits = request->limits;
    StartOptions options{sharedUid(machine_), sharedGid(machine_)};
    if (request->kind == TaskKind::probe) {
        options.uid = machine_.options.kernelUid;
        options.gid = machine_.options.kernelGid;
    } else if (machine_.options.uidBase != 0) {
        const auto slot = slots_.take();
        if (!slot)
            return send(encodeFailed(packet.task, "All " + std::to_string(machine_.options.uidCount) +
                                                      " users for workers are taken; raise sandbox.uid_count."));
        options.uid = options.gid = *slot;
        task->ownUid = true;
    }
    task->uid = options.uid;
    auto started = startTask(machine_, *request, options);
    if (!started) {
        if (task->ownUid) slots_.giveBack(task->uid);
        return send(encodeFailed(packet.task, started.failure().detail));
    }
    task->pid = started->pid;
    task->pidfd = std::move(started->pidfd);
    task->cgroup = std::move(started->cgroup);
    task->socket = std::move(started->socket);
    task->input = std::move(started->input);
    task->output = std::move(started->output);
    task->errors = std::move(started->errors);
    task->setup = std::move(started->setup);
    for (const Mount& mount : request->mounts)
        if (mount.kind == MountKind::writable) task->writable.push_back(mount);
    Task& known = *task;
    tasks_.emplace(known.id, std::move(task));
    known.setupWatcher =
        std::make_unique<FdWatcher>(loop_, known.setup.get(), EPOLLIN, [this, &known](uint32_t) { readSetup(known); });
    const TaskId id = known.id;
    known.setupTimer = loop_.after(setupTimeout, [this, id] {
        Task* const late = find(id);
        if (late == nullptr || late->announced) return;
        late->setupText = "it was not ready after 10 seconds";
        killTask(*late);
    });
    if (known.kind == TaskKind::probe && request->timeoutMs > 0)
        known.probeTimer = loop_.after(std::chrono::milliseconds(std::min<uint64_t>(request->timeoutMs, 3'600'000)),
                                       [this, id] {
                                           if (Task* const late = find(id)) killTask(*late);
                                       });
    watchMemory(known);
    watch();
}

void Launcher::readSetup(Task& task) {
    char buffer[1024];
    for (;;) {
        const ssize_t got = ::read(task.setup.get(), buffer, sizeof buffer);
        if (got > 0) {
            task.setupText.append(buffer, static_cast<size_t>(got));
            continue;
        }
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        break;
    }
    task.setupWatcher.reset();
    task.setup.reset();
    loop_.cancel(task.setupTimer);
    // With a text the process is about to end; that end tells the kernel.
    if (task.setupText.empty()) announce(task);
}

void Launcher::announce(Task& task) {
    task.announced = true;
    std::vector<base::UniqueFd> fds;
    fds.push_back(std::move(task.kind == TaskKind::worker ? task.socket : task.input));
    fds.push_back(std::move(task.output));
    fds.push_back(std::move(task.errors));
    fds.push_back(duplicate(task.pidfd));
    if (base::UniqueFd peak = task.cgroup.openPeak()) fds.push_back(std::move(peak));
    send(encode(task.id, StartedReply{task.pid, task.uid}), std::move(fds));
}

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

void Launcher::attach(const Packet& packet) {
    std::string failure;
    const auto request = decodeAttach(packet, failure);
    Task* const task = find(packet.task);
    if (request && (task == nullptr || !task->announced || task->kind != TaskKind::worker)) {
        failure = "There is no such worker.";
    } else if (request) {
        task->limits = request->limits;
        auto done = machine_.cgroups.limit(task->cgroup, request->limits);
        if (done && machine_.isolated()) done = attacher_.attach(task->pidfd.get(), request->path);
        if (!done) failure = done.failure().detail;
    }
    send(encodeAttached(packet.task, decodeAttached(packet).request, failure));
}

void Launcher::reclaim(const Packet& packet) {
    const AttachRequest request = decodeAttached(packet);
    const LauncherOptions& options = machine_.options;
    std::string failure;
    struct stat status {};
    const UidRange slots{options.uidBase, options.uidBase + options.uidCount - 1};
    if (!mountablePath(request.path))
        failure = "The launcher refused the request: the directory is not an absolute path outside of /proc and /sys.";
    else if (!machine_.root || options.uidBase == 0 || ::lstat(request.path.c_str(), &status) != 0)
        failure.clear();  // nothing can have changed hands, or nothing is there
    else if (status.st_uid != options.kernelUid && !slots.has(status.st_uid))
        failure = "The launcher refused the request: " + request.path + " is not the platform's own.";
    else if (const int error = changeOwner(request.path, slots, options.kernelUid, options.kernelGid); error != 0)
        failure = "Files below " + request.path + " could not be taken back: " + std::strerror(error) + ".";
    send(encodeAttached(0, request.request, failure));
}

bool Launcher::isOurs(int pidfd) const {
    // A pidfd names one process for ever, so what is found out about it here stays true.
    const pid_t pid = processOf(pidfd);
    return pid > 0 && pid != ::getpid() && parentOf(pid) == supervisor_;
}

void Launcher::kill(Packet& packet) {
    if (Task* const task = find(packet.task)) return killTask(*task);
    if (packet.fds.empty() || !isOurs(packet.fds[0].get())) return;
    machine_.cgroups.open(packet.task).kill();
    sys::pidfdSendSignal(packet.fds[0].get(), machine_.isolated() ? SIGKILL : SIGTERM);
}

void Launcher::killTask(Task& task) {
    task.killed = true;
    task.cgroup.kill();
    if ((machine_.namespaces & CLONE_NEWPID) != 0) {
        sys::pidfdSendSignal(task.pidfd.get(), SIGKILL);
        return;
    }
    // Without a pid namespace: everything below its first process, which does the same when asked, again and again
    // until nothing is left that could have started another one meanwhile.
    for (const pid_t pid : descendantsOf(task.pid)) ::kill(pid, SIGKILL);
    sys::pidfdSendSignal(task.pidfd.get(), SIGTERM);
    const TaskId id = task.id;
    loop_.cancel(task.killTimer);
    task.killTimer = loop_.after(killRetry, [this, id] {
        if (Task* const still = find(id)) killTask(*still);
    });
}

void Launcher::adopt(Packet& packet) {
    std::string why;
    auto request = decodeAdopt(packet, why);
    if (!request || packet.fds.empty() || !isPidfd(packet.fds[0].get()) || find(packet.task) != nullptr) {
        refuse("The launcher refused to adopt a task.");
        return;
    }
    const bool gone = processOf(packet.fds[0].get()) < 0;
    if (!gone && (!isOurs(packet.fds[0].get()) || processOf(packet.fds[0].get()) != request->pid)) {
        refuse("The launcher refused to adopt a process that is no task.");
        return;
    }
    auto task = std::make_unique<Task>();
    task->id = request->task;
    task->kind = request->kind;
    task->pid = request->pid;
    task->uid = request->uid;
    task->ownUid = task->kind != TaskKind::probe && slots_.takeThis(request->uid);
    task->pidfd = std::move(packet.fds[0]);
    task->limits = request->limits;
    task->writable = std::move(request->mounts);
    task->announced = true;
    if (task->kind != TaskKind::probe) task->cgroup = machine_.cgroups.open(task->id);
    Task& known = *task;
    tasks_.emplace(known.id, std::move(task));
    readReports();
    if (const auto early = earlyStatuses_.find(known.id); early != earlyStatuses_.end())
        known.programStatus = early->second;
    if (const auto early = earlyEnds_.find(known.pid); early != earlyEnds_.end()) return finish(known, early->second);
    // Its end was heard by the launcher that died and told to nobody: how it ended is lost.
    if (gone) return finish(known, -1);
    watchMemory(known);
}

void Launcher::resume() {
    resuming_ = false;
    earlyEnds_.clear();
    earlyStatuses_.clear();
    // Tasks that the dead launcher was just starting belong to nobody.
    killStrays();
    machine_.cgroups.sweep([this](TaskId id) { return find(id) != nullptr; });
    watch();
}

void Launcher::killStrays() {
    for (const pid_t child : childrenOf(supervisor_)) {
        const bool known = child == ::getpid() || std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& entry) {
                               return entry.second->pid == child;
                           });
        if (!known) ::kill(child, SIGKILL);
    }
}

void Launcher::readReports() {
    Report report;
    while (::read(machine_.reportsIn.get(), &report, sizeof report) == static_cast<ssize_t>(sizeof report)) {
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
    for (const base::TimerId timer : {task.setupTimer, task.probeTimer, task.killTimer}) loop_.cancel(timer);
    // Its pid may come back as somebody else's.
    task.pid = -1;
    if (!machine_.isolated()) killStrays();
    if (task.writable.empty() || !machine_.root || task.uid == machine_.options.kernelUid) return tellEnd(task, status);
    giveBack(task, status);
}

void Launcher::giveBack(Task& task, int status) {
    // Trees of a hundred thousand files take a while: not on this loop.
    const pid_t helper = ::fork();
    if (helper == 0) {
        int error = 0;
        for (const Mount& mount : task.writable) {
            const int one = changeOwner(mount.source, {task.uid, task.uid}, machine_.options.kernelUid, machine_.options.kernelGid);
            if (one != 0 && one != ENOENT) error = one;
        }
        ::_exit(error);
    }
    if (helper < 0) return tellEnd(task, status);
    task.helper.reset(sys::pidfdOpen(helper));
    task.helperWatcher = std::make_unique<FdWatcher>(loop_, task.helper.get(), EPOLLIN, [this, &task, status, helper](uint32_t) {
        int ended = 0;
        ::waitpid(helper, &ended, 0);
        if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0)
            base::logWarning("sandbox", "Files of a tool could not all be given back to the platform's user: " +
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
        removeCgroup(cgroup, uid, std::min<base::EventLoop::Clock::duration>(wait * 2, lastRemovalRetry));
    });
}

// Stands in for the controllers that are not there; does not run when they are.
void Launcher::watch() {
    if (watching_ || (machine_.cgroups.memory() && machine_.cgroups.processes())) return;
    watching_ = true;
    loop_.after(watchdogPeriod, [this] {
        watching_ = false;
        for (auto& [id, task] : tasks_) {
            if (task->kind == TaskKind::probe || task->pid < 0) continue;
            const TreeUse use = useOf(task->pid);
            task->peakSeen = std::max(task->peakSeen, use.memoryBytes);
            const bool tooMuch = !machine_.cgroups.memory() && use.memoryBytes > task->limits.memoryBytes;
            const bool tooMany = !machine_.cgroups.processes() && use.processes > task->limits.processes + 1;
            task->outOfMemory = task->outOfMemory || tooMuch;
            if (tooMuch || tooMany) killTask(*task);
        }
        if (!machine_.isolated()) killStrays();
        if (!tasks_.empty()) watch();
    });
}

void Launcher::run() {
    loop_.run();
    // Without a supervisor nobody else is left to clean up; its sandboxes are dying with it.
    if (ending_ || ::getppid() == supervisor_) return;
    for (int tries = 0; !machine_.cgroups.sweep([](TaskId) { return false; }) && tries < 100; ++tries)
        std::this_thread::sleep_for(firstRemovalRetry);
    machine_.cgroups.removeSelf();
}

void Launcher::end() {
    controlWatcher_.reset();
    control_.close();
    ending_ = true;
    if (tasks_.empty()) return loop_.stop();
    loop_.after(endTimeout, [this] { loop_.stop(); });
    for (auto& [id, task] : tasks_) killTask(*task);
}

}  // namespace

int runLauncher(const Machine& machine, base::UniqueFd control, pid_t supervisor, bool restarted) {
    ::prctl(PR_SET_NAME, "cf-launcher");
    ::fcntl(control.get(), F_SETFL, O_NONBLOCK);
    Launcher(machine, std::move(control), supervisor, restarted).run();
    return 0;
}

}  // namespace cf::sandbox
