// After a start: functions come back; what nobody uses goes.
#include "base/log.hpp"
#include "functions/service_state.hpp"

namespace cf::functions {

using base::Failure;

// After a start: serves the function, once its artifact is there again.
void FunctionService::State::restore(const FunctionPtr& entry) {
    const Function& function = entry->function;
    const auto& version = *entry->versions.front();
    if (artifacts->contains(version.artifactKey)) return activator.commit(liveFunction(entry));
    withhold(*entry, VersionState::building,
             {.reason = "function_not_ready",
              .detail = "the artifact of \"" + function.name + "\" is being built again",
              .hint = "try again in a few seconds"});
    builders.addLast([this, id = function.id] { rebuild(id); });
}

// The live version says what it is for now; the store keeps it as ready, which it is again with its
// artifact.
void FunctionService::State::withhold(FunctionEntry entry, VersionState as, Failure why) {
    auto shown = std::make_shared<Version>(entry.shown());
    shown->state = as;
    shown->failure.reset();
    if (as == VersionState::failed) shown->failure = why;
    entry.versions.front() = std::move(shown);
    {
        const std::lock_guard lock(mutex);
        withheld[entry.function.id] = std::move(why);
    }
    registry.put(std::make_shared<const FunctionEntry>(std::move(entry)));
}

// On a thread of the builders, which does not wait for somebody's save: that one may well make the
// function callable.
void FunctionService::State::rebuild(const std::string& id) {
    if (const auto lock = locks.tryTake(id)) return rebuildLocked(id);
    const auto again = [this, id] { builders.addLast([this, id] { rebuild(id); }); };
    locks.take(id, options.lockWait, [this, again](KeyLocks::Turn turn) {
        const bool crowded = turn.crowded;
        turn.lock.reset();
        if (crowded) return turns.after(options.asyncLockWait, again);
        again();
    });
}

void FunctionService::State::rebuildLocked(const std::string& id) {
    const auto current = registry.find(id);
    if (!current || !current->callable() || !isWithheld(id)) return;
    Version again = *current->versions.front();
    const auto runtime = runtimes.resolve(again.spec.runtimeAlias);
    auto sources = store.sources(id, again.number);
    Failure failure{.reason = "runtime_unavailable",
                    .detail = "no executor serves the runtime \"" + again.spec.runtime + "\""};
    auto before = store.locks(id, again.number);
    if (runtime && sources && before) {
        again.sources = *sources;
        again.locks = std::move(*before);
        auto shown = builds->announce(again);
        auto outcome =
            builds->run({current->function.name, current->function.settings, *runtime},
                        std::move(again), std::move(shown));
        if (outcome.version.state == VersionState::ready) {
            FunctionEntry next = *current;
            next.versions.front() = withoutSources(outcome.version);
            outcome.version.sources.reset();
            if (auto kept = store.apply({.function = next.function,
                                         .keepRevision = true,
                                         .version = std::make_shared<const Version>(
                                             std::move(outcome.version)),
                                         .buildLog = outcome.shown.text(),
                                         .audit = {"platform", "rebuild", nowMs()}});
                !kept)
                base::logWarning("functions",
                                 current->function.name + ": " + kept.failure().detail);
            publish(std::move(next), next.function.revision);
            return;
        }
        failure = *outcome.version.failure;
    }
    base::logWarning("functions",
                     current->function.name + " cannot be built again: " + failure.detail);
    failure.detail = "the artifact of \"" + current->function.name +
                     "\" is gone and cannot be built again: " + failure.detail;
    withhold(*current, VersionState::failed, std::move(failure));
}

void FunctionService::State::collectGarbage(std::chrono::milliseconds grace) {
    const auto keys = store.artifactKeys();
    if (!keys) return;
    for (const auto& [runtime, key] : artifacts->collect({keys->begin(), keys->end()}, grace))
        builder.discard(runtime, key);
}

}  // namespace cf::functions
