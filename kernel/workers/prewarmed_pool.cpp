#include "workers/prewarmed_pool.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "workers/worker_end.hpp"

namespace cf::workers {

using namespace std::chrono_literals;

namespace {
constexpr auto refillDelay = 20ms;  // lets the call or the save that took one go first
constexpr auto fullDelay = 1s;      // until a full platform is looked at again
constexpr auto longestBackoff = std::chrono::milliseconds(30s);
// With a start that gives way to calls; refills of other runtimes wait behind it.
constexpr auto startPatience = std::chrono::milliseconds(30s);
}  // namespace

PrewarmedPool::PrewarmedPool(Context& context, std::string runtime, LaunchPlan plan,
                             uint32_t memoryMb)
    : context_(context), runtime_(std::move(runtime)), plan_(std::move(plan)), memoryMb_(memoryMb) {
    const auto own = context_.options.prewarmedOf.find(runtime_);
    wanted_ = own == context_.options.prewarmedOf.end() ? context_.options.prewarmed : own->second;
    refill();
}

PrewarmedPool::~PrewarmedPool() { context_.loop.cancel(refill_); }

// One that waits is better than one that is still starting; among those, the oldest start.
PrewarmedPool::Position PrewarmedPool::next() {
    for (const auto state : {Worker::State::waiting, Worker::State::starting}) {
        const auto best = std::find_if(workers_.begin(), workers_.end(), [&](const auto& w) {
            return w->state() == state && w->staysHere();
        });
        if (best != workers_.end()) return best;
    }
    return workers_.end();
}

const Place* PrewarmedPool::nextPlace() {
    const auto best = next();
    return best == workers_.end() ? nullptr : &(*best)->place();
}

std::unique_ptr<Worker> PrewarmedPool::take() {
    const auto best = next();
    if (best == workers_.end()) return nullptr;
    auto worker = std::move(*best);
    workers_.erase(best);
    refillLater(refillDelay);
    return worker;
}

size_t PrewarmedPool::shrink(size_t count) {
    size_t given = 0;
    for (auto& worker : workers_) {
        if (given == count) break;
        if (!worker->staysHere()) continue;
        worker->stop();
        ++given;
    }
    return given;
}

uint64_t PrewarmedPool::bytes() const {
    uint64_t all = 0;
    for (const auto& worker : workers_) all += worker->place().bytes();
    return all;
}

void PrewarmedPool::workerWaits(Worker&) {
    if (failures_ > 0 && context_.options.onRuntimeTrouble)
        context_.options.onRuntimeTrouble(runtime_, "");
    failures_ = 0;
}

void PrewarmedPool::workerGone(Worker& worker, WorkerEnd&& end) {
    const auto at = std::find_if(workers_.begin(), workers_.end(),
                                 [&](const auto& w) { return w.get() == &worker; });
    if (at == workers_.end()) return;
    retire(context_.loop, std::move(*at));
    workers_.erase(at);
    if (end.cause == WorkerEnd::Cause::stopped) return refillLater(1s);
    ++failures_;
    const auto backoff = std::min<std::chrono::milliseconds>(
        longestBackoff, 100ms * (1u << std::min(failures_, 10u)));
    if (failures_ == 3) {
        base::logWarning("workers",
                         "prewarmed workers of " + runtime_ + " do not start: " + end.detail);
        if (context_.options.onRuntimeTrouble)
            context_.options.onRuntimeTrouble(runtime_, end.detail);
    }
    refillLater(backoff);
}

void PrewarmedPool::refillLater(std::chrono::milliseconds delay) {
    if (refill_ != 0) return;
    refill_ = context_.loop.after(delay, [this] {
        refill_ = 0;
        refill();
    });
}

// Takes no place that a call waits for; when it starts is up to Starts.
void PrewarmedPool::refill() {
    if (workers_.size() >= wanted_) return;
    const uint64_t bytes = context_.places.expected(uint64_t{memoryMb_} << 20, 0);
    if (context_.starving > 0 || !context_.places.fits(1, bytes)) return refillLater(fullDelay);
    const Worker::Birth birth{
        .memoryMb = memoryMb_, .startTimeout = startPatience, .urgency = Urgency::background};
    workers_.push_back(std::make_unique<Worker>(context_, *this, plan_, birth));
    if (workers_.size() < wanted_) refillLater(refillDelay);
}

}  // namespace cf::workers
