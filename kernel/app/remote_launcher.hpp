// The launcher for the workers of a loop that does not own the launcher's socket: asks on the
// owner's loop and brings the answers back. Starts are rare next to calls, so a wake-up more of
// each costs nothing worth a second socket. Its methods are called, and its callbacks run, on the
// loop it was made for.
#pragma once

#include "base/event_loop.hpp"
#include "sandbox/worker_launcher.hpp"

namespace cf::app {

class RemoteLauncher final : public sandbox::WorkerLauncher {
public:
    // `launcher` lives on the loop `owner`, `here` is whose workers these are. All outlive it, and
    // both loops outlive the launcher, or the tasks that this one posted to them. Answers that come
    // when `here` has ended are dropped.
    RemoteLauncher(base::EventLoop& here, base::EventLoop& owner, sandbox::WorkerLauncher& launcher)
        : here_(here), owner_(owner), launcher_(launcher) {}

    void startWorker(const sandbox::WorkerSpec& spec, WorkerCallback started,
                     EndedCallback ended) override;
    void onRefused(sandbox::TaskId worker, RefusedCallback refused) override;
    void attach(sandbox::TaskId worker, const sandbox::Attachment& attachment,
                DoneCallback done) override;
    void share(sandbox::TaskId worker, uint32_t parts) override;
    // A launcher's answer to this never changes: asked here.
    std::string artifactPath(sandbox::TaskId worker) const override {
        return launcher_.artifactPath(worker);
    }
    void kill(sandbox::TaskId task) override;

private:
    base::EventLoop& here_;
    base::EventLoop& owner_;
    sandbox::WorkerLauncher& launcher_;
};

}  // namespace cf::app
