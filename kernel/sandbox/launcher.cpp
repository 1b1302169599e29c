#include "sandbox/launcher.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "base/log.hpp"
#include "sandbox/machine.hpp"
#include "sandbox/process_tree.hpp"
#include "sandbox/root_filesystem.hpp"
#include "sandbox/syscalls.hpp"
#include "sandbox/task_folder.hpp"
#include "sandbox/trees.hpp"

namespace cf::sandbox {

namespace {

using namespace std::chrono_literals;

constexpr auto setupTimeout = 10s;
constexpr uint32_t spareNetworks = 4;
// What the watchdog looks at in one of its ticks, 10 a second, some milliseconds' worth each: starts
// and kills wait on the same thread.
constexpr int64_t processesOfTick = 256;
constexpr int64_t filesOfTick = 2048;
constexpr auto killRetry = 50ms;
constexpr auto sweepRetry = 2ms;
constexpr auto endTimeout = 3s;

}  // namespace

Launcher::Launcher(const Machine& machine, base::UniqueFd control, pid_t supervisor, bool restarted)
    : machine_(machine),
      supervisor_(supervisor),
      control_(std::move(control)),
      slots_(machine.options.uidBase, machine.options.uidBase != 0 ? machine.options.uidCount : 0),
      network_(loop_, machine.router.get(), spareNetworks,
               [this](uint32_t link, const Refusal& refusal) { tellRefused(link, refusal); }),
      resuming_(restarted),
      processTurns_(processesOfTick),
      bufferTurns_(filesOfTick),
      fileTurns_(filesOfTick),
      diskTurns_(filesOfTick) {
    controlWatcher_ = std::make_unique<FdWatcher>(loop_, control_.get(), EPOLLIN,
                                                  [this](uint32_t e) { onControl(e); });
    reportsWatcher_ = std::make_unique<FdWatcher>(loop_, machine_.reportsIn.get(), EPOLLIN,
                                                  [this](uint32_t) { readReports(); });
    if (machine_.supervisor)
        supervisorWatcher_ = std::make_unique<FdWatcher>(loop_, machine_.supervisor.get(), EPOLLIN,
                                                         [this](uint32_t) { loop_.stop(); });
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
            case ControlSocket::Received::packet:
                handle(packet);
                break;
            case ControlSocket::Received::garbage:
                refuse("The launcher refused a control message that is none.");
                break;
            case ControlSocket::Received::nothing:
                return;
            case ControlSocket::Received::end:
                end();
                return;
        }
}

void Launcher::refuse(std::string_view what) {
    // One in a thousand is enough to know that somebody is at it, and does not fill the log.
    if (refused_++ % 1000 == 0) base::logWarning("sandbox", what);
}

void Launcher::handle(Packet& packet) {
    // What was asked of the launcher that died is void, except for what has no answer; the kernel
    // knows and asks again.
    const bool isVoid = resuming_ && packet.kind != MessageKind::kill &&
                        packet.kind != MessageKind::share && packet.kind != MessageKind::adopt &&
                        packet.kind != MessageKind::resume;
    if (isVoid) return;
    switch (packet.kind) {
        case MessageKind::start:
            start(packet);
            break;
        case MessageKind::attach:
            attach(packet);
            break;
        case MessageKind::share:
            machine_.cgroups.share(packet.task, decodeShare(packet));
            break;
        case MessageKind::reclaim:
            reclaim(packet);
            break;
        case MessageKind::kill:
            kill(packet);
            break;
        case MessageKind::adopt:
            adopt(packet);
            break;
        case MessageKind::resume:
            resume();
            break;
        default:
            refuse("The launcher refused a control message that only it may send.");
            break;
    }
}

void Launcher::start(const Packet& packet) {
    std::string why;
    auto request = decodeStart(packet, why);
    if (!request) return send(encodeFailed(packet.task, why));
    if (find(request->task) != nullptr)
        return send(encodeFailed(
            packet.task,
            "The launcher refused the request: there is a task with this id already."));
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
            return send(encodeFailed(packet.task,
                                     "All " + std::to_string(machine_.options.uidCount) +
                                         " users for workers are taken; raise sandbox.uid_count."));
        options.uid = options.gid = *slot;
        task->ownUid = true;
    }
    task->uid = options.uid;
    const bool wantsOut =
        request->kind != TaskKind::probe && request->network.mode == Network::outbound;
    // What is fetched during a build is nobody's to see the machine's network with: that has a setting
    // of its own.
    if (wantsOut && !network_.available())
        request->network.mode =
            machine_.options.network.hostWithoutRouter && request->kind == TaskKind::worker
                ? Network::host
                : Network::none;
    task->network = request->network.mode;
    SandboxNetwork::Link link;
    if (wantsOut && network_.available()) {
        auto taken = network_.take();
        base::Result<void> bound;
        if (taken) bound = network_.apply(taken->index, request->network, -1);
        if (!taken || !bound) {
            if (taken) network_.forget(taken->index);
            if (task->ownUid) slots_.giveBack(task->uid);
            return send(encodeFailed(packet.task,
                                     (taken ? bound.failure() : taken.failure()).detail));
        }
        link = std::move(*taken);
        task->link = link.index;
        options.network = link.network.get();
    }
    auto started = startTask(machine_, *request, options);
    if (!started) {
        if (task->link) network_.forget(*task->link);
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
    known.setupWatcher = std::make_unique<FdWatcher>(
        loop_, known.setup.get(), EPOLLIN, [this, &known](uint32_t) { readSetup(known); });
    const TaskId id = known.id;
    known.setupTimer = loop_.after(setupTimeout, [this, id] {
        Task* const late = find(id);
        if (late == nullptr || late->announced) return;
        late->setupText = "it was not ready after 10 seconds";
        killTask(*late);
    });
    if (known.kind == TaskKind::probe && request->timeoutMs > 0)
        known.probeTimer = loop_.after(
            std::chrono::milliseconds(std::min<uint64_t>(request->timeoutMs, 3'600'000)),
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
    fds.push_back(task.pidfd.duplicate());
    base::UniqueFd time;
    if (task.kind == TaskKind::worker) {
        time = task.cgroup.openProcessorTime();
        if (!time) {
            task.processorTime.reset(::memfd_create("processor time", MFD_CLOEXEC));
            time = task.processorTime.duplicate();
        }
    }
    const bool hasTime = static_cast<bool>(time);
    if (hasTime) fds.push_back(std::move(time));
    if (base::UniqueFd peak = task.cgroup.openPeak()) fds.push_back(std::move(peak));
    send(encode(task.id,
                StartedReply{task.pid, task.uid, task.link ? *task.link + 1 : 0, hasTime}),
         std::move(fds));
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
        if (done) done = applyNetwork(*task, request->network);
        if (done && machine_.isolated()) 
            done = attacher_.attach(task->pidfd.get(), request->path, request->layers);
        if (done && !machine_.isolated()) {
            std::string what;
            const int error =
                fillTaskFolder(machine_.taskFolders.get(), task->id, *request, what);
            if (error != 0)
                done = base::Failure{"sandbox_failed", "The directory " + what +
                                                           " could not be attached: " +
                                                           std::strerror(error) + "."};
        }
        if (!done) failure = done.failure().detail;
    }
    send(encodeAttached(packet.task, decodeAttached(packet).request, failure));
}

