#include "sandbox/launcher_client.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_map>

#include "base/log.hpp"
#include "base/ulid.hpp"
#include "sandbox/control_socket.hpp"
#include "sandbox/fd_watcher.hpp"
#include "sandbox/task_folder.hpp"

namespace cf::sandbox {

namespace {

base::Failure sandboxFailed(std::string detail) { return {"sandbox_failed", std::move(detail)}; }

}  // namespace

struct LauncherClient::State : std::enable_shared_from_this<LauncherClient::State> {
    struct Known {
        AdoptRequest adopt{};
        bool started = false;
        bool killWanted = false;
        base::UniqueFd pidfd{};
        WorkerCallback workerStarted{};
        ToolCallback toolStarted{};
        EndedCallback ended{};
        RefusedCallback refused{};
        std::unique_ptr<FdWatcher> goneWatcher{};  // only after the launcher was lost for good
    };

    State(base::EventLoop& eventLoop, LauncherProcess process)
        : loop(eventLoop), control(std::move(process.control)), layers(std::move(process.layers)), taskFolders(std::move(process.taskFolders)) {}

    void send(std::string packet, std::vector<base::UniqueFd> fds = {}) {
        if (lost) return;
        control.send(std::move(packet), std::move(fds));
        if (control.hasQueued()) watcher->change(EPOLLIN | EPOLLOUT);
    }

    void onEvents(uint32_t events) {
        const auto self = shared_from_this();
        if ((events & EPOLLOUT) != 0 && control.flush()) watcher->change(EPOLLIN);
        Packet packet;
        while (!lost) switch (control.receive(packet)) {
                case ControlSocket::Received::packet:
                    handle(packet);
                    break;
                case ControlSocket::Received::garbage:
                    break;
                case ControlSocket::Received::nothing:
                    return;
                case ControlSocket::Received::end:
                    onEnd();
                    return;
            }
    }

    void handle(Packet& packet) {
        switch (packet.kind) {
            case MessageKind::started:
                onStarted(packet);
                break;
            case MessageKind::failed:
                failStart(packet.task, decodeFailed(packet));
                break;
            case MessageKind::attached:
                onAttached(packet);
                break;
            case MessageKind::ended:
                onEnded(packet.task, decodeEnded(packet));
                break;
            case MessageKind::restarted:
                onRestarted();
                break;
            case MessageKind::refused:
                onRefusal(packet.task, decodeRefusal(packet));
                break;
            default:
                break;
        }
    }

    // Takes the task out before its callback runs: the callback may start, kill, or delete the
    // client.
    void failStart(TaskId task, std::string detail) {
        const auto found = known.find(task);
        if (found == known.end() || found->second.started) return;
        Known gone = std::move(found->second);
        known.erase(found);
        if (gone.workerStarted) gone.workerStarted(sandboxFailed(detail));
        if (gone.toolStarted) gone.toolStarted(sandboxFailed(detail));
    }

    void onEnded(TaskId task, const Ended& how) {
        const auto found = known.find(task);
        if (found == known.end() || !found->second.started) return;
        const EndedCallback ended = std::move(found->second.ended);
        known.erase(found);
        if (ended) ended(how);
    }

    void onRefusal(TaskId task, const Refusal& refusal) {
        const auto found = known.find(task);
        if (found == known.end() || !found->second.refused) return;
        const RefusedCallback refused = found->second.refused;
        refused(refusalText(refusal));
    }

    void onStarted(Packet& packet) {
        const auto found = known.find(packet.task);
        if (found == known.end()) return;
        if (packet.fds.size() < 4) {
            send(encodeBare(MessageKind::kill, packet.task));
            return failStart(packet.task,
                             "The platform may open no more files (RLIMIT_NOFILE); raise the "
                             "limit, or lower server.max_connections or workers.max.");
        }
        Known& task = found->second;
        const StartedReply reply = decodeStarted(packet);
        task.started = true;
        task.adopt.pid = reply.pid;
        task.adopt.uid = reply.uid;
        task.adopt.link = reply.link;
        task.pidfd = packet.fds[3].duplicate();
        auto& fds = packet.fds;
        if (const auto workerStarted = std::move(task.workerStarted)) {
            Worker worker;
            worker.task = packet.task;
            worker.socket = std::move(fds[0]);
            worker.output = std::move(fds[1]);
            worker.errors = std::move(fds[2]);
            worker.pidfd = std::move(fds[3]);
            size_t next = 4;
            if (reply.processorTime && fds.size() > next)
                worker.processorTime = std::move(fds[next++]);
            if (fds.size() > next) worker.memoryPeak = std::move(fds[next]);
            workerStarted(std::move(worker));
        } else if (const auto toolStarted = std::move(task.toolStarted)) {
            Tool tool;
            tool.task = packet.task;
            tool.input = std::move(fds[0]);
            tool.output = std::move(fds[1]);
            tool.errors = std::move(fds[2]);
            toolStarted(std::move(tool));
        }
    }

