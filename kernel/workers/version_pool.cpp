#include "workers/version_pool.hpp"

#include <algorithm>
#include <numeric>

#include "workers/worker_end.hpp"

namespace cf::workers {

using namespace std::chrono_literals;

namespace {
// A call that runs longer, for each process that wants the core, is no short one: nothing more
// waits behind it.
constexpr auto stuckAfter = 5ms;
// What was not begun so long after it was sent ahead is taken back, again for each process that
// wants the core.
constexpr auto lendFor = 20ms;
}  // namespace

VersionPool::VersionPool(Context& context, WorkerSource& source, TargetPtr target)
    : context_(context), source_(source), target_(std::move(target)) {}

VersionPool::~VersionPool() {
    context_.loop.cancel(queueTimer_);
    context_.loop.cancel(growTimer_);
    context_.loop.cancel(preloadTimer_);
}

size_t VersionPool::busy() const {
    return static_cast<size_t>(std::count_if(workers_.begin(), workers_.end(),
                                             [](const auto& w) { return w->load() > 0; }));
}

void VersionPool::submit(InvocationPtr invocation, Clock::time_point now) {
    if (Worker* worker = queue_.empty() ? pick() : nullptr)
        return hand(*worker, std::move(invocation), now);
    if (queue_.size() >= context_.options.queueSize)
        return fail(std::move(invocation),
                    {.reason = "queue_full",
                     .detail = "too many invocations of this function are waiting already",
                     .hint = "call again later, or raise queue.size or max_workers",
                     .limit = std::to_string(context_.options.queueSize) + " waiting invocations",
                     .observed = std::to_string(queue_.size())});
    queue_.push_back(std::move(invocation));
    armQueue();
    startMissing(SIZE_MAX, places());
}

void VersionPool::hand(Worker& worker, InvocationPtr invocation, Clock::time_point now) {
    Clock::duration patience{};
    if (worker.load() > 0)
        patience = std::chrono::duration_cast<Clock::duration>(lendFor * perCore());
    else if (parts_ < workers_.size())
        share(workersAtWork() + 1);
    worker.share(parts_);
    worker.send(std::move(invocation), now, patience);
}

double VersionPool::perCore() const {
    return context_.options.perCore ? context_.options.perCore()
                                    : context_.crowding.perCore(context_.loop.now());
}

// Its call has been running for so long that no wait for a core explains it.
bool VersionPool::stuck(const Worker& worker) const {
    const auto age = worker.headAge(context_.loop.now());
    return age > stuckAfter && age > stuckAfter * perCore();
}

// How many workers a function can make use of whose calls wait for nothing but a core.
size_t VersionPool::usefulWorkers() const {
    const size_t cores = context_.options.cores;
    return target_->maxWorkers == 0 ? cores : std::min<size_t>(cores, target_->maxWorkers);
}

// How many invocations a worker may hold at once right now.
size_t VersionPool::depthNow() const {
    return target_->concurrency > 1 ? target_->concurrency : history_.depth();
}

// Most recently used idle worker first, so that those that are not needed can leave; the least
// loaded one where calls may wait in sockets. A short function keeps as many workers busy as there
// are cores: a further one would only take a core from the others.
Worker* VersionPool::pick() {
    if (target_->concurrency > 1) return pickShared();
    Worker* idle = nullptr;
    Worker* least = nullptr;
    size_t ready = 0, active = 0;
    for (const auto& worker : workers_) {
        if (!worker->takesWork()) continue;
        ++ready;
        if (worker->load() == 0) {
            if (idle == nullptr || worker->lastUsed() > idle->lastUsed()) idle = worker.get();
        } else if (!stuck(*worker)) {
            ++active;
            if (least == nullptr || worker->load() < least->load()) least = worker.get();
        }
    }
    const size_t useful = usefulWorkers();
    if (idle != nullptr && !(history_.isShort() && active >= useful)) return idle;
    // Waiting in a socket pays only once the function has the workers that it can use.
    if (least == nullptr || ready < useful) return nullptr;
    return least->load() < depthNow() ? least : nullptr;
}

// The least loaded one with room, busy ones first.
Worker* VersionPool::pickShared() {
    Worker* idle = nullptr;
    Worker* least = nullptr;
    for (const auto& worker : workers_) {
        if (!worker->takesWork()) continue;
        if (worker->load() == 0) {
            if (idle == nullptr || worker->lastUsed() > idle->lastUsed()) idle = worker.get();
        } else if (least == nullptr || worker->load() < least->load()) {
            least = worker.get();
        }
    }
    return least != nullptr && least->load() < target_->concurrency ? least : idle;
}

void VersionPool::feed(Clock::time_point now) {
    while (!queue_.empty()) {
        if (queue_.front()->abandoned) {
            failGone(std::exchange(queue_.front(), nullptr));
            queue_.pop_front();
            continue;
        }
        Worker* worker = pick();
        if (worker == nullptr) return startMissing(SIZE_MAX, places());
        InvocationPtr call = std::move(queue_.front());
        queue_.pop_front();
        hand(*worker, std::move(call), now);
    }
}

void VersionPool::workerReady(Worker& worker) {
    --starting_;
    loadFailures_ = 0;
    retryDelay_ = {};
    worker.retarget(target_);  // the settings may have changed while it loaded
    if (preloadLeft_ > 0) preloadNext();
    if (draining_) return worker.stop();
    feed(Clock::now());
}

void VersionPool::workerAnswered(Worker& worker, InvocationPtr call, Outcome& outcome) {
    memorySeen_ = std::max(memorySeen_, outcome.memoryPeakBytes);
    history_.add({.run = outcome.handler,
                  .first = outcome.cold,
                  .crowded = worker.returnedCalls() || worker.load() > 0,
                  .native = worker.printedNatively(),
                  .parallel = target_->concurrency > 1},
                 [this] { return perCore(); });
    if (draining_) {
        if (worker.load() == 0) worker.stop();
    } else {
        if (context_.starving > 0 && source_.takesBack(*this, worker)) {
            gaveBackAt_ = context_.loop.now();
            worker.stop();
        }
        // Its answer was just timed, unless it was given up for it.
        if (!queue_.empty()) feed(std::max(worker.lastUsed(), context_.loop.now()));
        if (context_.starving > 0 && worker.load() == 0) source_.workerIdle();
    }
    finish(std::move(call), outcome);
}

void VersionPool::finish(InvocationPtr call, Outcome& outcome) {
    // What was never begun has waited until now.
    const auto begun = call->begun != Clock::time_point{} ? call->begun : Clock::now();
    outcome.queued =
        std::max(std::chrono::microseconds(0), microsecondsSince(call->received, begun));
    call->finished(outcome);
}

void VersionPool::fail(InvocationPtr call, const base::Failure& failure) {
    Outcome outcome;
    outcome.failure = failure;
    outcome.cold = call->cold;
    outcome.init = call->init;
    finish(std::move(call), outcome);
}

void VersionPool::failGone(InvocationPtr call) {
    fail(std::move(call), {.reason = "client_gone", .detail = "the caller went away"});
}

void VersionPool::failQueue(const base::Failure& failure) {
    InvocationQueue calls;
    calls.swap(queue_);
    for (auto& call : calls) fail(std::move(call), failure);
}

bool VersionPool::withdraw(Invocation& invocation) {
    const auto at = std::find_if(queue_.begin(), queue_.end(),
                                 [&](const auto& c) { return c.get() == &invocation; });
    if (at == queue_.end()) return false;
    InvocationPtr call = std::move(*at);
    queue_.erase(at);
    failGone(std::move(call));
    return true;
}

void VersionPool::cancel(Invocation& invocation) {
    if (withdraw(invocation)) return;
    for (auto& worker : workers_)
        if (worker->cancel(invocation)) return;
}

void VersionPool::workerGone(Worker& worker, WorkerEnd&& end) {
    const auto at = std::find_if(workers_.begin(), workers_.end(),
                                 [&](const auto& w) { return w.get() == &worker; });
    if (at == workers_.end()) return;
    const bool neverReady = worker.initTime().count() == 0;
    if (neverReady) --starting_;
    retire(context_.loop, std::move(*at));
    workers_.erase(at);

    memorySeen_ = std::max(memorySeen_, end.memoryPeakBytes);
    // With several invocations on one worker nobody knows whose fault it was but for one that was
    // alone.
    const bool severalBegun = end.begun.size() > 1;
    for (auto& call : end.begun) {
        Outcome outcome;
        outcome.failure = failureOf(end, *target_, call->timeout);
        if (severalBegun && end.cause != WorkerEnd::Cause::timedOut)
            outcome.failure.hint +=
                std::string(outcome.failure.hint.empty() ? "" : "; ") +
                "several invocations ran on this worker, another one may be the cause";
        outcome.cold = call->cold;
        outcome.init = call->init;
        outcome.memoryPeakBytes = end.memoryPeakBytes;
        outcome.run =
            std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - call->begun);
        finish(std::move(call), outcome);
    }
    for (auto& call : end.unknown)
        fail(std::move(call),
             {.reason = "worker_lost",
              .detail = "the worker was ended for an invocation before this one, in the moment in "
                        "which it may have begun this one",
              .hint = "call again if it may run twice"});
    requeue(std::move(end.notBegun));

