// When a pool starts a further worker, and what becomes of one that did not load.
#include <algorithm>

#include "workers/version_pool.hpp"
#include "workers/worker_end.hpp"

namespace cf::workers {

using namespace std::chrono_literals;

namespace {
// How often those that wait are looked after.
constexpr auto growDelay = 5ms;
// How long a version that loads waits for more than its first workers before it may go live.
constexpr auto preloadEnough = 1s;
// After a failed load, doubled each time that it is tried again in vain.
constexpr auto firstRetry = 200ms;
constexpr auto longestRetry = 30s;
}  // namespace

// One each, or for as many as may run on one at once.
size_t VersionPool::workersForQueue() const {
    const size_t parallel = std::max<size_t>(1, target_->concurrency);
    return (queue_.size() + parallel - 1) / parallel;
}

bool VersionPool::wantsStart(const Worker&) const {
    if (preloadLeft_ > 0 || places() <= target_->minWorkers) return true;
    const auto starts = std::count_if(workers_.begin(), workers_.end(), [](const auto& w) {
        return w->initTime().count() == 0 && w->state() != Worker::State::dying;
    });
    return static_cast<size_t>(starts) <= workersForQueue();
}

// Little's law in small steps: nobody knows yet how long a new function takes, so it begins with as
// many workers as there are cores and gets more when they do not answer, or when it is known to be
// a long one.
void VersionPool::grow(size_t most) {
    if (preloadTimer_ != 0) return preloadOne();
    // Workers that hang in a long call, or leave, are no help to those that wait: they do not
    // count.
    startMissing(most, static_cast<size_t>(
                           std::count_if(workers_.begin(), workers_.end(), [&](const auto& worker) {
                               return worker->staysHere() && !stuck(*worker);
                           })));
}

// Starts workers for what waits where `helpful` ones are there or on their way.
void VersionPool::startMissing(size_t most, size_t helpful) {
    if (draining_ || queue_.empty()) return;
    const size_t started = workers_.size() - starting_;
    // While others do the work, what did not load is tried again after a while only.
    if (loadFailures_ > 0 && started > 0 && Clock::now() < retryAt_) return armGrow(retryAt_);
    size_t wanted = std::min(workersForQueue(), loadsAtOnce());
    if (!history_.isLong()) {
        const size_t cores = context_.options.cores;
        wanted = std::min(wanted, helpful >= cores ? 0 : cores - helpful + starting_);
        armGrow(Clock::now() + growDelay);
    }
    if (target_->maxWorkers > 0)
        wanted = std::min<size_t>(
            wanted, target_->maxWorkers > started ? target_->maxWorkers - started : 0);
    for (; most > 0 && starting_ < wanted; --most) {
        startOne();
        if (refused_) break;
    }
}

// Looks only once the answers that came meanwhile have been read: in the middle of a round that
// began late every worker seems to be stuck.
void VersionPool::armGrow(Clock::time_point when) {
    if (growTimer_ != 0 && growsAt_ <= when) return;
    context_.loop.cancel(growTimer_);
    growsAt_ = when;
    growTimer_ = context_.loop.at(when, [this] {
        growTimer_ = 0;
        feed(Clock::now());
        grow();
    });
}

void VersionPool::startOne() {
    auto worker = source_.provide(*this);
    refused_ = !worker;
    if (refused_) return;
    ++starting_;
    workers_.push_back(std::move(worker));
    share(workersAtWork());
    workers_.back()->share(parts_);
}

// Loading may compute for as long as it likes. Where many load side by side on few cores none is
// ready in time: as many as there are cores at first, then as many as are ready, so they double.
size_t VersionPool::loadsAtOnce() const {
    const auto ready = std::count_if(workers_.begin(), workers_.end(),
                                     [](const auto& w) { return w->takesWork(); });
    return std::max<size_t>(context_.options.cores, static_cast<size_t>(ready));
}

void VersionPool::preload(size_t count, LoadedCallback callback) {
    loaded_ = std::move(callback);
    preloadLeft_ = count;
    preloadSince_ = Clock::now();
    preloadMore();
    if (preloadLeft_ > 0) return;  // fewer on a full platform, but one: nothing goes live untried
    preloadTimer_ = context_.loop.after(context_.options.preloadPatience, [this] {
        preloadTimer_ = 0;
        auto why = whyNoPlace(context_.options.preloadPatience);
        why.detail += ", so the new version could not be tried";
        loaded(std::move(why));
    });
}

void VersionPool::preloadMore() {
    while (starting_ < preloadLeft_ && starting_ < loadsAtOnce()) {
        startOne();
        if (!refused_) continue;
        preloadLeft_ = starting_;
        return;
    }
}

// One of them is ready.
void VersionPool::preloadNext() {
    --preloadLeft_;
    if (Clock::now() - preloadSince_ >= preloadEnough) preloadLeft_ = 0;
    if (preloadLeft_ > 0) preloadMore();
    if (preloadLeft_ > 0) return;
    loaded({});
}

// Its turn for a place has come.
void VersionPool::preloadOne() {
    startOne();
    if (refused_) return;
    context_.loop.cancel(std::exchange(preloadTimer_, 0));
    preloadLeft_ = 1;
}

void VersionPool::loaded(base::Result<void> result) {
    context_.loop.cancel(std::exchange(preloadTimer_, 0));
    if (auto callback = std::exchange(loaded_, nullptr)) callback(std::move(result));
}

void VersionPool::keepMinimum() {
    // One that does not load is tried again when it is called.
    if (draining_ || loadFailures_ > 0) return;
    const size_t have = places();
    for (size_t i = have; i < target_->minWorkers && starting_ < loadsAtOnce(); ++i) startOne();
}

void VersionPool::loadFailed(const WorkerEnd& end) {
    ++loadFailures_;
    loadFailure_ = failureOf(end, *target_, target_->timeout);
    if (const auto now = Clock::now(); now >= retryAt_) {  // several that fail together count once
        retryDelay_ = std::clamp<Clock::duration>(2 * retryDelay_, firstRetry, longestRetry);
        retryAt_ = now + retryDelay_;
    }
    if (loaded_) {
        preloadLeft_ = 0;
        auto why = loadFailure_;
        why.buildLog = base::toValidUtf8(end.printed);  // for whoever saves; callers are not told
        loaded(std::move(why));
    }
    const bool hopeless = std::none_of(workers_.begin(), workers_.end(),
                                       [](const auto& w) { return w->takesWork(); });
    if (hopeless && (end.cause == WorkerEnd::Cause::loadFailed || loadFailures_ >= 2))
        failQueue(loadFailure_);
}

}  // namespace cf::workers