    void onAttached(const Packet& packet) {
        const AttachRequest answer = decodeAttached(packet);
        const auto found = attaching.find(answer.request);
        if (found == attaching.end()) return;
        const DoneCallback done = std::move(found->second);
        attaching.erase(found);
        if (!done) return;
        if (answer.path.empty())
            done({});
        else
            done(sandboxFailed(answer.path));
    }

    void reclaim(const std::string& directory, DoneCallback done) {
        const uint64_t request = nextAttach++;
        attaching.emplace(request, std::move(done));
        send(encodeReclaim(request, directory));
    }

    // Of a tool, when what may belong to its user already is the kernel's again.
    void failInterrupted(TaskId task) {
        const std::shared_ptr<void> last(nullptr, [self = weak_from_this(), task](void*) {
            if (const auto state = self.lock())
                state->failStart(task,
                                 "The launcher ended while it was starting the sandbox. Try again.");
        });
        const auto found = known.find(task);
        if (lost || found == known.end()) return;
        const auto mounts = found->second.adopt.mounts;
        for (const Mount& mount : mounts)
            reclaim(mount.source, [last](const base::Result<void>& done) {
                if (!done) base::logWarning("sandbox", done.failure().detail);
            });
    }

    // What the dead launcher had not answered will not be answered.
    void failPending() {
        auto unanswered = std::move(attaching);
        attaching.clear();
        std::vector<TaskId> starting;
        for (const auto& [id, task] : known)
            if (!task.started) starting.push_back(id);
        for (const TaskId id : starting) failInterrupted(id);
        for (auto& [request, done] : unanswered)
            if (done) done(sandboxFailed("The launcher ended before it answered. Try again."));
    }

    void onRestarted() {
        base::logWarning("sandbox", "The launcher was started again; running sandboxes go on.");
        for (const auto& [id, task] : known) {
            if (!task.started) continue;
            std::vector<base::UniqueFd> fds;
            fds.push_back(task.pidfd.duplicate());
            send(encode(task.adopt), std::move(fds));
        }
        send(encodeBare(MessageKind::resume, 0));
        failPending();
        if (onLost) onLost();
    }

    void onEnd() {
        base::logError(
            "sandbox",
            "The launcher is gone; no sandbox can be started any more. Restart the platform.");
        lost = true;
        watcher.reset();
        control.close();
        failPending();
        // Its sandboxes end with it; how is not known any more. Those that were asked for since are
        // not among them.
        for (auto& [id, task] : known)
            if (task.started)
                task.goneWatcher =
                    std::make_unique<FdWatcher>(loop, task.pidfd.get(), EPOLLIN,
                                                [this, task = id](uint32_t) { onEnded(task, {}); });
        if (onLost) onLost();
    }

    // Registers a request and sends it; answers from the loop when it cannot be sent.
    void start(const StartRequest& request, Known task) {
        task.adopt.kind = request.kind;
        task.adopt.task = request.task;
        task.adopt.limits = request.limits;
        task.adopt.network = request.network;
        for (const Mount& mount : request.mounts)
            if (mount.kind == MountKind::writable) task.adopt.mounts.push_back(mount);
        known.emplace(request.task, std::move(task));
        std::string packet = encode(request);
        std::string problem;
        if (lost) problem = "The launcher is gone; restart the platform.";
        if (packet.size() > maxMessage)
            problem =
                "Program, environment and mounts together are larger than 128 KiB; make the "
                "environment smaller.";
        if (problem.empty()) return send(std::move(packet));
        loop.post([self = shared_from_this(), id = request.task, problem] {
            self->failStart(id, problem);
        });
    }

