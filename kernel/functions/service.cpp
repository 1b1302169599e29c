#include "functions/service.hpp"

#include <sys/statvfs.h>

#include <algorithm>
#include <unordered_map>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/ulid.hpp"
#include "functions/background.hpp"
#include "functions/builds.hpp"
#include "functions/draft.hpp"
#include "functions/key_locks.hpp"

namespace cf::functions {

using base::Failure;
using base::Result;

namespace {

constexpr size_t maxWaitingBuilds = 1000;

int64_t nowMs() { return base::unixMs(base::WallClock::now()); }

std::string newId() {
    base::UlidGenerator ids;
    return "fn_" + ids.next(nowMs());
}

Failure notFound(std::string_view idOrName) {
    return {.reason = "not_found",
            .detail = "there is no function \"" + base::toValidUtf8(idOrName.substr(0, 80)) + "\"",
            .hint = "GET /api/v1/functions lists all functions"};
}

Failure nameTaken(const std::string& name) {
    return {.reason = "name_taken",
            .detail = "a function named \"" + name + "\" exists already (upper and lower case count as equal)",
            .hint = "choose another name, or update that function"};
}

std::shared_ptr<const Version> withoutSources(Version version) {
    version.sources.reset();
    return std::make_shared<const Version>(std::move(version));
}

// What a save is told when its version was built but cannot be loaded. Inside an invocation the same thing is the
// function's fault at run time; here it is the document's.
Failure asBuildFailure(Failure failure) {
    if (failure.reason != "load_failed") return failure;
    failure.reason = "build_failed";
    failure.detail = "the code was built but cannot be loaded: " + failure.detail;
    return failure;
}

}  // namespace

struct FunctionService::State {
    ServiceOptions options;
    Store& store;
    Registry& registry;
    RuntimeCatalog& runtimes;
    Builder& builder;
    Activator& activator;
    std::unique_ptr<Artifacts> artifacts{};
    std::unique_ptr<Builds> builds{};
    KeyLocks locks{};
    mutable std::mutex mutex{};
    // Functions whose artifact is missing: why they cannot be called for now.
    std::unordered_map<std::string, Failure> withheld{};
    // Last, so that its threads end before anything they use.
    std::optional<Background> background{};

    bool isWithheld(const std::string& id) const {
        const std::lock_guard lock(mutex);
        return withheld.contains(id);
    }
    std::optional<KeyLocks::Guard> lockName(const std::string& name, std::chrono::milliseconds wait) {
        return locks.take("name " + nameKey(name), wait);
    }
    Result<void> enoughDisk() const;
    LiveFunction liveFunction(const FunctionPtr& entry) const;
    Result<Saved> saved(FunctionPtr entry, Sources sources, bool created) const;