// Words of help, for as long as nobody waits for other messages.
void Launcher::tellRefused(uint32_t link, const Refusal& refusal) {
    if (control_.hasQueued()) return;
    for (const auto& [id, task] : tasks_)
        if (task->link == link && task->announced && task->kind == TaskKind::worker)
            return send(encode(id, refusal));
}

base::Result<void> Launcher::applyNetwork(Task& task, const NetworkPolicy& policy) {
    if (task.link) return network_.apply(*task.link, policy, task.pidfd.get());
    const bool wantsOut = policy.mode == Network::outbound && network_.available();
    const bool hasTooMuch = policy.mode == Network::none && task.network == Network::host;
    if (!wantsOut && !hasTooMuch) return {};
    return base::Failure{"sandbox_failed",
                         wantsOut ? "The worker was started without a network and cannot get one."
                                  : "The worker was started in the machine's own network, which "
                                    "cannot be taken away from it."};
}

// Whether files in it may change hands because the kernel process says so.
bool Launcher::isPlatforms(const std::string& folder) const {
    struct stat status {};
    return ::lstat(folder.c_str(), &status) == 0 &&
           (status.st_uid == machine_.options.kernelUid || slots_.range().has(status.st_uid));
}

void Launcher::reclaim(const Packet& packet) {
    const AttachRequest request = decodeAttached(packet);
    const LauncherOptions& options = machine_.options;
    std::string failure;
    struct stat status {};
    if (!mountablePath(request.path))
        failure =
            "The launcher refused the request: the directory is not an absolute path outside of "
            "/proc and /sys.";
    else if (!machine_.root || options.uidBase == 0 || ::lstat(request.path.c_str(), &status) != 0)
        failure.clear();  // nothing can have changed hands, or nothing is there
    else if (!isPlatforms(request.path))
        failure =
            "The launcher refused the request: " + request.path + " is not the platform's own.";
    else if (const int error =
                 changeOwner(request.path, slots_.range(), options.kernelUid, options.kernelGid);
             error != 0)
        failure = "Files below " + request.path +
                  " could not be taken back: " + std::strerror(error) + ".";
    send(encodeAttached(0, request.request, failure));
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
    // Without a pid namespace: everything below its first process, which does the same when asked,
    // again and again until nothing is left that could have started another one meanwhile.
    for (const pid_t pid : descendantsOf(task.pid)) ::kill(pid, SIGKILL);
    sys::pidfdSendSignal(task.pidfd.get(), SIGTERM);
    const TaskId id = task.id;
    loop_.cancel(task.killTimer);
    task.killTimer = loop_.after(killRetry, [this, id] {
        if (Task* const still = find(id)) killTask(*still);
    });
}

void Launcher::run() {
    loop_.run();
    // Without a supervisor nobody else is left to clean up; its sandboxes are dying with it.
    if (ending_ || ::getppid() == supervisor_) return;
    for (int tries = 0; !machine_.cgroups.sweep([](TaskId) { return false; }) && tries < 100;
         ++tries)
        std::this_thread::sleep_for(sweepRetry);
    machine_.cgroups.removeSelf();
    if (machine_.router) machine_.router->restore();
    removeTree(machine_.options.taskFolders);
}

void Launcher::end() {
    controlWatcher_.reset();
    control_.close();
    ending_ = true;
    if (tasks_.empty()) return loop_.stop();
    loop_.after(endTimeout, [this] { loop_.stop(); });
    for (auto& [id, task] : tasks_) killTask(*task);
}

int runLauncher(const Machine& machine, base::UniqueFd control, pid_t supervisor, bool restarted) {
    ::prctl(PR_SET_NAME, "cf-launcher");
    ::fcntl(control.get(), F_SETFL, O_NONBLOCK);
    Launcher(machine, std::move(control), supervisor, restarted).run();
    return 0;
}

}  // namespace cf::sandbox