    if (neverReady && (loaded_ || end.cause != WorkerEnd::Cause::stopped)) loadFailed(end);
    if (workers_.empty()) source_.poolEmpty(*this);
    if (draining_) return;
    feed(Clock::now());
}

// What a worker that is gone did not begin; into a queue, or on when there is none any more.
void VersionPool::requeue(std::vector<InvocationPtr> calls) {
    for (auto at = calls.rbegin(); at != calls.rend(); ++at) {
        if ((*at)->abandoned) {
            failGone(std::move(*at));
            continue;
        }
        if ((*at)->retried) {
            fail(std::move(*at), {.reason = "worker_lost",
                                  .detail = "the worker that this invocation waited for died twice",
                                  .hint = "call again"});
            continue;
        }
        (*at)->retried = true;
        queueAgain(std::move(*at));
    }
    armQueue();
}

// In front of all others: it was taken out of the queue before them.
void VersionPool::queueAgain(InvocationPtr call) {
    call->begun = {};
    call->cold = false;
    if (draining_)
        source_.passOn(std::move(call));
    else
        queue_.push_front(std::move(call));
}

void VersionPool::workerReturned(Worker&, std::vector<InvocationPtr> calls) {
    for (auto at = calls.rbegin(); at != calls.rend(); ++at) {
        if ((*at)->abandoned)
            failGone(std::move(*at));
        else
            queueAgain(std::move(*at));
    }
    armQueue();
    if (!draining_) feed(Clock::now());
}

