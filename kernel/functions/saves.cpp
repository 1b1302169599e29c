// The way of a save up to the queue of builds: who may save, what it asks for, what is stored
// before it is built.
#include <sys/statvfs.h>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/ulid.hpp"
#include "functions/draft.hpp"
#include "functions/service_state.hpp"

namespace cf::functions {

using base::Failure;
using base::Result;

namespace {

std::string newId() {
    base::UlidGenerator ids;
    return "fn_" + ids.next(nowMs());
}

Failure mismatch() {
    return {.reason = "precondition_failed",
            .detail = "the function was changed since it was read; nothing was saved",
            .hint =
                "read it again, apply the change to what it is now, and send it with the new ETag"};
}

// The first save of one is shown before it is stored.
bool isStored(const FunctionEntry& entry) { return entry.function.revision != 0; }

uint64_t bytesOf(const std::vector<SourceFile>& sources) {
    uint64_t bytes = 0;
    for (const auto& file : sources) bytes += file.name.size() + file.content.size();
    return bytes;
}

}  // namespace

int64_t nowMs() { return base::unixMs(base::WallClock::now()); }

Failure notFound(std::string_view idOrName) {
    return {.reason = "not_found",
            .detail = "there is no function \"" + base::toValidUtf8(idOrName.substr(0, 80)) + "\"",
            .hint = "GET /api/v1/functions lists all functions"};
}

Failure FunctionService::State::nameTaken(const std::string& name) const {
    Failure failure{.reason = "name_taken"};
    const auto other = registry.find(name);
    if (!other) {
        failure.detail = "a function named \"" + name + "\" is being saved by another request";
        failure.hint = "wait for that request, or read the function in a second";
    } else if (!other->callable() && other->shown().state == VersionState::building) {
        failure.detail = "a function named \"" + name +
                         "\" was sent already; its first version is being built";
        failure.hint = "follow that build: GET /api/v1/functions/" + other->function.id +
                       "/versions/" + std::to_string(other->shown().number) +
                       "/build-log?follow=true";
    } else {
        failure.detail = "a function named \"" + name +
                         "\" exists already (upper and lower case count as equal)";
        failure.hint = "choose another name, or update that function";
    }
    return failure;
}

Result<void> FunctionService::State::checkPresence(const FunctionPtr& present,
                                                   const SaveRequest& request) {
    if (request.createOnly && present && isStored(*present))
        return Failure{.reason = "precondition_failed",
                       .detail = "the function exists already and the request asks for a new one "
                                 "(If-None-Match)",
                       .hint = "leave If-None-Match out to update it"};
    if (request.changeOnly && !present)
        return Failure{.reason = "precondition_failed",
                       .detail = "the request asks for a function that exists (If-Match); there is "
                                 "none of this name",
                       .hint = "leave If-Match out to create it"};
    return {};
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

Result<void> FunctionService::State::memoryFor(Save& save, uint64_t bytes) {
    if (!save.memory) save.memory = sourcesInWork.take(bytes);
    if (save.memory) return {};
    return Failure{.reason = "control_busy",
                   .detail = "the sources of saves that wait or are built take all of the memory "
                             "that they may have; nothing was saved",
                   .hint = "try again in a few seconds",
                   .limit = std::to_string(sourcesInWork.most() >> 20) + " MB of sources"};
}

Result<void> FunctionService::State::memoryForPatch(Save& save) {
    const Patch& patch = save.request.patch;
    if (patch.code.value) return memoryFor(save, patch.code.value->size());
    if (patch.files.value) return memoryFor(save, bytesOf(*patch.files.value));
    return {};
}

Result<void> FunctionService::State::roomToBuild(Save& save,
                                                 const std::vector<SourceFile>& sources) {
    if (builders.waiting() < options.waitingBuilds) return memoryFor(save, bytesOf(sources));
    return Failure{.reason = "control_busy",
                   .detail = "too many builds are waiting; nothing was saved",
                   .hint = "try again in a few seconds",
                   .limit = std::to_string(options.waitingBuilds) + " waiting builds"};
}

base::Failure FunctionService::State::saveInProgress(const std::string& name,
                                                     const KeyLocks::Turn& turn) const {
    if (turn.crowded)
        return {.reason = "control_busy",
                .detail = "too many requests wait for the save of \"" + name + "\" that is running",
                .hint = "try again in a few seconds",
                .limit = std::to_string(options.waitingSaves) + " waiting requests"};
    return {.reason = "save_in_progress",
            .detail = "another save of \"" + name + "\" is still running",
            .hint = "try again when it is done; its version says how far it is"};
}

void FunctionService::State::update(const SavePtr& save) {
    const std::string& target = save->target;
    const auto wait = save->request.async ? options.asyncLockWait : options.lockWait;
    const auto present = registry.find(target);
    if (auto checked = checkPresence(present, save->request); !checked)
        return save->then(std::move(checked).failure());
    if (present)
        return locks.take(present->function.id, wait,
                          [this, save, id = present->function.id](KeyLocks::Turn turn) {
                              updateLocked(save, id, std::move(turn));
                          });
    if (!save->createIfMissing || target.starts_with("fn_"))
        return save->then(save->request.ifRevision ? mismatch() : notFound(target));
    // Two deploys of one new name at once: the second waits and updates what the first made.
    locks.take(nameLock(target), wait, [this, save](KeyLocks::Turn turn) {
        const std::string& name = save->target;
        if (registry.find(name)) {
            turn.lock.reset();
            return update(save);
        }
        if (!turn.lock) return save->then(saveInProgress(name, turn));
        Patch& patch = save->request.patch;
        const bool complete = patch.runtime.value || patch.code.value || patch.files.value;
        if (save->request.ifRevision || !complete) {
            turn.lock.reset();
            return save->then(save->request.ifRevision ? mismatch() : notFound(name));
        }
        if (!patch.name.present) {
            if (auto why = whyInvalidName(name); !why.empty())
                patch.errors.push_back({"/name", std::move(why)});
            patch.name.present = true;
            patch.name.value = name;
        } else if (patch.name.value && nameKey(*patch.name.value) != nameKey(name)) {
            patch.errors.push_back(
                {"/name", "differs from the name in the path, \"" + name + "\""});
        }
        createUnder(save, std::move(turn.lock));
    });
}

void FunctionService::State::updateLocked(const SavePtr& save, const std::string& id,
                                          KeyLocks::Turn turn) {
    const auto present = registry.find(save->target);
    if (!present || present->function.id != id) {
        turn.lock.reset();
        // Whoever was waited for renamed or deleted it, or was making it and failed: what has the
        // name now is meant, if anything has.
        return update(save);
    }
    if (!turn.lock) return save->then(saveInProgress(present->function.name, turn));
    auto begun = [&]() -> Begun {
        if (auto checked = checkPresence(present, save->request); !checked)
            return std::move(checked).failure();
        const auto& wanted = save->request.ifRevision;
        if (wanted && *wanted != present->function.revision) return mismatch();
        return beginUpdate(save, present, *turn.lock);
    }();
    turn.lock.reset();
    if (!begun) return save->then(std::move(begun).failure());
    if (*begun) save->then(std::move(**begun));
}

void FunctionService::State::createUnder(const SavePtr& save, std::optional<KeyLocks::Guard> name) {
    auto begun = beginCreate(save, name);
    name.reset();
    if (!begun) return save->then(std::move(begun).failure());
    if (*begun) save->then(std::move(**begun));
}

FunctionService::State::Begun FunctionService::State::beginCreate(
    const SavePtr& save, std::optional<KeyLocks::Guard>& name) {
    SaveRequest& request = save->request;
    auto draft = makeDraft(std::move(request.patch), std::nullopt, options.limits, runtimes);
    if (!draft) return std::move(draft).failure();
    if (registry.find(draft->name)) return nameTaken(draft->name);
    if (auto disk = enoughDisk(); !disk) return std::move(disk).failure();

    BuildJob job{.runtime = std::move(draft->runtime), .create = true};
    Function& function = job.next;
    function = {.id = newId(),
                .name = draft->name,
                .description = draft->description,
                .labels = draft->labels,
                .project = request.caller.project,
                .createdBy = request.caller.principal,
                .createdAtMs = nowMs(),
                .settings = draft->settings,
                .lastVersion = 1};
    function.updatedAtMs = function.createdAtMs;
    job.version = {.functionId = function.id,
                   .number = 1,
                   .spec = draft->spec,
                   .sources = draft->sources,
                   .sourcesHash = hashSources(*draft->sources),
                   .createdAtMs = function.createdAtMs,
                   .createdBy = request.caller.principal};
    job.audit = {request.caller.principal, "create", function.createdAtMs};
    if (auto checked =
            builds->checkHandler({function.name, function.settings, job.runtime}, job.version);
        !checked)
        return std::move(checked).failure();
    if (auto room = roomToBuild(*save, *job.version.sources); !room)
        return std::move(room).failure();

    job.memory = std::move(save->memory);
    job.locks.push_back(std::move(*locks.tryTake(function.id)));
    if (request.async) {
        // The name is taken from now on, whatever the build says.
        auto revision = store.apply({.function = function,
                                     .create = true,
                                     .version = std::make_shared<const Version>(job.version),
                                     .audit = job.audit});
        if (!revision) return std::move(revision).failure();
        function.revision = *revision;
        job.create = false;
        job.stored = true;
    } else {
        job.save = save;
        if (name) job.locks.push_back(std::move(*name));
    }
    auto entry = std::make_shared<FunctionEntry>();
    entry->function = function;
    entry->versions = {withoutSources(job.version)};
    job.present = entry;
    const Sources sources = job.version.sources;
    job.shown.emplace(builds->announce(job.version));
    registry.put(entry);
    enqueue(std::move(job));
    if (!request.async) return std::optional<Saved>();
    auto result = saved(entry, sources, true);
    if (!result) return std::move(result).failure();
    result->building = 1;
    return std::optional<Saved>(std::move(*result));
}

FunctionService::State::Begun FunctionService::State::beginUpdate(const SavePtr& save,
                                                                  const FunctionPtr& present,
                                                                  KeyLocks::Guard& lock) {
    SaveRequest& request = save->request;
    const Function& before = present->function;
    auto sources = store.sources(before.id, present->shown().number);
    if (!sources) return std::move(sources).failure();
    Version shown = present->shown();
    shown.sources = *sources;
    if (present->callable()) {
        auto kept = store.locks(before.id, shown.number);
        if (!kept) return std::move(kept).failure();
        shown.locks = std::move(*kept);
    }
    auto draft =
        makeDraft(std::move(request.patch), Present{*present, shown}, options.limits, runtimes);
    if (!draft) return std::move(draft).failure();
    const auto now = [](Result<Saved> result) -> Begun {
        if (!result) return std::move(result).failure();
        return std::optional<Saved>(std::move(*result));
    };
    if (!draft->changesVersion && !draft->changesFunction)
        return now(saved(present, *sources, false));
    if (auto disk = enoughDisk(); !disk) return std::move(disk).failure();

    std::optional<KeyLocks::Guard> nameLock;
    if (nameKey(draft->name) != nameKey(before.name)) {
        nameLock = locks.tryTake(State::nameLock(draft->name));
        if (!nameLock || registry.find(draft->name)) return nameTaken(draft->name);
    }
    Function next = before;
    next.name = draft->name;
    next.description = draft->description;
    next.labels = draft->labels;
    next.settings = draft->settings;
    next.updatedAtMs = nowMs();
    const Audit audit{request.caller.principal, "update", next.updatedAtMs};
    if (!draft->changesVersion)
        return now(changeSettings(present, std::move(next), *sources, audit));

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
    if (auto room = roomToBuild(*save, *version.sources); !room) return std::move(room).failure();

    BuildJob job{.present = present,
                 .version = std::move(version),
                 .runtime = std::move(draft->runtime),
                 .audit = audit,
                 .forgetLocks = draft->forgetLocks};
    if (request.async) {
        Function stored = before;
        stored.lastVersion = next.lastVersion;
        auto kept = store.apply({.function = stored,
                                 .keepRevision = true,
                                 .version = std::make_shared<const Version>(job.version),
                                 .audit = audit});
        if (!kept) return std::move(kept).failure();
        auto entry = std::make_shared<FunctionEntry>(*present);
        entry->function.lastVersion = next.lastVersion;
        job.present = entry;
        job.stored = true;
    } else {
        job.save = save;
    }
    job.next = std::move(next);
    job.memory = std::move(save->memory);
    job.locks.push_back(std::move(lock));
    if (nameLock) job.locks.push_back(std::move(*nameLock));
    job.shown.emplace(builds->announce(job.version));
    if (!request.async) {
        enqueue(std::move(job));
        return std::optional<Saved>();
    }
    const auto entry = job.present;
    const uint64_t number = job.version.number;
    registry.put(entry);
    enqueue(std::move(job));
    auto result = saved(entry, *sources, false);
    if (result) result->building = number;
    return now(std::move(result));
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

Result<void> FunctionService::State::remove(const std::string& id, const std::string& named,
                                            const Caller& caller,
                                            std::optional<uint64_t> ifRevision,
                                            const KeyLocks::Turn& turn) {
    const auto current = registry.find(named);
    // Another one has the name now: it is not what was to be deleted.
    if (!current || current->function.id != id) return notFound(named);
    if (!turn.lock) return saveInProgress(current->function.name, turn);
    if (ifRevision && *ifRevision != current->function.revision)
        return Failure{.reason = "precondition_failed",
                       .detail = "the function was changed since it was read; it was not deleted",
                       .hint = "read it again and send the new ETag"};
    auto removed = store.remove(id, {caller.principal, "delete", nowMs()});
    if (!removed && removed.failure().reason == "disk_full")
        return Failure{.reason = "disk_full",
                       .detail = "the disk of the platform's data is full; the function was not "
                                 "deleted",
                       .hint = "free some room on that disk and delete it again"};
    if (!removed) return std::move(removed).failure();
    registry.remove(id);
    activator.remove(id);
    const std::lock_guard guard(mutex);
    withheld.erase(id);
    return {};
}

}  // namespace cf::functions
