// The workers of one version and the invocations that wait for them: who gets what, when another
// worker starts, what happens when one dies. Loop thread only.
#pragma once

#include <algorithm>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "workers/run_history.hpp"
#include "workers/worker.hpp"

namespace cf::workers {

class VersionPool;

// A list and not a deque: thousands of functions have an empty one, which costs no memory then.
using InvocationQueue = std::list<InvocationPtr>;

// What a pool asks of the platform around it.
class WorkerSource {
public:
    virtual ~WorkerSource() = default;
    // A worker on its way to the pool's target, owned by the pool; null when there is no place for
    // it. The pool then counts as starving, and is told to grow() when there is a place.
    virtual std::unique_ptr<Worker> provide(VersionPool& pool) = 0;
    // Whether this worker, which has just answered, has to make room for one of a starving pool.
    virtual bool takesBack(const VersionPool& pool, const Worker& worker) = 0;
    // A worker has nothing to do while others starve.
    virtual void workerIdle() = 0;
    // The pool's last worker is gone.
    virtual void poolEmpty(VersionPool& pool) = 0;
    // A call that a drained pool did not begin.
    virtual void passOn(InvocationPtr invocation) = 0;
};

class VersionPool final : public WorkerOwner {
public:
    // Called once when every worker asked for is ready, or those that are after a second; when the
    // first one failed, none got a place in time, or the pool was drained before.
    using LoadedCallback = std::function<void(base::Result<void>)>;

    VersionPool(Context& context, WorkerSource& source, TargetPtr target);
    ~VersionPool() override;

    const TargetPtr& target() const { return target_; }
    // `now`: the time, which the caller mostly knows already.
    void submit(InvocationPtr invocation, Clock::time_point now);
    // Drops it where it waits; false: it does not wait here.
    bool withdraw(Invocation& invocation);
    // The caller does not want it any more: drops it where it waits, ends its worker where it runs.
    void cancel(Invocation& invocation);
    // Starts `count` workers before any call, and tells how it went.
    void preload(size_t count, LoadedCallback callback);
    // New settings of the same version.
    void retarget(TargetPtr target);
    // No new work: idle workers leave now, busy ones when they are done. Returns what was only
    // queued. `why`: what whoever waits for preload() is told.
    InvocationQueue drain(const base::Failure& why);
    // Of a drained pool: kills its workers and tells their callers `why`.
    void end(const base::Failure& why);
    // Lets idle workers go that were not used for keep_alive. Called about once a second.
    void retireIdle(Clock::time_point now);
    // Gives back to the workers at work what they shared with those that have nothing to do. Called
    // about once a second.
    void settleShare(Clock::time_point now);
    // Starts what is missing to min_workers.
    void keepMinimum();
    // Starts workers for what waits, `most` of them.
    void grow(size_t most = SIZE_MAX);
    // At most what leastRecentlyUsed() would give one after the other.
    struct Spare {
        uint32_t workers = 0;
        uint64_t bytes = 0;
    };
    Spare spare(Clock::time_point now, Clock::duration idle, size_t keep) const;
    // Those that could take its place, for a platform that is full: idle for at least `idle`, and
    // unused for the longest time; null without one. `keep` workers stay in any case.
    Worker* leastRecentlyUsed(Clock::time_point now, Clock::duration idle, size_t keep) const;

    // Workers that hold a place and go on to.
    size_t places() const;
    // Calls, or a version that is to be live, wait, and have done so for so long.
    bool waits() const { return !draining_ && (!queue_.empty() || preloadTimer_ != 0); }
    Clock::duration longestWait(Clock::time_point now) const {
        if (!queue_.empty()) return now - std::max(queue_.front()->received, gaveBackAt_);
        return preloadTimer_ != 0 ? now - preloadSince_ : Clock::duration{};
    }
    // The most memory that one of its workers used; 0: not known yet.
    uint64_t memorySeen() const { return memorySeen_; }

    size_t workers() const { return workers_.size(); }
    size_t busy() const;
    size_t queued() const { return queue_.size(); }
    bool draining() const { return draining_; }

    void workerReady(Worker&) override;
    void workerAnswered(Worker&, InvocationPtr, Outcome&) override;
    void workerReturned(Worker&, std::vector<InvocationPtr>) override;
    void workerGone(Worker&, WorkerEnd&&) override;
    bool wantsStart(const Worker&) const override;

private:
    Worker* pick();
    Worker* pickShared();
    size_t usefulWorkers() const;
    double perCore() const;
    bool stuck(const Worker& worker) const;
    size_t depthNow() const;
    void feed(Clock::time_point now);
    size_t workersForQueue() const;
    void startMissing(size_t most, size_t helpful);
    void startOne();
    void preloadOne();
    void preloadMore();
    void preloadNext();
    size_t loadsAtOnce() const;
    void stopSurplus();
    void loadFailed(const WorkerEnd& end);
    void hand(Worker& worker, InvocationPtr invocation, Clock::time_point now);
    void requeue(std::vector<InvocationPtr> calls);
    void queueAgain(InvocationPtr call);
    size_t workersAtWork() const;
    void share(size_t atWork);
    void setParts(uint32_t parts);
    void finish(InvocationPtr call, Outcome& outcome);
    void fail(InvocationPtr call, const base::Failure& failure);
    void failGone(InvocationPtr call);
    void failQueue(const base::Failure& failure);
    base::Failure whyNobodyCame() const;
    base::Failure whyNoPlace(std::chrono::milliseconds waited) const;
    void expireQueue();
    void armQueue();
    void armGrow(Clock::time_point when);
    void loaded(base::Result<void> result);

    Context& context_;
    WorkerSource& source_;
    TargetPtr target_;
    std::vector<std::unique_ptr<Worker>> workers_;
    InvocationQueue queue_;
    size_t starting_ = 0;  // workers that are not ready yet
    RunHistory history_;
    uint32_t parts_ = 1;  // that the function's processor time is divided into
    uint64_t memorySeen_ = 0;
    Clock::time_point gaveBackAt_{};  // a place, so that others have their turn
    bool refused_ = false;  // there was no place when it asked last
    bool draining_ = false;
    base::TimerId queueTimer_ = 0, growTimer_ = 0;
    Clock::time_point growsAt_{};  // growTimer_
    size_t preloadLeft_ = 0;
    base::TimerId preloadTimer_ = 0;    // runs while preload() waits for a place
    Clock::time_point preloadSince_{};  // its beginning
    LoadedCallback loaded_;
    uint32_t loadFailures_ = 0;  // in a row
    base::Failure loadFailure_{};
    Clock::duration retryDelay_{};
    Clock::time_point retryAt_{};
};

}  // namespace cf::workers