    Result<Saved> create(SaveRequest request);  // under the lock of its name
    Result<Saved> createBehind(Function function, Version version, RuntimeInfo runtime, Audit audit);
    Result<Saved> update(const FunctionPtr& present, SaveRequest request, KeyLocks::Guard lock);
    Result<Saved> changeSettings(const FunctionPtr& present, Function next, Sources sources, Audit audit);
    Result<Saved> changeVersion(const FunctionPtr& present, Function next, Version version, const RuntimeInfo& runtime,
                                Audit audit, bool stored);
    FunctionPtr publish(FunctionEntry entry, uint64_t revision);
    Failure keepFailed(const FunctionPtr& present, Builds::Outcome outcome, const Audit& audit);
    std::vector<uint64_t> expired(const Function& next, uint64_t previousLive) const;
    void restore(const FunctionPtr& entry);
    void collectGarbage(std::chrono::milliseconds grace);
    Result<void> roomBehind() const;
};

Result<void> FunctionService::State::enoughDisk() const {
    struct statvfs disk {};
    if (::statvfs(options.dataDir.c_str(), &disk) != 0 || disk.f_blocks == 0) return {};
    const double free = static_cast<double>(disk.f_bavail) / static_cast<double>(disk.f_blocks);
    if (free >= options.retention.minFreeDisk) return {};
    const auto percent = [](double share) { return std::to_string(static_cast<int>(share * 100)) + " %"; };
    return Failure{.reason = "disk_full",
                   .detail = "the disk of the platform's data is nearly full, so nothing is saved; functions can still be called",
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
        live.live.push_back({entry->versions[i], artifacts->directory(entry->versions[i]->artifactKey),
                             entry->function.live[i].weight});
    return live;
}

Result<Saved> FunctionService::State::saved(FunctionPtr entry, Sources sources, bool created) const {
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
    if (auto checked = builds->checkHandler(subject, version); !checked) return std::move(checked).failure();
    if (request.async) return createBehind(std::move(function), std::move(version), std::move(draft->runtime), audit);

    auto outcome = builds->run(subject, std::move(version));
    if (outcome.version.state == VersionState::failed) return *outcome.version.failure;
    function.live = {{1, 100}};
    auto entry = std::make_shared<FunctionEntry>();
    entry->function = std::move(function);
    entry->versions = {withoutSources(outcome.version)};
    const LiveFunction next = liveFunction(entry);
    if (auto loaded = activator.activate(next); !loaded) return asBuildFailure(std::move(loaded).failure());
    auto revision = store.apply({.function = entry->function,
                                 .create = true,
                                 .version = std::make_shared<const Version>(outcome.version),
                                 .buildLog = outcome.log,
                                 .audit = audit});
    if (!revision) {
        activator.abandon(next);
        return std::move(revision).failure();
    }
    return saved(publish(std::move(*entry), *revision), outcome.version.sources, true);
}

// The caller is answered once the function is stored; its name is taken from then on, whatever the build says.
Result<Saved> FunctionService::State::createBehind(Function function, Version version, RuntimeInfo runtime, Audit audit) {
    if (auto room = roomBehind(); !room) return std::move(room).failure();
    auto lock = locks.take(function.id, std::chrono::milliseconds(0));
    const auto stored = std::make_shared<const Version>(version);
    auto revision = store.apply({.function = function, .create = true, .version = stored, .audit = audit});
    if (!revision) return std::move(revision).failure();
    function.revision = *revision;
    auto entry = std::make_shared<FunctionEntry>();
    entry->function = function;
    entry->versions = {withoutSources(version)};
    registry.put(entry);
    background->add([this, entry, version = std::move(version), runtime = std::move(runtime), audit,
                  held = std::make_shared<KeyLocks::Guard>(std::move(*lock))]() mutable {
        if (auto done = changeVersion(entry, entry->function, std::move(version), runtime, audit, true); !done)
            base::logInfo("functions", entry->function.name + ": " + done.failure().detail);
    });
    auto result = saved(entry, stored->sources, true);
    if (result) result->building = 1;
    return result;
}

Result<Saved> FunctionService::State::update(const FunctionPtr& present, SaveRequest request, KeyLocks::Guard lock) {
    const Function& before = present->function;
    auto sources = store.sources(before.id, present->shown().number);
    if (!sources) return std::move(sources).failure();
    Version shown = present->shown();
    shown.sources = *sources;
    auto draft = makeDraft(std::move(request.patch), Present{*present, shown}, options.limits, runtimes);
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
    if (auto checked = builds->checkHandler({next.name, next.settings, draft->runtime}, version); !checked)
        return std::move(checked).failure();
    if (!request.async) return changeVersion(present, std::move(next), std::move(version), draft->runtime, audit, false);

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
    auto held = std::make_shared<Locks>(std::move(lock), std::move(nameLock));
    background->add([this, entry, next = std::move(next), version = std::move(version), runtime = draft->runtime, audit,
                  held]() mutable {
        if (auto done = changeVersion(entry, std::move(next), std::move(version), runtime, audit, true); !done)
            base::logInfo("functions", entry->function.name + ": " + done.failure().detail);
    });
    auto result = saved(entry, *sources, false);
    if (result) result->building = number;
    return result;
}

Result<Saved> FunctionService::State::changeSettings(const FunctionPtr& present, Function next, Sources sources,
                                                     Audit audit) {
    auto revision = store.apply({.function = next, .audit = std::move(audit)});
    if (!revision) return std::move(revision).failure();
    auto entry = std::make_shared<FunctionEntry>(*present);
    entry->function = std::move(next);
    entry->function.revision = *revision;
    registry.put(entry);
    // One whose artifact is still missing is committed, with these settings, when it is there.
    if (entry->callable() && !isWithheld(entry->function.id)) activator.updateSettings(liveFunction(entry));
    return saved(entry, std::move(sources), false);
}

// Builds, loads, switches. `stored`: the version's row is there already, as building.
Result<Saved> FunctionService::State::changeVersion(const FunctionPtr& present, Function next, Version version,
                                                    const RuntimeInfo& runtime, Audit audit, bool stored) {
    const uint64_t previousLive = present->function.live.empty() ? 0 : present->function.live.front().version;
    auto outcome = builds->run({next.name, next.settings, runtime}, std::move(version));
    if (outcome.version.state == VersionState::failed) return keepFailed(present, std::move(outcome), audit);

    next.live = {{outcome.version.number, 100}};
    auto entry = std::make_shared<FunctionEntry>();
    entry->function = std::move(next);
    entry->versions = {withoutSources(outcome.version)};
    const LiveFunction live = liveFunction(entry);
    if (auto loaded = activator.activate(live); !loaded) {
        outcome.version.state = VersionState::failed;
        outcome.version.artifactKey.clear();
        outcome.version.failure = asBuildFailure(std::move(loaded).failure());
        outcome.log += outcome.version.failure->detail + "\n";
        return keepFailed(present, std::move(outcome), audit);
    }
    auto kept = std::make_shared<Version>(outcome.version);
    if (stored) kept->sources.reset();
    auto revision = store.apply({.function = entry->function,
                                 .version = kept,
                                 .buildLog = outcome.log,
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
    registry.put(shared);
    activator.commit(liveFunction(shared));
    const std::lock_guard lock(mutex);
    withheld.erase(shared->function.id);
    return shared;
}

// The live version stays; the failed one can be read. Gives what the caller is told.
Failure FunctionService::State::keepFailed(const FunctionPtr& present, Builds::Outcome outcome, const Audit& audit) {
    auto entry = std::make_shared<FunctionEntry>(*present);
    entry->function.lastVersion = outcome.version.number;
    if (!entry->callable()) entry->versions = {withoutSources(outcome.version)};
    auto revision = store.apply({.function = entry->function,
                                 .keepRevision = entry->callable(),
                                 .version = std::make_shared<const Version>(outcome.version),
                                 .buildLog = outcome.log,
                                 .audit = {audit.principal, "build_failed", audit.atMs}});
    if (!revision) return std::move(revision).failure();
    entry->function.revision = *revision;
    registry.put(entry);
    return *outcome.version.failure;
}

std::vector<uint64_t> FunctionService::State::expired(const Function& next, uint64_t previousLive) const {
    const auto all = store.versions(next.id);
    std::vector<uint64_t> numbers;
    if (!all) return numbers;
    const int64_t oldest = nowMs() - std::chrono::milliseconds(options.retention.versionAge).count();
    // The new version is not among them yet, or is the first.
    size_t kept = 1;
    for (const Version& version : *all) {
        if (version.number == next.lastVersion) continue;
        const bool pinned = version.number == previousLive;
        if (!pinned && (kept >= options.retention.versions || version.createdAtMs < oldest)) numbers.push_back(version.number);
        else ++kept;
    }
    return numbers;
}

// After a start: serves the function, once its artifact is there again.
void FunctionService::State::restore(const FunctionPtr& entry) {
    const Function& function = entry->function;
    const auto& version = *entry->versions.front();
    if (artifacts->contains(version.artifactKey)) return activator.commit(liveFunction(entry));
    {
        const std::lock_guard lock(mutex);
        withheld[function.id] = {.reason = "function_not_ready",
                                 .detail = "the artifact of \"" + function.name + "\" is being built again",
                                 .hint = "try again in a few seconds"};
    }
    background->add([this, id = function.id] {
        auto lock = locks.take(id, options.lockWait);
        const auto current = registry.find(id);
        if (!lock || !current || !current->callable()) return;
        Version again = *current->versions.front();
        const auto runtime = runtimes.resolve(again.spec.runtimeAlias);
        auto sources = store.sources(id, again.number);
        Failure failure{.reason = "runtime_unavailable", .detail = "no executor serves the runtime \"" + again.spec.runtime + "\""};
        if (runtime && sources) {
            again.sources = *sources;
            auto outcome = builds->run({current->function.name, current->function.settings, *runtime}, std::move(again));
            if (outcome.version.state == VersionState::ready) {
                FunctionEntry next = *current;
                next.versions.front() = withoutSources(outcome.version);
                if (auto kept = store.apply({.function = next.function,
                                             .keepRevision = true,
                                             .version = next.versions.front(),
                                             .buildLog = outcome.log,
                                             .audit = {"platform", "rebuild", nowMs()}}); !kept)
                    base::logWarning("functions", current->function.name + ": " + kept.failure().detail);
                publish(std::move(next), next.function.revision);
                return;
            }
            failure = *outcome.version.failure;
        }
        base::logWarning("functions", current->function.name + " cannot be built again: " + failure.detail);
        const std::lock_guard guard(mutex);
        withheld[id] = {.reason = "function_not_ready",
                        .detail = "the artifact of \"" + current->function.name + "\" is gone and cannot be built again: " + failure.detail,
                        .hint = failure.hint};
    });
}

FunctionService::FunctionService(ServiceOptions options, Store& store, Registry& registry, RuntimeCatalog& runtimes,
                                 Builder& builder, Activator& activator)
    : state_(new State{std::move(options), store, registry, runtimes, builder, activator}) {}

FunctionService::~FunctionService() = default;

Result<void> FunctionService::start() {
    auto artifacts = Artifacts::open(state_->options.dataDir);
    if (!artifacts) return std::move(artifacts).failure();
    state_->artifacts = std::move(*artifacts);
    state_->builds = std::make_unique<Builds>(*state_->artifacts, state_->builder);

    state_->background.emplace(state_->options.backgroundThreads);

    auto interrupted = state_->store.building();
    if (!interrupted) return std::move(interrupted).failure();
    auto entries = state_->store.load();
    if (!entries) return std::move(entries).failure();
    const Failure cause{.reason = "build_failed",
                        .detail = "the platform was stopped while this version was being built",
                        .hint = "save it again"};
    for (const auto& [id, number] : *interrupted) {
        const auto entry = std::ranges::find_if(*entries, [&](const auto& e) { return e.function.id == id; });
        auto version = state_->store.version(id, number);
        if (entry == entries->end() || !version) continue;
        version->state = VersionState::failed;
        version->failure = cause;
        const auto failed = std::make_shared<const Version>(std::move(*version));
        auto kept = state_->store.apply({.function = entry->function,
                                         .keepRevision = true,
                                         .version = failed,
                                         .audit = {"platform", "interrupted", nowMs()}});
        if (!kept) return std::move(kept).failure();
        if (!entry->callable() && entry->shown().number == number) entry->versions = {failed};
    }
    for (auto& entry : *entries) {
        const auto shared = std::make_shared<const FunctionEntry>(std::move(entry));
        state_->registry.put(shared);
        if (shared->callable()) state_->restore(shared);
    }
    // No worker runs yet, so nothing can still use what no version refers to.
    state_->collectGarbage(std::chrono::milliseconds(0));
    return {};
}

Result<Saved> FunctionService::create(SaveRequest request) {
    // Held until the function is in the registry, so that two creations of one name cannot both succeed.
    const std::string name = request.patch.name.value.value_or("");
    const auto lock = state_->lockName(name, std::chrono::milliseconds(0));
    if (!lock && !name.empty()) return nameTaken(name);
    return state_->create(std::move(request));
}

Result<Saved> FunctionService::update(std::string_view idOrName, SaveRequest request, bool createIfMissing) {
    const auto mismatch = [] {
        return Failure{.reason = "precondition_failed",
                       .detail = "the function was changed since it was read; nothing was saved",
                       .hint = "read it again, apply the change to what it is now, and send it with the new ETag"};
    };
    auto present = state_->registry.find(idOrName);
    std::optional<KeyLocks::Guard> nameLock;
    if (!present && createIfMissing && !idOrName.starts_with("fn_")) {
        // Two deploys of one new name at once: the second waits and updates what the first made.
        nameLock = state_->lockName(std::string(idOrName), state_->options.lockWait);
        present = state_->registry.find(idOrName);
    }
    if (!present) {
        const Patch& patch = request.patch;
        const bool complete = patch.runtime.value || patch.code.value || patch.files.value;
        if (request.ifRevision) return mismatch();
        if (!nameLock || !complete) return notFound(idOrName);
        if (!request.patch.name.present) {
            request.patch.name.present = true;
            request.patch.name.value = std::string(idOrName);
        } else if (request.patch.name.value && nameKey(*patch.name.value) != nameKey(idOrName)) {
            request.patch.errors.push_back({"/name", "differs from the name in the path, \"" + std::string(idOrName) + "\""});
        }
        return state_->create(std::move(request));
    }
    nameLock.reset();
    auto lock = state_->locks.take(present->function.id, state_->options.lockWait);
    if (!lock)
        return Failure{.reason = "save_in_progress",
                       .detail = "another save of \"" + present->function.name + "\" is still running",
                       .hint = "try again when it is done"};
    present = state_->registry.find(present->function.id);
    if (!present) return notFound(idOrName);
    if (request.ifRevision && *request.ifRevision != present->function.revision) return mismatch();
    return state_->update(present, std::move(request), std::move(*lock));
}

Result<void> FunctionService::remove(std::string_view idOrName, const Caller& caller, std::optional<uint64_t> ifRevision) {
    const auto present = state_->registry.find(idOrName);
    if (!present) return notFound(idOrName);
    const std::string& id = present->function.id;
    const auto lock = state_->locks.take(id, state_->options.lockWait);
    if (!lock)
        return Failure{.reason = "save_in_progress",
                       .detail = "a save of \"" + present->function.name + "\" is still running",
                       .hint = "try again when it is done"};
    const auto current = state_->registry.find(id);
    if (!current) return notFound(idOrName);
    if (ifRevision && *ifRevision != current->function.revision)
        return Failure{.reason = "precondition_failed",
                       .detail = "the function was changed since it was read; it was not deleted",
                       .hint = "read it again and send the new ETag"};
    auto removed = state_->store.remove(id, {caller.principal, "delete", nowMs()});
    if (!removed) return std::move(removed).failure();
    state_->registry.remove(id);
    state_->activator.remove(id);
    const std::lock_guard guard(state_->mutex);
    state_->withheld.erase(id);
    return {};
}

Result<FunctionPtr> FunctionService::find(std::string_view idOrName) const {
    auto entry = state_->registry.find(idOrName);
    if (!entry) return notFound(idOrName);
    return entry;
}

Result<Saved> FunctionService::read(std::string_view idOrName) const {
    const auto entry = state_->registry.find(idOrName);
    if (!entry) return notFound(idOrName);
    auto sources = state_->store.sources(entry->function.id, entry->shown().number);
    if (!sources) return std::move(sources).failure();
    return state_->saved(entry, std::move(*sources), false);
}

Result<FunctionPage> FunctionService::list(const ListRequest& request) const {
    std::string runtime = request.runtime;
    if (const auto known = state_->runtimes.resolve(runtime)) runtime = known->name;
    const std::string query = nameKey(request.query);
    std::vector<std::pair<std::string, FunctionPtr>> found;
    for (auto& entry : state_->registry.all()) {
        std::string key = nameKey(entry->function.name);
        const VersionSpec& spec = entry->shown().spec;
        if (key <= request.cursor && !request.cursor.empty()) continue;
        if (!runtime.empty() && spec.runtime != runtime && spec.runtimeAlias != request.runtime) continue;
        if (key.find(query) == key.npos && nameKey(entry->function.description).find(query) == key.npos) continue;
        found.emplace_back(std::move(key), std::move(entry));
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    FunctionPage page;
    for (auto& [key, entry] : found) {
        if (page.functions.size() == request.limit) {
            page.nextCursor = nameKey(page.functions.back()->function.name);
            break;
        }
        page.functions.push_back(std::move(entry));
    }
    return page;
}

Result<std::vector<std::shared_ptr<const Version>>> FunctionService::versions(const FunctionEntry& entry) const {
    // Asked first: a build that ends in between is then found in the store.
    auto found = state_->builds->running(entry.function.id);
    auto stored = state_->store.versions(entry.function.id);
    if (!stored) return std::move(stored).failure();
    for (Version& version : *stored) {
        const auto same = std::ranges::find_if(found, [&](const auto& v) { return v->number == version.number; });
        auto shared = std::make_shared<const Version>(std::move(version));
        if (same == found.end()) found.push_back(std::move(shared));
        else *same = std::move(shared);
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a->number > b->number; });
    return found;
}

Result<std::shared_ptr<const Version>> FunctionService::version(const FunctionEntry& entry, uint64_t number) const {
    const auto running = state_->builds->running(entry.function.id);
    auto stored = state_->store.version(entry.function.id, number);
    if (!stored) {
        for (const auto& version : running)
            if (version->number == number) return version;
        return std::move(stored).failure();
    }
    auto sources = state_->store.sources(entry.function.id, number);
    if (!sources) return std::move(sources).failure();
    stored->sources = std::move(*sources);
    return std::make_shared<const Version>(std::move(*stored));
}

Result<std::string> FunctionService::buildLog(const FunctionEntry& entry, uint64_t number) const {
    if (auto running = state_->builds->runningLog(entry.function.id, number)) return std::move(*running);
    return state_->store.buildLog(entry.function.id, number);
}

Result<Sources> FunctionService::sources(const std::string& functionId, uint64_t number) const {
    return state_->store.sources(functionId, number);
}

Failure FunctionService::whyNotCallable(const FunctionEntry& entry) const {
    if (entry.callable()) {
        const std::lock_guard lock(state_->mutex);
        if (const auto found = state_->withheld.find(entry.function.id); found != state_->withheld.end()) return found->second;
        return {.reason = "function_not_ready", .detail = "\"" + entry.function.name + "\" is being prepared", .hint = "try again in a second"};
    }
    if (entry.shown().state == VersionState::building)
        return {.reason = "function_not_ready",
                .detail = "the first version of \"" + entry.function.name + "\" is still being built",
                .hint = "try again in a few seconds"};
    return {.reason = "function_not_ready",
            .detail = "\"" + entry.function.name + "\" has no version that was built" +
                      (entry.shown().failure ? ": " + entry.shown().failure->detail : ""),
            .hint = "correct the code and save it again"};
}

void FunctionService::State::collectGarbage(std::chrono::milliseconds grace) {
    const auto keys = store.artifactKeys();
    if (!keys) return;
    for (const auto& [runtime, key] : artifacts->collect({keys->begin(), keys->end()}, grace)) builder.discard(runtime, key);
}

void FunctionService::collectGarbage() { state_->collectGarbage(state_->options.retention.artifactGrace); }

const Limits& FunctionService::limits() const { return state_->options.limits; }

}  // namespace cf::functions