void VersionPool::armQueue() {
    if (queueTimer_ != 0 || queue_.empty()) return;
    queueTimer_ =
        context_.loop.at(queue_.front()->received + context_.options.queueTimeout, [this] {
            queueTimer_ = 0;
            expireQueue();
        });
}

base::Failure VersionPool::whyNobodyCame() const {
    if (refused_) return whyNoPlace(context_.options.queueTimeout);
    base::Failure why{.reason = "queue_timeout",
                      .detail = "no worker became free in time",
                      .hint = "call again later, or raise max_workers",
                      .limit = std::to_string(context_.options.queueTimeout.count()) + " ms"};
    if (loadFailures_ > 0) {
        why.detail += ", and no further one could be started: " + loadFailure_.detail;
        why.hint = loadFailure_.hint;
    }
    return why;
}

base::Failure VersionPool::whyNoPlace(std::chrono::milliseconds waited) const {
    return {.reason = "platform_full",
            .detail = "all places for workers are taken by functions that are busy",
            .hint = "call again later, or raise workers.max or workers.memory_budget",
            .limit = context_.places.limit(),
            .observed = "no place became free in " + std::to_string(waited.count()) + " ms"};
}

void VersionPool::expireQueue() {
    const auto now = Clock::now();
    while (!queue_.empty() && now >= queue_.front()->received + context_.options.queueTimeout) {
        InvocationPtr call = std::move(queue_.front());
        queue_.pop_front();
        fail(std::move(call), whyNobodyCame());
    }
    armQueue();
}

