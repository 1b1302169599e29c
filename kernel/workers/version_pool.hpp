// The workers of one version and the invocations that wait for them: who gets what, when another
// worker starts, what happens when one dies. Loop thread only.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "workers/worker.hpp"

namespace cf::workers {

class VersionPool;

// What a pool asks of the platform around it.
class WorkerSource {
public:
    virtual ~WorkerSource() = default;
    // A worker on its way to `target`, owned by `owner`; null when the platform is full.
    virtual std::unique_ptr<Worker> provide(const TargetPtr& target, WorkerOwner& owner) = 0;
    // The pool is draining and has nothing left.
    virtual void poolEmpty(VersionPool& pool) = 0;
};

class VersionPool final : public WorkerOwner {
public:
    // Called once when every worker asked for is ready, or the first one failed.
    using LoadedCallback = std::function<void(base::Result<void>)>;

    VersionPool(Context& context, WorkerSource& source, TargetPtr target);
    ~VersionPool() override;

    const TargetPtr& target() const { return target_; }
    void submit(InvocationPtr invocation);
    // The caller does not want it any more: drops it where it waits, ends its worker where it runs.
    void cancel(Invocation& invocation);
    // Starts `count` workers before any call, and tells how it went.
    void preload(size_t count, LoadedCallback callback);
    // New settings of the same version.
    void retarget(TargetPtr target);
    // No new work: idle workers leave now, busy ones when they are done. Returns what was only
    // queued.
    std::deque<InvocationPtr> drain();
    // Lets idle workers go that were not used for keep_alive. Called about once a second.
    void retireIdle(Clock::time_point now);
    // The idle worker unused for the longest time, for a platform that is full; null without one.
    Worker* leastRecentlyUsed() const;

    size_t workers() const { return workers_.size(); }
    size_t busy() const;
    size_t queued() const { return queue_.size(); }
    bool draining() const { return draining_; }

    void workerReady(Worker&) override;
    void workerAnswered(Worker&, InvocationPtr, Outcome&) override;
    void workerGone(Worker&, WorkerEnd&&) override;

private:
    Worker* pick();
    size_t depthNow() const;
    void feed();
    void grow();
    void startOne();
    void requeue(std::vector<InvocationPtr> calls);
    void finish(InvocationPtr call, Outcome& outcome);
    void fail(InvocationPtr call, const base::Failure& failure);
    void failQueue(const base::Failure& failure);
    void expireQueue();
    void armQueue();
    void armGrow();
    void loaded(base::Result<void> result);

    Context& context_;
    WorkerSource& source_;
    TargetPtr target_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::deque<InvocationPtr> queue_;
    size_t starting_ = 0;     // workers that are not ready yet
    double meanRunUs_ = -1;   // moving mean of what the handler takes; -1 before the first answer
    size_t shortInARow_ = 0;  // answers since the last one that was not short
    bool draining_ = false;
    base::TimerId queueTimer_ = 0, growTimer_ = 0;
    size_t preloadLeft_ = 0;
    LoadedCallback loaded_;
    uint32_t loadFailures_ = 0;
};

}  // namespace cf::workers
