#include "workers/dispatcher.hpp"

#include <algorithm>

namespace cf::workers {

using namespace std::chrono_literals;

namespace {
constexpr auto sweepInterval = 1s;

base::Failure stoppingFailure() {
    return {.reason = "draining",
            .detail = "the platform stopped before the function answered",
            .hint = "try again in a moment"};
}
}  // namespace

Dispatcher::Dispatcher(base::EventLoop& loop, sandbox::WorkerLauncher& launcher, Options options)
    : context_{loop, launcher, std::move(options)} {
    context_.places.onRelease = [this] {
        if (context_.starving > 0) servePlacesSoon();
    };
    sweep();
}

Dispatcher::~Dispatcher() {
    context_.places.onRelease = {};
    context_.starts.close();
    context_.loop.cancel(sweep_);
}

void Dispatcher::addRuntime(const std::string& runtime, LaunchPlan plan, uint32_t memoryMb) {
    auto& entry = runtimes_[runtime];
    entry.checker.reset();
    entry.prewarmed = std::make_unique<PrewarmedPool>(context_, runtime, std::move(plan), memoryMb);
    if (entry.prewarmed->plan().checks)
        entry.checker = std::make_unique<Checker>(context_, *entry.prewarmed);
}

void Dispatcher::check(const std::string& runtime, std::string file, std::string source,
                       Checker::Callback callback) {
    const auto at = runtimes_.find(runtime);
    if (at == runtimes_.end() || !at->second.checker)
        return callback(base::Failure{.reason = "check_failed",
                                      .detail = "workers of " + runtime + " check no sources"});
    at->second.checker->check(std::move(file), std::move(source), std::move(callback));
}

void Dispatcher::stage(TargetPtr target, VersionPool::LoadedCallback callback) {
    const std::string& id = target->functionId;
    auto owned = std::make_unique<VersionPool>(context_, *this, target);
    VersionPool& pool = *owned;
    if (auto before = std::exchange(functions_[id].staged, std::move(owned)))
        drain(std::move(before));
    const auto& live = functions_[id].live;
    size_t count = std::max<size_t>({1, live ? live->busy() : 0, target->minWorkers});
    if (target->maxWorkers > 0) count = std::min<size_t>(count, target->maxWorkers);
    pool.preload(count,
                 [this, id, &pool, callback = std::move(callback)](base::Result<void> result) {
                     const auto at = functions_.find(id);
                     if (!result && at != functions_.end() && at->second.staged.get() == &pool)
                         unstage(id);
                     callback(std::move(result));
                 });
}

void Dispatcher::unstage(const std::string& functionId) {
    const auto at = functions_.find(functionId);
    if (at == functions_.end()) return;
    auto staged = std::move(at->second.staged);
    if (!at->second.live) functions_.erase(at);
    if (staged) drain(std::move(staged));
}

void Dispatcher::commit(TargetPtr target) {
    auto& function = functions_[target->functionId];
    auto old = std::move(function.live);
    if (function.staged && function.staged->target()->version == target->version) {
        function.live = std::move(function.staged);
        function.live->retarget(target);
    } else {
        if (auto staged = std::move(function.staged)) drain(std::move(staged));
        function.live = std::make_unique<VersionPool>(context_, *this, std::move(target));
    }
    if (old) drain(std::move(old));
}

void Dispatcher::update(TargetPtr target) {
    const auto at = functions_.find(target->functionId);
    if (at != functions_.end() && at->second.live &&
        at->second.live->target()->version == target->version)
        at->second.live->retarget(std::move(target));
}

void Dispatcher::remove(const std::string& functionId) {
    const auto at = functions_.find(functionId);
    if (at == functions_.end()) return;
    Function function = std::move(at->second);
    functions_.erase(at);
    if (function.staged) drain(std::move(function.staged));
    if (function.live) drain(std::move(function.live));
}

void Dispatcher::drain(std::unique_ptr<VersionPool> pool) {
    auto queued = pool->drain(
        stopping_ ? stoppingFailure()
                  : base::Failure{.reason = "busy",
                                  .detail = "another version came while this one was being loaded",
                                  .hint = "try again"});
    forget(*pool);
    if (pool->workers() > 0)
        draining_.push_back(std::move(pool));
    else
        retire(context_.loop, std::move(pool));
    for (auto& call : queued) passOn(std::move(call));
}

// To the version that is live now, if its function still exists.
void Dispatcher::passOn(InvocationPtr call) {
    const auto at = functions_.find(call->target->functionId);
    if (at != functions_.end() && at->second.live) {
        call->target = at->second.live->target();
        return at->second.live->submit(std::move(call), Clock::now());
    }
    Outcome outcome;
    outcome.failure =
        stopping_ ? stoppingFailure()
                  : base::Failure{.reason = "not_found",
                                  .detail = "the function was deleted while the invocation waited"};
    call->finished(outcome);
}

void Dispatcher::poolEmpty(VersionPool& pool) {
    inhabited_.erase(&pool);
    if (!pool.draining()) return;
    const auto at = std::find_if(draining_.begin(), draining_.end(),
                                 [&](const auto& p) { return p.get() == &pool; });
    if (at == draining_.end()) return;
    retire(context_.loop, std::move(*at));
    draining_.erase(at);
}

void Dispatcher::invoke(InvocationPtr invocation) {
    const auto at = functions_.find(invocation->target->functionId);
    if (at != functions_.end() && at->second.live) {
        const auto now = invocation->received;
        return at->second.live->submit(std::move(invocation), now);
    }
    Outcome outcome;
    outcome.failure = {.reason = "not_found", .detail = "the function does not exist any more"};
    invocation->finished(outcome);
}

void Dispatcher::withdraw(Invocation& invocation) {
    const auto at = functions_.find(invocation.target->functionId);
    if (at != functions_.end() && at->second.live) at->second.live->withdraw(invocation);
}

void Dispatcher::cancel(Invocation& invocation) {
    const auto at = functions_.find(invocation.target->functionId);
    if (at != functions_.end() && at->second.live) at->second.live->cancel(invocation);
    for (auto& pool : draining_) pool->cancel(invocation);
}

void Dispatcher::sweep() {
    const auto now = Clock::now();
    for (auto& [id, function] : functions_)
        if (function.live) {
            function.live->retireIdle(now);
            function.live->settleShare(now);
            function.live->keepMinimum();
        }
    context_.idleBudget.endRound();
    while (context_.places.overBudget() && makeRoom(nullptr)) {
    }
    if (!starving_.empty()) servePlaces();
    sweep_ = context_.loop.after(sweepInterval, [this] { sweep(); });
}

Dispatcher::Counts Dispatcher::counts() const {
    Counts counts;
    counts.workers = context_.workers;
    for (const auto& [name, runtime] : runtimes_)
        if (runtime.prewarmed) counts.prewarmed += static_cast<uint32_t>(runtime.prewarmed->size());
    for (const auto& [id, function] : functions_)
        if (function.live) {
            counts.busy += static_cast<uint32_t>(function.live->busy());
            counts.queued += static_cast<uint32_t>(function.live->queued());
        }
    for (const auto& pool : draining_) counts.busy += static_cast<uint32_t>(pool->busy());
    return counts;
}

bool Dispatcher::idle() const {
    const Counts now = counts();
    return now.busy == 0 && now.queued == 0;
}

void Dispatcher::shutDown() {
    stopping_ = true;
    context_.loop.cancel(sweep_);
    sweep_ = 0;
    context_.places.most = 0;  // nothing new starts
    context_.places.onRelease = {};
    context_.starts.close();
    std::vector<std::string> ids;
    for (const auto& [id, function] : functions_) ids.push_back(id);
    for (const auto& id : ids) remove(id);
    for (auto& pool : draining_) pool->end(stoppingFailure());
    runtimes_.clear();
}

}  // namespace cf::workers
