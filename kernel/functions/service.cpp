#include "functions/service.hpp"

#include <algorithm>

#include "base/json.hpp"
#include "base/log.hpp"
#include "functions/service_state.hpp"

namespace cf::functions {

using base::Failure;
using base::Result;

namespace {

void failInterrupted(Version& version) {
    version.state = VersionState::failed;
    version.failure =
        Failure{.reason = "build_failed",
                .detail = "the platform was stopped while this version was being built",
                .hint = "save it again"};
}

}  // namespace

FunctionService::FunctionService(ServiceOptions options, Store& store, Registry& registry,
                                 RuntimeCatalog& runtimes, Builder& builder, Activator& activator)
    : state_(new State{std::move(options), store, registry, runtimes, builder, activator}) {}

FunctionService::~FunctionService() = default;

void FunctionService::stop() { state_->stop(); }

Result<void> FunctionService::start() {
    auto artifacts = Artifacts::open(state_->options.dataDir, state_->options.layers);
    if (!artifacts) return std::move(artifacts).failure();
    state_->artifacts = std::move(*artifacts);
    state_->builds = std::make_unique<Builds>(*state_->artifacts, state_->builder, state_->store,
                                              state_->options.lockAge);

    auto interrupted = state_->store.building();
    if (!interrupted) return std::move(interrupted).failure();
    auto entries = state_->store.load();
    if (!entries) return std::move(entries).failure();
    for (const auto& [id, number] : *interrupted) {
        const auto entry = std::ranges::find_if(
            *entries, [&wanted = id](const auto& e) { return e.function.id == wanted; });
        auto version = state_->store.version(id, number);
        if (entry == entries->end() || !version) continue;
        failInterrupted(*version);
        const auto failed = std::make_shared<const Version>(std::move(*version));
        auto kept = state_->store.apply({.function = entry->function,
                                         .keepRevision = true,
                                         .version = failed,
                                         .audit = {"platform", "interrupted", nowMs()}});
        if (!kept) {
            // A disk that is full now, perhaps: the next start tries it again.
            state_->interrupted.emplace(id, number);
            base::logWarning("functions", entry->function.name + ": version " +
                                              std::to_string(number) +
                                              " cannot be stored as failed: " +
                                              kept.failure().detail);
        }
        if (!entry->callable() && entry->shown().number == number) entry->versions = {failed};
    }
    // No worker runs yet, so nothing can still use what no version refers to. Before anything is
    // built again: the artifacts of that are named in the store when they are there already.
    state_->collectGarbage(std::chrono::milliseconds(0));
    for (auto& entry : *entries) {
        const auto shared = std::make_shared<const FunctionEntry>(std::move(entry));
        state_->registry.put(shared);
        if (shared->callable()) state_->restore(shared);
    }
    return {};
}

void FunctionService::create(SaveRequest request, Then<Saved> then) {
    // Held until the function is in the registry, so that two creations of one name cannot both
    // succeed.
    const std::string name = request.patch.name.value.value_or("");
    auto lock = state_->locks.tryTake(State::nameLock(name));
    if (!lock && !name.empty()) return then(state_->nameTaken(name));
    const auto save =
        std::make_shared<Save>(Save{.request = std::move(request), .then = std::move(then)});
    if (auto memory = state_->memoryForPatch(*save); !memory)
        return save->then(std::move(memory).failure());
    state_->createUnder(save, std::move(lock));
}

void FunctionService::update(std::string_view idOrName, SaveRequest request, bool createIfMissing,
                             Then<Saved> then) {
    const auto save = std::make_shared<Save>(
        Save{std::string(idOrName), std::move(request), createIfMissing, std::move(then)});
    if (auto memory = state_->memoryForPatch(*save); !memory)
        return save->then(std::move(memory).failure());
    state_->update(save);
}

Result<void> FunctionService::checkPresence(std::string_view idOrName,
                                            const SaveRequest& request) const {
    return State::checkPresence(state_->registry.find(idOrName), request);
}

void FunctionService::remove(std::string_view idOrName, const Caller& caller,
                             std::optional<uint64_t> ifRevision, Then<void> then) {
    const auto present = state_->registry.find(idOrName);
    if (!present) return then(notFound(idOrName));
    state_->locks.take(
        present->function.id, state_->options.lockWait,
        [state = state_.get(), id = present->function.id, named = std::string(idOrName), caller,
         ifRevision, then = std::move(then)](KeyLocks::Turn turn) {
            auto removed = state->remove(id, named, caller, ifRevision, turn);
            turn.lock.reset();
            then(std::move(removed));
        });
}

Result<FunctionPtr> FunctionService::find(std::string_view idOrName) const {
    auto entry = state_->registry.find(idOrName);
    if (!entry) return notFound(idOrName);
    return entry;
}

Result<Saved> FunctionService::read(std::string_view idOrName) const {
    const auto entry = state_->registry.find(idOrName);
    if (!entry) return notFound(idOrName);
    // What is being made is not stored yet.
    for (const auto& version : state_->builds->building(entry->function.id))
        if (version->number == entry->shown().number)
            return state_->saved(entry, version->sources, false);
    auto sources = state_->store.sources(entry->function.id, entry->shown().number);
    if (!sources) return std::move(sources).failure();
    return state_->saved(entry, std::move(*sources), false);
}

namespace {

Failure unknownRuntime(const std::string& name, const std::vector<std::string>& known) {
    std::string names;
    for (const auto& one : known) (names += names.empty() ? "" : ", ") += one;
    return {.reason = "invalid_query",
            .detail = "there is no runtime \"" + base::toValidUtf8(name.substr(0, 64)) + "\"",
            .hint = "known runtimes are " + names};
}

}  // namespace

Result<FunctionPage> FunctionService::list(const ListRequest& request) const {
    std::string runtime = request.runtime;
    const auto known = state_->runtimes.resolve(runtime);
    if (known) runtime = known->name;
    // Functions may be left of an executor that is not there any more.
    bool isKnown = known || runtime.empty() || !request.cursor.empty();
    const std::string query = nameKey(request.query);
    const auto wanted = [&](const FunctionEntry& entry) {
        const VersionSpec& spec = entry.shown().spec;
        if (!runtime.empty() && spec.runtime != runtime && spec.runtimeAlias != request.runtime)
            return false;
        isKnown = true;
        return query.empty() || nameKey(entry.function.name).find(query) != query.npos ||
               nameKey(entry.function.description).find(query) != query.npos;
    };
    FunctionPage page;
    std::string key = request.cursor;
    if (!key.empty() && (!whyInvalidName(key).empty() || nameKey(key) != key))
        return base::Failure{.reason = "invalid_query",
                             .detail = "\"cursor\" must be the next_cursor of the page before",
                             .hint = "leave it out to begin with the first page",
                             .observed = base::toValidUtf8(key.substr(0, 64))};
    for (;;) {
        // One more than fit: whether there is a next page.
        auto some = state_->registry.after(key, request.limit + 1);
        if (some.empty() && !isKnown) return unknownRuntime(runtime, state_->runtimes.names());
        if (some.empty()) return page;
        key = nameKey(some.back()->function.name);
        for (FunctionPtr& entry : some) {
            if (!wanted(*entry)) continue;
            if (page.functions.size() == request.limit) {
                page.nextCursor = nameKey(page.functions.back()->function.name);
                return page;
            }
            page.functions.push_back(std::move(entry));
        }
    }
}

void FunctionService::State::showAs(Version& stored, const FunctionEntry& entry) const {
    if (interrupted.contains({entry.function.id, stored.number})) failInterrupted(stored);
    // One that is live without its artifact is not what the store says (withhold).
    if (!entry.callable() || stored.number != entry.shown().number) return;
    stored.state = entry.shown().state;
    stored.failure = entry.shown().failure;
}

Result<std::vector<std::shared_ptr<const Version>>> FunctionService::versions(
    const FunctionEntry& entry) const {
    std::vector<std::shared_ptr<const Version>> found;
    const auto add = [&](std::shared_ptr<const Version> version) {
        if (std::ranges::find(found, version->number, &Version::number) == found.end())
            found.push_back(std::move(version));
    };
    const auto addBuilding = [&] {
        for (const auto& version : state_->builds->building(entry.function.id))
            add(withoutSources(*version));
    };
    // Before the store is asked and again afterwards: what is being built counts as building until
    // calls reach it, whatever the store says already, and none is missed when its build ends.
    addBuilding();
    auto stored = state_->store.versions(entry.function.id);
    if (!stored) return std::move(stored).failure();
    addBuilding();
    for (Version& version : *stored) {
        state_->showAs(version, entry);
        add(std::make_shared<const Version>(std::move(version)));
    }
    std::ranges::sort(found, std::greater{}, &Version::number);
    return found;
}

Result<std::shared_ptr<const Version>> FunctionService::version(const FunctionEntry& entry,
                                                                uint64_t number) const {
    const std::string& id = entry.function.id;
    const auto building = [&]() -> std::shared_ptr<const Version> {
        for (auto& version : state_->builds->building(id))
            if (version->number == number) return std::move(version);
        return nullptr;
    };
    // As in versions().
    if (auto version = building()) return version;
    auto stored = state_->store.version(id, number);
    if (auto version = building()) return version;
    if (!stored) {
        if (auto refused = state_->builds->refused(id, number)) return std::move(refused->version);
        return std::move(stored).failure();
    }
    auto sources = state_->store.sources(id, number);
    if (!sources) return std::move(sources).failure();
    auto locks = state_->store.locks(id, number);
    if (!locks) return std::move(locks).failure();
    stored->sources = std::move(*sources);
    stored->locks = std::move(*locks);
    state_->showAs(*stored, entry);
    return std::make_shared<const Version>(std::move(*stored));
}

Result<std::string> FunctionService::buildLog(const FunctionEntry& entry, uint64_t number) const {
    if (auto running = state_->builds->runningLog(entry.function.id, number))
        return std::move(*running);
    return state_->store.buildLog(entry.function.id, number);
}

Result<LogTail> FunctionService::readBuildLog(const FunctionEntry& entry, uint64_t number,
                                              uint64_t offset, size_t limit) const {
    LogTail tail{.next = offset};
    const std::string& id = entry.function.id;
    auto text = state_->builds->runningLog(id, number);
    if (!text) {
        // The state is read first: what is stored as ended has its whole log.
        const auto version = state_->store.version(id, number);
        if ((text = state_->builds->runningLog(id, number))) {
            // It has begun since.
        } else if (version) {
            auto log = state_->store.buildLog(id, number);
            if (!log) return std::move(log).failure();
            text = std::move(*log);
            tail.state = state_->interrupted.contains({id, number}) ? VersionState::failed
                                                                    : version->state;
        } else if (auto refused = state_->builds->refused(id, number)) {
            text = std::move(refused->log);
            tail.state = VersionState::failed;
        } else {
            return version.failure();
        }
    }
    if (offset < text->size()) {
        size_t end = text->size();
        if (end - offset > limit) {
            const size_t cut = text->rfind('\n', offset + limit);
            const size_t line = cut == text->npos || cut < offset ? text->find('\n', offset) : cut;
            if (line != text->npos) end = line + 1;
        }
        tail.text = text->substr(offset, end - offset);
        tail.next = end;
    }
    tail.ended = tail.state != VersionState::building && tail.next >= text->size();
    return tail;
}

LogSubscription FunctionService::followBuildLog(const FunctionEntry& entry, uint64_t number,
                                                std::function<void()> changed) const {
    return state_->builds->follow(entry.function.id, number, std::move(changed));
}

Result<Sources> FunctionService::sources(const std::string& functionId, uint64_t number) const {
    return state_->store.sources(functionId, number);
}

Failure FunctionService::whyNotCallable(const FunctionEntry& entry) const {
    if (entry.callable()) {
        const std::lock_guard lock(state_->mutex);
        if (const auto found = state_->withheld.find(entry.function.id);
            found != state_->withheld.end())
            return {.reason = "function_not_ready",
                    .detail = found->second.detail,
                    .hint = found->second.hint};
        return {.reason = "function_not_ready",
                .detail = "\"" + entry.function.name + "\" is being prepared",
                .hint = "try again in a second"};
    }
    if (entry.shown().state == VersionState::building)
        return {
            .reason = "function_not_ready",
            .detail = "the first version of \"" + entry.function.name + "\" is still being built",
            .hint = "try again in a few seconds"};
    return {.reason = "function_not_ready",
            .detail = "\"" + entry.function.name + "\" has no version that was built" +
                      (entry.shown().failure ? ": " + entry.shown().failure->detail : ""),
            .hint = "correct the code and save it again"};
}

void FunctionService::collectGarbage() {
    state_->collectGarbage(state_->options.retention.artifactGrace);
}

FunctionService::DiskUse FunctionService::diskUse() const {
    return {state_->artifacts->bytes(), state_->artifacts->layers().bytes()};
}

const Limits& FunctionService::limits() const { return state_->options.limits; }

}  // namespace cf::functions
