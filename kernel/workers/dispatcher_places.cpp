// Who gets a place for a worker when there are not enough: idle workers make room first, then every
// function gets as many as every other one that wants as many (max-min fairness), so that one that
// is flooded takes what others leave and no more. More functions than places take turns.
#include <algorithm>

#include "workers/dispatcher.hpp"

namespace cf::workers {

using namespace std::chrono_literals;

namespace {

// A function keeps its last worker for so long after a call, and others for so long, unless it has
// more of them than who asks: what is used all the time would be cold half of the time otherwise.
constexpr auto lastWorkerRest = 10s;
constexpr auto workerRest = 1s;
// Where not every function can have a worker: how long one stays, and how long others wait for it.
constexpr auto turn = 500ms;
// After which a place that was taken back counts as lost: its worker hangs in its last calls.
constexpr auto takeBackWait = 100ms;

}  // namespace

std::unique_ptr<Worker> Dispatcher::provide(VersionPool& pool) {
    const Target& target = *pool.target();
    outsized_.erase(&pool);
    const auto refuse = [&] {
        if (std::find(starving_.begin(), starving_.end(), &pool) == starving_.end())
            starving_.push_back(&pool);
        context_.starving = static_cast<uint32_t>(starving_.size());
        return nullptr;
    };
    // Whoever came first is served first, but for those that nothing could be given now.
    if (!serving_ && starving_.size() > outsized_.size()) return refuse();

    const auto runtime = runtimes_.find(target.runtime);
    PrewarmedPool* prewarmed = !target.plan->notPrewarmed && runtime != runtimes_.end()
                                   ? runtime->second.prewarmed.get()
                                   : nullptr;
    const uint64_t bytes =
        context_.places.expected(uint64_t{target.memoryMb} << 20, pool.memorySeen());
    const Place* warm = nullptr;
    for (;;) {
        warm = prewarmed != nullptr ? prewarmed->nextPlace() : nullptr;
        const uint64_t more = warm == nullptr ? bytes : bytes - std::min(bytes, warm->bytes());
        if (context_.places.most == 0) return refuse();
        if (context_.places.fits(warm == nullptr ? 1 : 0, more)) break;
        if (!couldMakeRoom(pool, warm, more)) {
            outsized_.insert(&pool);
            return refuse();
        }
        if (!makeRoom(&pool)) return refuse();
    }
    std::unique_ptr<Worker> worker;
    if (warm != nullptr) {
        worker = prewarmed->take();
        worker->setOwner(pool);
    } else {
        const Worker::Birth birth{.memoryMb = target.memoryMb, .memorySeen = pool.memorySeen()};
        worker = std::make_unique<Worker>(context_, pool, *target.plan, birth);
    }
    worker->bind(pool.target(), pool.memorySeen());
    inhabited_.insert(&pool);
    return worker;
}

// For how long a worker of `pool` must have been idle before it makes room for a pool with `has`.
Clock::duration Dispatcher::restOf(const VersionPool& pool, size_t has) {
    if (has == 0) return 0s;
    const size_t theirs = pool.places();
    if (theirs <= 1) return lastWorkerRest;
    return theirs > has ? Clock::duration(0s) : Clock::duration(workerRest);
}

// How many workers a pool keeps whoever asks. One that is asked on behalf of a function without any
// gives from its min_workers, too, but for the first: what one function keeps in reserve stops no
// other.
size_t Dispatcher::keptBy(const VersionPool& pool, bool reserves) {
    const size_t least = pool.target()->minWorkers;
    return reserves ? std::min<size_t>(least, 1) : least;
}

// Whether it would help if everybody made room who can: nobody is sent away in vain, and one that is too
// large for what the others hold keeps no smaller one from its place. Only memory is asked about.
bool Dispatcher::couldMakeRoom(const VersionPool& asker, const Place* warm, uint64_t bytes) const {
    const auto now = Clock::now();
    const size_t has = asker.places();
    uint64_t spare = 0;
    for (const VersionPool* pool : inhabited_)
        if (pool != &asker && !pool->draining())
            spare += pool->spare(now, restOf(*pool, has), keptBy(*pool, has == 0)).bytes;
    for (const auto& [name, runtime] : runtimes_) {
        if (runtime.checker) spare += runtime.checker->spareBytes();
        if (runtime.prewarmed) spare += runtime.prewarmed->bytes();
    }
    if (warm != nullptr) spare -= std::min(spare, warm->bytes());
    return context_.places.wouldFit(bytes, spare);
}

Worker* Dispatcher::longestIdle(const VersionPool* asker, bool reserves) const {
    const auto now = Clock::now();
    const size_t has = asker == nullptr ? 0 : asker->places();
    Worker* oldest = nullptr;
    for (VersionPool* pool : inhabited_) {
        if (pool == asker || pool->draining()) continue;
        Worker* candidate =
            pool->leastRecentlyUsed(now, restOf(*pool, has), keptBy(*pool, reserves));
        if (candidate != nullptr &&
            (oldest == nullptr || candidate->lastUsed() < oldest->lastUsed()))
            oldest = candidate;
    }
    return oldest;
}

// The worker that was idle for the longest time makes room; one of a function that is used now only
// for one that has less. False when nobody can. Without an asker memory has to be given back: every
// idle worker will do.
bool Dispatcher::makeRoom(const VersionPool* asker) {
    if (Worker* oldest = longestIdle(asker, false)) return oldest->stop(), true;
    for (auto& [name, runtime] : runtimes_)
        if (runtime.checker && runtime.checker->giveWay()) return true;
    for (auto& [name, runtime] : runtimes_)
        if (runtime.prewarmed && runtime.prewarmed->shrink(1) > 0) return true;
    if (asker == nullptr || asker->places() > 0) return false;
    if (Worker* oldest = longestIdle(asker, true)) return oldest->stop(), true;
    return false;
}

// Of those that starve the one with the fewest workers; among equals the one that waits longest.
VersionPool* Dispatcher::mostDeserving(const VersionPool* but, bool withOutsized) const {
    VersionPool* best = nullptr;
    size_t fewest = 0;
    const auto now = Clock::now();
    for (VersionPool* pool : starving_) {
        if (pool == but || !pool->waits() || (!withOutsized && outsized_.contains(pool))) continue;
        const size_t has = pool->places();
        if (best == nullptr || has < fewest ||
            (has == fewest && pool->longestWait(now) > best->longestWait(now))) {
            best = pool;
            fewest = has;
        }
    }
    return best;
}

bool Dispatcher::takesBack(const VersionPool& pool, const Worker& worker) {
    const auto now = Clock::now();
    if (now - takenBackAt_ > takeBackWait) takenBack_ = 0;
    if (takenBack_ >= starving_.size() || !worker.takesWork()) return false;
    const size_t has = pool.places();
    if (has <= pool.target()->minWorkers) return false;
    const VersionPool* other = mostDeserving(&pool, true);
    if (other == nullptr) return false;
    const size_t theirs = other->places();
    const bool hasMore = has >= theirs + 2;
    const bool turnIsOver = has == 1 && theirs == 0 && other->longestWait(now) >= turn &&
                            now - worker.boundAt() >= turn;
    if (!hasMore && !turnIsOver) return false;
    ++takenBack_;
    takenBackAt_ = now;
    return true;
}

void Dispatcher::servePlacesSoon() {
    if (serveQueued_) return;
    serveQueued_ = true;
    context_.loop.post([this, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        serveQueued_ = false;
        servePlaces();
    });
}

void Dispatcher::servePlaces() {
    serving_ = true;
    takenBack_ = 0;
    outsized_.clear();
    while (VersionPool* pool = mostDeserving(nullptr, false)) {
        const size_t before = pool->workers();
        const size_t at = static_cast<size_t>(std::find(starving_.begin(), starving_.end(), pool) -
                                              starving_.begin());
        starving_.erase(starving_.begin() + static_cast<std::ptrdiff_t>(at));
        pool->grow(1);
        // It is back on the list when there was no place for it, and then there is none for others,
        // unless it was too large.
        if (outsized_.contains(pool)) continue;
        if (std::find(starving_.begin(), starving_.end(), pool) != starving_.end()) break;
        if (pool->workers() == before) continue;  // it needs none any more
        starving_.push_back(pool);                // it may need more than one
    }
    std::erase_if(starving_, [](const VersionPool* pool) { return !pool->waits(); });
    std::erase_if(outsized_, [](const VersionPool* pool) { return !pool->waits(); });
    context_.starving = static_cast<uint32_t>(starving_.size());
    serving_ = false;
}

void Dispatcher::forget(const VersionPool& pool) {
    std::erase(starving_, &pool);
    outsized_.erase(&pool);
    context_.starving = static_cast<uint32_t>(starving_.size());
}

}  // namespace cf::workers
