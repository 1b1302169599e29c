// The life of a save: build, load, switch, keep.
#include <sys/statvfs.h>

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/ulid.hpp"
#include "functions/draft.hpp"
#include "functions/service_state.hpp"

namespace cf::functions {

using base::Failure;
using base::Result;

namespace {

constexpr size_t maxWaitingBuilds = 1000;

std::string newId() {
    base::UlidGenerator ids;
    return "fn_" + ids.next(nowMs());
}

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

// What was built and does not load has failed.
void failLoaded(Builds::Outcome& outcome, Failure why) {
    outcome.version.state = VersionState::failed;
    outcome.version.artifactKey.clear();
    outcome.version.locks.clear();
    outcome.version.failure = asBuildFailure(std::move(why));
    outcome.shown.log(outcome.version.failure->detail);
    outcome.version.failure->buildLog = outcome.shown.tail();
}

}  // namespace

int64_t nowMs() { return base::unixMs(base::WallClock::now()); }

Failure nameTaken(const std::string& name) {
    return {.reason = "name_taken",
            .detail = "a function named \"" + name +
                      "\" exists already (upper and lower case count as equal)",
            .hint = "choose another name, or update that function"};
}

std::shared_ptr<const Version> withoutSources(Version version) {
    version.sources.reset();
    version.locks.clear();
    return std::make_shared<const Version>(std::move(version));
}

Result<void> FunctionService::State::enoughDisk() const {
    struct statvfs disk {};
    if (::statvfs(options.dataDir.c_str(), &disk) != 0 || disk.f_blocks == 0) return {};
    const double free = static_cast<double>(disk.f_bavail) / static_cast<double>(disk.f_blocks);
    if (free >= options.retention.minFreeDisk) return {};
    const auto percent = [](double share) {
        return std::to_string(static_cast<int>(share * 100)) + " %";
    };
    return Failure{.reason = "disk_full",
                   .detail =
                       "the disk of the platform's data is nearly full, so nothing is saved; "
                       "functions can still be called",
                   .hint = "free some room on that disk",
                   .limit = percent(options.retention.minFreeDisk) + " free",
                   .observed = percent(free) + " free"};
}

Result<void> FunctionService::State::roomBehind() const {
    if (background->waiting() < maxWaitingBuilds) return {};
    return Failure{.reason = "control_busy",
                   .detail = "too many builds are waiting",
                   .hint = "try again in a few seconds",
                   .limit = std::to_string(maxWaitingBuilds) + " waiting builds"};
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

Result<Saved> FunctionService::State::create(SaveRequest request) {
    auto draft = makeDraft(std::move(request.patch), std::nullopt, options.limits, runtimes);
    if (!draft) return std::move(draft).failure();
    if (registry.find(draft->name)) return nameTaken(draft->name);
    if (auto disk = enoughDisk(); !disk) return std::move(disk).failure();

    Function function{.id = newId(),
                      .name = draft->name,
                      .description = draft->description,
                      .labels = draft->labels,
                      .project = request.caller.project,
                      .createdBy = request.caller.principal,
                      .createdAtMs = nowMs(),
                      .settings = draft->settings,
                      .lastVersion = 1};
    function.updatedAtMs = function.createdAtMs;
    Version version{.functionId = function.id,
                    .number = 1,
                    .spec = draft->spec,
                    .sources = draft->sources,
                    .sourcesHash = hashSources(*draft->sources),
                    .createdAtMs = function.createdAtMs,
                    .createdBy = request.caller.principal};
    const Audit audit{request.caller.principal, "create", function.createdAtMs};
    const Builds::Subject subject{function.name, function.settings, draft->runtime};
    if (auto checked = builds->checkHandler(subject, version); !checked)
        return std::move(checked).failure();
    if (request.async)
        return createBehind(std::move(function), std::move(version), std::move(draft->runtime),
                            audit);

    // Seen while it is built, so that its log can be followed; gone again when the build fails.
    const auto lock = locks.take(function.id, std::chrono::milliseconds(0));
    struct Announced {
        Registry& registry;
        std::string id;
        bool made = false;
        ~Announced() {
            if (!made) registry.remove(id);
        }
    } announced{registry, function.id};
    auto entry = std::make_shared<FunctionEntry>();
    entry->function = function;
    entry->versions = {withoutSources(version)};
    registry.put(std::make_shared<const FunctionEntry>(*entry));
    auto outcome = builds->run(subject, std::move(version));
    const auto refuse = [&]() -> Failure {
        const Failure failure = *outcome.version.failure;
        if (!request.callerGone || !request.callerGone()) {
            builds->keepRefused(outcome);
            return failure;
        }
        // Nobody heard the answer: what went wrong is kept where it can be read.
        auto kept = keepFailed(entry, std::move(outcome), audit, true);
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
                                 .audit = audit});
    if (!revision) {
        activator.abandon(next);
        return std::move(revision).failure();
    }
    announced.made = true;
    return saved(publish(std::move(*entry), *revision), outcome.version.sources, true);
}

// The caller is answered once the function is stored; its name is taken from then on, whatever the
// build says.
Result<Saved> FunctionService::State::createBehind(Function function, Version version,
                                                   RuntimeInfo runtime, Audit audit) {
    if (auto room = roomBehind(); !room) return std::move(room).failure();
    auto lock = locks.take(function.id, std::chrono::milliseconds(0));
    const auto stored = std::make_shared<const Version>(version);
    auto revision =
        store.apply({.function = function, .create = true, .version = stored, .audit = audit});
    if (!revision) return std::move(revision).failure();
    function.revision = *revision;
    auto entry = std::make_shared<FunctionEntry>();
    entry->function = function;
    entry->versions = {withoutSources(version)};
    registry.put(entry);
    background->add([this, entry, version = std::move(version), runtime = std::move(runtime), audit,
                     held = std::make_shared<KeyLocks::Guard>(std::move(*lock))]() mutable {
        if (auto done =
                changeVersion(entry, entry->function, std::move(version), runtime, audit, true);
            !done)
            base::logInfo("functions", entry->function.name + ": " + done.failure().detail);
    });
    auto result = saved(entry, stored->sources, true);
    if (result) result->building = 1;
    return result;
}

Result<Saved> FunctionService::State::update(const FunctionPtr& present, SaveRequest request,
                                             KeyLocks::Guard lock) {
    const Function& before = present->function;
    auto sources = store.sources(before.id, present->shown().number);
    if (!sources) return std::move(sources).failure();
    Version shown = present->shown();
    shown.sources = *sources;
    if (shown.state == VersionState::ready) {
        auto kept = store.locks(before.id, shown.number);
        if (!kept) return std::move(kept).failure();
        shown.locks = std::move(*kept);
    }
    auto draft =
        makeDraft(std::move(request.patch), Present{*present, shown}, options.limits, runtimes);
    if (!draft) return std::move(draft).failure();
    if (!draft->changesVersion && !draft->changesFunction) return saved(present, *sources, false);
    if (auto disk = enoughDisk(); !disk) return std::move(disk).failure();

    std::optional<KeyLocks::Guard> nameLock;
    if (nameKey(draft->name) != nameKey(before.name)) {
        nameLock = lockName(draft->name, std::chrono::milliseconds(0));
        if (!nameLock || registry.find(draft->name)) return nameTaken(draft->name);
    }
    Function next = before;
    next.name = draft->name;
    next.description = draft->description;
    next.labels = draft->labels;
    next.settings = draft->settings;
    next.updatedAtMs = nowMs();
    const Audit audit{request.caller.principal, "update", next.updatedAtMs};
    if (!draft->changesVersion) return changeSettings(present, std::move(next), *sources, audit);

    next.lastVersion = before.lastVersion + 1;
    Version version{.functionId = next.id,
                    .number = next.lastVersion,
                    .spec = draft->spec,
                    .sources = draft->sources,
                    .sourcesHash = hashSources(*draft->sources),
                    .createdAtMs = next.updatedAtMs,
                    .createdBy = request.caller.principal};
    if (!draft->forgetLocks) version.locks = shown.locks;
    if (auto checked = builds->checkHandler({next.name, next.settings, draft->runtime}, version);
        !checked)
        return std::move(checked).failure();
    if (!request.async)
        return changeVersion(present, std::move(next), std::move(version), draft->runtime, audit,
                             false, draft->forgetLocks);

    if (auto room = roomBehind(); !room) return std::move(room).failure();
    Function stored = before;
    stored.lastVersion = next.lastVersion;
    auto kept = store.apply({.function = stored,
                             .keepRevision = true,
                             .version = std::make_shared<const Version>(version),
                             .audit = audit});
    if (!kept) return std::move(kept).failure();
    auto entry = std::make_shared<FunctionEntry>(*present);
    entry->function.lastVersion = next.lastVersion;
    registry.put(entry);
    const uint64_t number = version.number;
    struct Locks {
        KeyLocks::Guard function;
        std::optional<KeyLocks::Guard> name;
    };
    auto held = std::make_shared<Locks>(Locks{std::move(lock), std::move(nameLock)});
    background->add([this, entry, next = std::move(next), version = std::move(version),
                     runtime = draft->runtime, forget = draft->forgetLocks, audit, held]() mutable {
        if (auto done = changeVersion(entry, std::move(next), std::move(version), runtime, audit,
                                      true, forget);
            !done)
            base::logInfo("functions", entry->function.name + ": " + done.failure().detail);
    });
    auto result = saved(entry, *sources, false);
    if (result) result->building = number;
    return result;
}

Result<Saved> FunctionService::State::changeSettings(const FunctionPtr& present, Function next,
                                                     Sources sources, Audit audit) {
    auto revision = store.apply({.function = next, .audit = std::move(audit)});
    if (!revision) return std::move(revision).failure();
    auto entry = std::make_shared<FunctionEntry>(*present);
    entry->function = std::move(next);
    entry->function.revision = *revision;
    registry.put(entry);
    // One whose artifact is still missing is committed, with these settings, when it is there.
    if (entry->callable() && !isWithheld(entry->function.id))
        activator.updateSettings(liveFunction(entry));
    return saved(entry, std::move(sources), false);
}

// Builds, loads, switches. `stored`: the version's row is there already, as building.
Result<Saved> FunctionService::State::changeVersion(const FunctionPtr& present, Function next,
                                                    Version version, const RuntimeInfo& runtime,
                                                    Audit audit, bool stored, bool forgetLocks) {
    const uint64_t previousLive =
        present->function.live.empty() ? 0 : present->function.live.front().version;
    auto outcome =
        builds->run({next.name, next.settings, runtime}, std::move(version), forgetLocks);
    const auto fail = [&]() -> Failure {
        Failure failure = *outcome.version.failure;
        auto kept = keepFailed(present, std::move(outcome), audit);
        return kept ? std::move(failure) : std::move(kept).failure();
    };
    if (outcome.version.state == VersionState::failed) return fail();

    next.live = {{outcome.version.number, 100}};
    auto entry = std::make_shared<FunctionEntry>();
    entry->function = std::move(next);
    entry->versions = {withoutSources(outcome.version)};
    const LiveFunction live = liveFunction(entry);
    if (auto loaded = activator.activate(live); !loaded) {
        failLoaded(outcome, std::move(loaded).failure());
        return fail();
    }
    auto kept = std::make_shared<Version>(outcome.version);
    if (stored) kept->sources.reset();
    auto revision = store.apply({.function = entry->function,
                                 .version = kept,
                                 .buildLog = outcome.shown.text(),
                                 .dropVersions = expired(entry->function, previousLive),
                                 .audit = std::move(audit)});
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
                                 .audit = {audit.principal, "build_failed", audit.atMs}});
    if (!revision) return std::move(revision).failure();
    entry->function.revision = *revision;
    registry.put(entry);
    return {};
}

std::vector<uint64_t> FunctionService::State::expired(const Function& next,
                                                      uint64_t previousLive) const {
    const auto all = store.versions(next.id);
    std::vector<uint64_t> numbers;
    if (!all) return numbers;
    const int64_t oldest =
        nowMs() - std::chrono::milliseconds(options.retention.versionAge).count();
    // The new version is not among them yet, or is the first.
    size_t kept = 1;
    for (const Version& version : *all) {
        if (version.number == next.lastVersion) continue;
        const bool pinned = version.number == previousLive;
        if (!pinned && (kept >= options.retention.versions || version.createdAtMs < oldest))
            numbers.push_back(version.number);
        else
            ++kept;
    }
    return numbers;
}

}  // namespace cf::functions