void VersionPool::retarget(TargetPtr target) {
    const bool needsNewWorkers = target->memoryMb != target_->memoryMb ||
                                 target->concurrency != target_->concurrency ||
                                 target->functionName != target_->functionName;
    target_ = std::move(target);
    for (auto& worker : workers_) {
        // What a worker was told when it was bound is fixed: those of before leave once they are
        // done.
        if (needsNewWorkers)
            worker->stop();
        else if (worker->takesWork())
            worker->retarget(target_);  // one that leaves goes on as it was told
    }
    stopSurplus();
    feed(Clock::now());
}

// Where there are more than max_workers those leave first that help nobody; a busy one when it is
// done.
void VersionPool::stopSurplus() {
    if (target_->maxWorkers == 0) return;
    std::vector<Worker*> staying;
    for (auto& worker : workers_)
        if (worker->staysHere()) staying.push_back(worker.get());
    const auto worth = [](const Worker* worker) {
        return (worker->takesWork() ? 1 : 0) + (worker->load() > 0 ? 1 : 0);
    };
    std::stable_sort(staying.begin(), staying.end(), [&](const Worker* a, const Worker* b) {
        return worth(a) != worth(b) ? worth(a) < worth(b) : a->lastUsed() < b->lastUsed();
    });
    for (size_t i = 0; i + target_->maxWorkers < staying.size(); ++i) staying[i]->stop();
}

InvocationQueue VersionPool::drain(const base::Failure& why) {
    draining_ = true;
    loaded(why);
    for (auto& worker : workers_) worker->stop();
    return std::exchange(queue_, {});
}

void VersionPool::end(const base::Failure& why) {
    for (auto& worker : workers_) {
        for (auto& call : worker->surrender()) fail(std::move(call), why);
        worker->kill(WorkerEnd::Cause::stopped, "the platform stops");
    }
}

void VersionPool::retireIdle(Clock::time_point now) {
    for (auto& worker : workers_) worker->checkIdleWork(now);
    size_t alive = workers_.size();
    const auto surplusRest =
        std::min<Clock::duration>(context_.options.surplusKeepAlive, target_->keepAlive);
    for (auto& worker : workers_) {
        if (alive <= target_->minWorkers) return;
        const bool isSurplus =
            history_.isShort() && target_->concurrency <= 1 && alive > usefulWorkers();
        if (worker->takesWork() && worker->load() == 0 &&
            now - worker->lastUsed() >= (isSurplus ? surplusRest : target_->keepAlive)) {
            worker->stop();
            --alive;
        }
    }
}

size_t VersionPool::places() const {
    return static_cast<size_t>(std::count_if(workers_.begin(), workers_.end(),
                                             [](const auto& w) { return w->staysHere(); }));
}

VersionPool::Spare VersionPool::spare(Clock::time_point now, Clock::duration idle, size_t keep) const {
    std::vector<uint64_t> sizes;
    for (const auto& worker : workers_)
        if (worker->takesWork() && worker->load() == 0 && now - worker->lastUsed() >= idle)
            sizes.push_back(worker->place().bytes());
    const size_t have = places();
    const size_t most = have > keep ? have - keep : 0;
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    if (sizes.size() > most) sizes.resize(most);
    return {.workers = static_cast<uint32_t>(sizes.size()),
            .bytes = std::accumulate(sizes.begin(), sizes.end(), uint64_t{0})};
}

Worker* VersionPool::leastRecentlyUsed(Clock::time_point now, Clock::duration idle, size_t keep) const {
    Worker* oldest = nullptr;
    for (const auto& worker : workers_)
        if (worker->takesWork() && worker->load() == 0 && now - worker->lastUsed() >= idle &&
            (oldest == nullptr || worker->lastUsed() < oldest->lastUsed()))
            oldest = worker.get();
    return oldest != nullptr && places() > keep ? oldest : nullptr;
}

}  // namespace cf::workers
