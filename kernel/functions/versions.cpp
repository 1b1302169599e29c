// Versions: built, loaded, switched to, kept as failed, dropped.
#include <algorithm>
#include <sstream>

#include "base/log.hpp"
#include "functions/service_state.hpp"

namespace cf::functions {

using base::Failure;
using base::Result;

namespace {

// What a save is told when its version was built but cannot be loaded. Inside an invocation the
// same thing is the function's fault at run time; here it is the document's.
Failure asBuildFailure(Failure failure) {
    if (failure.reason != "load_failed") return failure;
    failure.reason = "build_failed";
    constexpr std::string_view said = "the function could not be loaded: ";
    if (failure.detail.starts_with(said)) failure.detail.erase(0, said.size());
    failure.detail = "the code was built but cannot be loaded: " + failure.detail;
    return failure;
}

// What keeps a version from being loaded is the platform's state: the same code may load in a moment.
bool isForNow(const Failure& failure) {
    return failure.reason == "platform_full" || failure.reason == "busy" ||
           failure.reason == "draining";
}

// What was built and does not load has failed.
void failLoaded(Builds::Outcome& outcome, Failure why) {
    std::string line;
    outcome.version.state = VersionState::failed;
    outcome.version.artifactKey.clear();
    outcome.version.locks.clear();
    for (std::istringstream lines(why.buildLog); std::getline(lines, line);) outcome.shown.log(line);
    outcome.version.failure = asBuildFailure(std::move(why));
    std::ranges::copy(outcome.version.failure->remarks, std::back_inserter(outcome.version.remarks));
    outcome.shown.log(outcome.version.failure->detail);
    outcome.version.failure->buildLog = outcome.shown.tail();
}

}  // namespace

std::shared_ptr<const Version> withoutSources(Version version) {
    version.sources.reset();
    version.locks.clear();
    return std::make_shared<const Version>(std::move(version));
}

LiveFunction FunctionService::State::liveFunction(const FunctionPtr& entry) const {
    LiveFunction live{entry, {}};
    for (size_t i = 0; i < entry->function.live.size() && i < entry->versions.size(); ++i)
        live.live.push_back({.version = entry->versions[i],
                             .artifactDir = artifacts->directory(entry->versions[i]->artifactKey),
                             .layers = artifacts->layerDirectories(entry->versions[i]->artifactKey),
                             .weight = entry->function.live[i].weight});
    return live;
}

Result<Saved> FunctionService::State::saved(FunctionPtr entry, Sources sources,
                                            bool created) const {
    Version version = entry->shown();
    version.sources = std::move(sources);
    Saved saved{.entry = std::move(entry), .created = created};
    saved.version = std::make_shared<const Version>(std::move(version));
    return saved;
}

void FunctionService::State::enqueue(BuildJob job) {
    if (builders.busy())
        job.shown->log("waiting for a free place to build: " +
                       std::to_string(options.parallelBuilds) + " builds may run at a time");
    builders.add([this, job = std::make_shared<BuildJob>(std::move(job))] { finish(*job); });
}

void FunctionService::State::finish(BuildJob& job) {
    auto result = job.create ? createVersion(job) : changeVersion(job);
    // Whoever hears the answer may save again at once.
    job.locks.clear();
    job.memory.reset();
    if (job.save) return job.save->then(std::move(result));
    if (!result)
        base::logInfo("functions", job.present->function.name + ": " + result.failure().detail);
}

// The first version of a function that is stored only when it is ready.
Result<Saved> FunctionService::State::createVersion(BuildJob& job) {
    // Seen while it is built, so that its log can be followed; gone again when the build fails.
    struct Announced {
        Registry& registry;
        const std::string& id;
        bool made = false;
        ~Announced() {
            if (!made) registry.remove(id);
        }
    } announced{registry, job.next.id};
    auto entry = std::make_shared<FunctionEntry>(*job.present);
    auto outcome = builds->run({job.next.name, job.next.settings, job.runtime},
                               std::move(job.version), std::move(*job.shown));
    job.leftovers = std::move(outcome.leftovers);
    const auto refuse = [&]() -> Failure {
        const Failure failure = *outcome.version.failure;
        const auto& gone = job.save->request.callerGone;
        if (!gone || !gone() || isForNow(failure)) {
            builds->keepRefused(outcome);
            return failure;
        }
        // Nobody heard the answer: what went wrong is kept where it can be read.
        auto kept = keepFailed(entry, std::move(outcome), job.audit, true);
        announced.made = static_cast<bool>(kept);
        return failure;
    };
    if (outcome.version.state == VersionState::failed) return refuse();
    entry->function.live = {{1, 100}};
    entry->versions = {withoutSources(outcome.version)};
    const LiveFunction next = liveFunction(entry);
    if (auto loaded = activator.activate(next); !loaded) {
        failLoaded(outcome, std::move(loaded).failure());
        entry->function.live.clear();
        return refuse();
    }
    auto revision = store.apply({.function = entry->function,
                                 .create = true,
                                 .version = std::make_shared<const Version>(outcome.version),
                                 .buildLog = outcome.shown.text(),
                                 .audit = job.audit});
    if (!revision) {
        activator.abandon(next);
        return std::move(revision).failure();
    }
    announced.made = true;
    return saved(publish(std::move(*entry), *revision), outcome.version.sources, true);
}

Result<Saved> FunctionService::State::changeVersion(BuildJob& job) {
    auto outcome = builds->run({job.next.name, job.next.settings, job.runtime},
                               std::move(job.version), std::move(*job.shown), job.forgetLocks);
    job.leftovers = std::move(outcome.leftovers);
    const auto fail = [&]() -> Failure {
        Failure failure = *outcome.version.failure;
        auto kept = keepFailed(job.present, std::move(outcome), job.audit);
        return kept ? std::move(failure) : std::move(kept).failure();
    };
    if (outcome.version.state == VersionState::failed) return fail();

    job.next.live = {{outcome.version.number, 100}};
    auto entry = std::make_shared<FunctionEntry>();
    entry->function = std::move(job.next);
    entry->versions = {withoutSources(outcome.version)};
    const LiveFunction live = liveFunction(entry);
    if (auto loaded = activator.activate(live); !loaded) {
        if (!job.stored && isForNow(loaded.failure())) return std::move(loaded).failure();
        failLoaded(outcome, std::move(loaded).failure());
        return fail();
    }
    auto kept = std::make_shared<Version>(outcome.version);
    if (job.stored) kept->sources.reset();
    auto revision = store.apply({.function = entry->function,
                                 .version = kept,
                                 .buildLog = outcome.shown.text(),
                                 .dropVersions = expired(entry->function),
                                 .audit = std::move(job.audit)});
    if (!revision) {
        activator.abandon(live);
        return std::move(revision).failure();
    }
    return saved(publish(std::move(*entry), *revision), outcome.version.sources, false);
}

// The store has it: from here on calls reach the live versions of `entry`.
FunctionPtr FunctionService::State::publish(FunctionEntry entry, uint64_t revision) {
    entry.function.revision = revision;
    auto shared = std::make_shared<const FunctionEntry>(std::move(entry));
    activator.commit(liveFunction(shared));
    {
        const std::lock_guard lock(mutex);
        withheld.erase(shared->function.id);
    }
    // Last, so that whoever reads that a version is ready can call it.
    registry.put(shared);
    return shared;
}

// The live version stays; the failed one can be read. `create`: the function itself is not stored.
Result<void> FunctionService::State::keepFailed(const FunctionPtr& present, Builds::Outcome outcome,
                                                const Audit& audit, bool create) {
    auto entry = std::make_shared<FunctionEntry>(*present);
    entry->function.lastVersion = outcome.version.number;
    if (!entry->callable()) entry->versions = {withoutSources(outcome.version)};
    auto revision = store.apply({.function = entry->function,
                                 .create = create,
                                 .keepRevision = entry->callable(),
                                 .version = std::make_shared<const Version>(outcome.version),
                                 .buildLog = outcome.shown.text(),
                                 .dropVersions = expired(entry->function),
                                 .audit = {audit.principal, "build_failed", audit.atMs}});
    if (!revision) return std::move(revision).failure();
    entry->function.revision = *revision;
    registry.put(entry);
    return {};
}

// Versions that go when `next`, whose newest version is about to be stored, is stored. The live one
// and the one before it always stay.
std::vector<uint64_t> FunctionService::State::expired(const Function& next) const {
    const auto all = store.versions(next.id);
    std::vector<uint64_t> numbers;
    if (!all) return numbers;
    std::vector<uint64_t> pinned{next.lastVersion};
    for (const auto& share : next.live)
        if (share.version != next.lastVersion) pinned.push_back(share.version);
    // Whatever was ready has been live.
    const auto previous = std::ranges::find_if(*all, [&](const Version& version) {
        return version.state == VersionState::ready &&
               std::ranges::none_of(next.live, [&](const auto& share) {
                   return share.version == version.number;
               });
    });
    if (previous != all->end()) pinned.push_back(previous->number);
    const int64_t oldest =
        nowMs() - std::chrono::milliseconds(options.retention.versionAge).count();
    size_t kept = pinned.size();
    for (const Version& version : *all) {
        if (std::ranges::find(pinned, version.number) != pinned.end()) continue;
        if (kept >= options.retention.versions || version.createdAtMs < oldest)
            numbers.push_back(version.number);
        else
            ++kept;
    }
    return numbers;
}

}  // namespace cf::functions