    base::EventLoop& loop;
    ControlSocket control;
    std::vector<Layer> layers;
    std::string taskFolders;
    std::unique_ptr<FdWatcher> watcher{};
    std::unordered_map<TaskId, Known> known{};
    std::unordered_map<uint64_t, DoneCallback> attaching{};
    std::function<void()> onLost{};
    // Groups are named after tasks: ids must not repeat those of an earlier run that is still being
    // cleaned up.
    TaskId nextTask = (base::randomBits() >> 24 << 16) + 1;
    uint64_t nextAttach = 1;
    bool lost = false;
};

LauncherClient::LauncherClient(base::EventLoop& loop, LauncherProcess process)
    : state_(std::make_shared<State>(loop, std::move(process))) {
    State* const state = state_.get();
    state->watcher = std::make_unique<FdWatcher>(
        loop, state->control.get(), EPOLLIN, [state](uint32_t events) { state->onEvents(events); });
}

LauncherClient::~LauncherClient() {
    state_->watcher.reset();
    state_->known.clear();
    state_->attaching.clear();
    state_->onLost = nullptr;
    state_->lost = true;
    state_->control.close();
}

void LauncherClient::startWorker(const WorkerSpec& spec, WorkerCallback started,
                                 EndedCallback ended) {
    StartRequest request;
    request.kind = TaskKind::worker;
    request.task = state_->nextTask++;
    request.argv = spec.argv;
    for (const auto& [name, value] : spec.environment)
        request.environment.push_back(name + "=" + value);
    request.mounts = spec.mounts;
    request.limits = spec.limits;
    request.network = spec.network;
    request.execStub = spec.execStub;
    State::Known task;
    task.workerStarted = std::move(started);
    task.ended = std::move(ended);
    state_->start(request, std::move(task));
}

void LauncherClient::startTool(const ToolSpec& spec, ToolCallback started, EndedCallback ended) {
    StartRequest request;
    request.kind = TaskKind::tool;
    request.task = state_->nextTask++;
    request.argv = spec.argv;
    for (const auto& [name, value] : spec.environment)
        request.environment.push_back(name + "=" + value);
    request.mounts = spec.mounts;
    request.directory = spec.directory;
    request.limits = spec.limits;
    request.network = spec.network;
    State::Known task;
    task.toolStarted = std::move(started);
    task.ended = std::move(ended);
    state_->start(request, std::move(task));
}

void LauncherClient::startProbe(const std::vector<std::string>& argv,
                                std::chrono::milliseconds timeout, ToolCallback started,
                                EndedCallback ended) {
    StartRequest request;
    request.kind = TaskKind::probe;
    request.task = state_->nextTask++;
    request.argv = argv;
    request.timeoutMs = static_cast<uint64_t>(timeout.count());
    State::Known task;
    task.toolStarted = std::move(started);
    task.ended = std::move(ended);
    state_->start(request, std::move(task));
}

void LauncherClient::attach(TaskId worker, const Attachment& attachment, DoneCallback done) {
    const uint64_t request = state_->nextAttach++;
    state_->attaching.emplace(request, std::move(done));
    std::string packet = encodeAttach(worker, request, attachment);
    if (const auto found = state_->known.find(worker); found != state_->known.end())
        found->second.adopt.network = attachment.network;
    // The launcher could not receive it, and the answer must not come before this returns.
    if (!state_->lost && packet.size() <= maxMessage) return state_->send(std::move(packet));
    state_->loop.post([state = state_, request] {
        const auto found = state->attaching.find(request);
        if (found == state->attaching.end()) return;
        const DoneCallback unanswered = std::move(found->second);
        state->attaching.erase(found);
        if (unanswered)
            unanswered(sandboxFailed(
                state->lost ? "The launcher is gone; restart the platform."
                            : "The names of a version's layers and network destinations together "
                              "are larger than 128 KiB; use fewer or shorter ones."));
    });
}

void LauncherClient::onRefused(TaskId worker, RefusedCallback refused) {
    const auto found = state_->known.find(worker);
    if (found != state_->known.end()) found->second.refused = std::move(refused);
}

void LauncherClient::share(TaskId worker, uint32_t parts) {
    state_->send(encodeShare(worker, parts));
}

void LauncherClient::reclaim(const std::string& directory, DoneCallback done) {
    state_->reclaim(directory, std::move(done));
    if (state_->lost) state_->loop.post([state = state_] { state->failPending(); });
}

void LauncherClient::kill(TaskId task) {
    const auto found = state_->known.find(task);
    if (found == state_->known.end()) return;
    std::vector<base::UniqueFd> fds;
    if (found->second.pidfd) fds.push_back(found->second.pidfd.duplicate());
    state_->send(encodeBare(MessageKind::kill, task), std::move(fds));
}

void LauncherClient::onLost(std::function<void()> callback) {
    state_->onLost = std::move(callback);
}

bool LauncherClient::isGone() const { return state_->lost; }

const std::vector<Layer>& LauncherClient::layers() const { return state_->layers; }

std::string LauncherClient::artifactPath(TaskId worker) const {
    return (state_->taskFolders.empty() ? std::string() : taskFolder(state_->taskFolders, worker)) +
           "/function";
}

std::string tierOf(const std::vector<Layer>& layers) {
    const auto has = [&](std::string_view name) {
        return std::any_of(layers.begin(), layers.end(), [&](const Layer& layer) {
            return layer.name == name && layer.active;
        });
    };
    if (has("mount_namespace")) return has("own_user") ? "root" : "user";
    return has("own_user") ? "container" : "bare";
}

}  // namespace cf::sandbox
