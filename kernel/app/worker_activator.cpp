#include "app/worker_activator.hpp"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "app/executor_builder.hpp"
#include "base/log.hpp"

namespace cf::app {

using namespace std::chrono_literals;

namespace {

// A value that the loop thread gives and a control-plane thread waits for.
template <typename T>
class Promise {
public:
    void give(T value) {
        const std::lock_guard lock(mutex_);
        value_.emplace(std::move(value));
        given_.notify_all();
    }
    std::optional<T> wait(std::chrono::steady_clock::time_point until) {
        std::unique_lock lock(mutex_);
        given_.wait_until(lock, until, [&] { return value_.has_value(); });
        return std::move(value_);
    }

private:
    std::mutex mutex_;
    std::condition_variable given_;
    std::optional<T> value_;
};

// Whatever ended the worker while it loaded the code is the code's doing, not the platform's; so is a worker that
// does not even start with the variables that the user chose for its start.
base::Failure asLoadFailure(base::Failure failure, bool ownStart) {
    const auto& reason = failure.reason;
    if (reason == "worker_crashed" || reason == "worker_protocol_error" || reason == "memory_exceeded" || reason == "init_timeout" ||
        (reason == "worker_not_started" && ownStart)) {
        failure.detail = "the function could not be loaded: " + failure.detail;
        failure.reason = "load_failed";
    }
    return failure;
}

}  // namespace

workers::LaunchPlan workerPlan(executors::LaunchPlan plan) {
    // A worker that is started ahead has its network before anybody knows the function; binding it takes away what the
    // function may not have. Nothing of the function runs before.
    plan.worker.network.mode = sandbox::Network::outbound;
    return {.spec = std::move(plan.worker), .concurrency = std::max<uint32_t>(1, plan.concurrency), .checks = plan.checks, .notPrewarmed = plan.notPrewarmed};
}

base::Result<workers::TargetPtr> WorkerActivator::targetOf(const functions::LiveFunction& function) const {
    const auto& entry = *function.entry;
    const auto& live = function.live.front();
    const auto& spec = live.version->spec;
    const auto& settings = entry.function.settings;
    const auto found = catalog_.find(spec.runtime);
    if (!found)
        return base::Failure{.reason = "runtime_unavailable",
                             .detail = "no executor serves the runtime \"" + spec.runtime + "\" any more",
                             .hint = "put its executor back into the executors folder"};
    const std::vector<functions::SourceFile> noSources;
    const auto seen = functionSpec(entry.function.name, settings, spec, noSources);
    auto plan = found->executor->plan(&seen);
    if (!plan) return std::move(plan).failure();
    auto target = std::make_shared<workers::Target>();
    target->functionId = entry.function.id;
    target->functionName = entry.function.name;
    target->version = live.version->number;
    target->runtime = found->executor->facts().id;
    target->artifactDir = live.artifactDir;
    target->layers = live.layers;
    target->handler = spec.handler;
    target->environment = spec.environment;
    target->memoryMb = settings.memoryMb;
    if (spec.network.mode == functions::NetworkMode::outbound) target->network = {sandbox::Network::outbound, spec.network.allow};
    auto start = workerPlan(std::move(*plan));
    // Variables of the function may run code of its own while such a worker starts.
    if (onMachinesNetwork_ && target->network.mode == sandbox::Network::none) start.notPrewarmed = true;
    if (start.notPrewarmed) start.spec.network = target->network;
    target->concurrency = std::min(settings.concurrency, start.concurrency);
    target->plan = plans_.share(std::move(start));
    target->minWorkers = settings.minWorkers;
    target->maxWorkers = settings.maxWorkers;
    target->timeout = settings.timeout;
    target->initTimeout = settings.initTimeout;
    target->keepAlive = settings.keepAlive;
    return workers::TargetPtr(std::move(target));
}

base::Result<void> WorkerActivator::activate(const functions::LiveFunction& next) {
    auto target = targetOf(next);
    if (!target) return std::move(target).failure();
    auto promise = std::make_shared<Promise<base::Result<void>>>();
    HomeLoop& home = loops_.homeOf((*target)->functionId);
    home.loop.post([&home, target = *target, promise] {
        home.dispatcher->stage(target, [promise](base::Result<void> result) { promise->give(std::move(result)); });
    });
    // The worker has its own deadline; this one is for a loop that does not turn.
    auto result = promise->wait(std::chrono::steady_clock::now() + (*target)->initTimeout + 20s);
    if (!result) return base::Failure{.reason = "busy", .detail = "the platform did not load the new version in time", .hint = "try again"};
    if (!*result) return asLoadFailure(std::move(*result).failure(), (*target)->plan->notPrewarmed);
    return {};
}

void WorkerActivator::abandon(const functions::LiveFunction& next) {
    const std::string& id = next.entry->function.id;
    HomeLoop& home = loops_.homeOf(id);
    home.loop.post([&home, id] { home.dispatcher->unstage(id); });
}

void WorkerActivator::commit(const functions::LiveFunction& now) {
    logs_.ensureFunction(now.entry->function.id, now.entry->function.name);
    auto target = targetOf(now);
    if (!target) {
        base::logWarning("app", now.entry->function.name + " cannot be called: " + target.failure().detail);
        return forget(now.entry->function.id);
    }
    publish(std::move(*target), now.entry->function.settings.http, &workers::Dispatcher::commit);
}

void WorkerActivator::updateSettings(const functions::LiveFunction& now) {
    logs_.renameFunction(now.entry->function.id, now.entry->function.name);
    if (now.live.empty()) return;
    auto target = targetOf(now);
    if (!target) return;
    publish(std::move(*target), now.entry->function.settings.http, &workers::Dispatcher::update);
}

void WorkerActivator::remove(const std::string& functionId) {
    logs_.removeFunction(functionId);
    forget(functionId);
}

void WorkerActivator::publish(workers::TargetPtr target, const functions::HttpSettings& http, AtHome atHome) {
    HomeLoop& home = loops_.homeOf(target->functionId);
    everywhere([&home, target = std::move(target), http, atHome](HomeLoop& here) {
        const bool isHome = &here == &home;
        here.live.put({target, http, isHome ? nullptr : home.server.get()});
        if (isHome) ((*home.dispatcher).*atHome)(target);
    });
}

void WorkerActivator::forget(const std::string& functionId) {
    HomeLoop& home = loops_.homeOf(functionId);
    everywhere([&home, functionId](HomeLoop& here) {
        here.live.remove(functionId);
        if (&here == &home) home.dispatcher->remove(functionId);
    });
}

// With one loop the answer is posted behind the change, and nobody has to wait.
void WorkerActivator::everywhere(const HomeLoops::Work& work) {
    if (loops_.size() > 1 && callersCome_) loops_.onEach(work);
    else loops_.postEach(work);
}

base::Result<std::string> WorkerActivator::check(const std::string& executorId, std::string_view file, std::string_view source,
                                                 executors::Clock::time_point deadline) {
    auto promise = std::make_shared<Promise<base::Result<std::string>>>();
    HomeLoop& first = loops_.first();
    first.loop.post([&first, promise, executorId, file = std::string(file), source = std::string(source)]() mutable {
        first.dispatcher->check(executorId, std::move(file), std::move(source),
                                [promise](base::Result<std::string> remarks) { promise->give(std::move(remarks)); });
    });
    auto result = promise->wait(deadline);
    if (!result) return base::Failure{.reason = "check_failed", .detail = "the syntax check did not answer in time", .hint = "try again"};
    return std::move(*result);
}

}  // namespace cf::app
