// The inside of FunctionService: what its files share. service.cpp answers readers, saves.cpp takes
// saves as far as the queue of builds, versions.cpp makes and switches versions, restore.cpp brings
// functions back after a start and cleans up.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "functions/artifacts.hpp"
#include "functions/background.hpp"
#include "functions/builds.hpp"
#include "functions/key_locks.hpp"
#include "functions/service.hpp"
#include "functions/sources_in_work.hpp"

namespace cf::functions {

int64_t nowMs();
base::Failure notFound(std::string_view idOrName);
// As the registry holds it.
std::shared_ptr<const Version> withoutSources(Version version);

// A save that is still to be answered.
struct Save {
    std::string target{};  // id or name; empty: a new function
    SaveRequest request{};
    bool createIfMissing = false;
    FunctionService::Then<Saved> then{};
    SourcesInWork::Share memory{};
};
using SavePtr = std::shared_ptr<Save>;

// A version on its way through the queue of builds, and what is kept for it meanwhile.
struct BuildJob {
    SavePtr save{};         // empty when it is answered already
    FunctionPtr present{};  // as the registry has it
    Function next{};        // as it is to be
    Version version{};
    RuntimeInfo runtime{};
    Audit audit{};
    bool create = false;  // the function is not stored yet
    bool stored = false;  // the version is, as building
    bool forgetLocks = false;
    std::optional<Builds::Shown> shown{};
    std::vector<KeyLocks::Guard> locks{};  // let go before the answer
    SourcesInWork::Share memory{};         // so is this
    std::shared_ptr<void> leftovers{};     // and these behind it
};
using BuildJobPtr = std::shared_ptr<BuildJob>;

struct FunctionService::State {
    ServiceOptions options;
    Store& store;
    Registry& registry;
    RuntimeCatalog& runtimes;
    Builder& builder;
    Activator& activator;
    std::unique_ptr<Artifacts> artifacts{};
    std::unique_ptr<Builds> builds{};
    SourcesInWork sourcesInWork{options.sourcesInWork};
    // Calls whom a lock was waited for; never builds.
    Background turns{2};
    KeyLocks locks{turns, options.waitingSaves};
    mutable std::mutex mutex{};
    // Functions whose artifact is missing: why they cannot be called for now.
    std::unordered_map<std::string, base::Failure> withheld{};
    // Versions that an earlier process was building and the store did not take as failed, by
    // function and number. Written by start() alone.
    std::set<std::pair<std::string, uint64_t>> interrupted{};
    Background builders{options.parallelBuilds};

    // What runs uses everything above.
    ~State() { stop(); }
    void stop() {
        builders.stop();
        turns.stop();
    }

    bool isWithheld(const std::string& id) const {
        const std::lock_guard lock(mutex);
        return withheld.contains(id);
    }
    static std::string nameLock(std::string_view name) { return "name " + nameKey(name); }
    base::Failure nameTaken(const std::string& name) const;
    // `present` may be empty. One that is being saved for the first time may still come to nothing.
    static base::Result<void> checkPresence(const FunctionPtr& present, const SaveRequest& request);
    base::Result<void> enoughDisk() const;
    // What brings sources has memory for them from its arrival on, all else when it is to build.
    base::Result<void> memoryFor(Save& save, uint64_t bytes);
    base::Result<void> memoryForPatch(Save& save);
    base::Result<void> roomToBuild(Save& save, const std::vector<SourceFile>& sources);
    base::Failure saveInProgress(const std::string& name, const KeyLocks::Turn& turn) const;
    LiveFunction liveFunction(const FunctionPtr& entry) const;
    base::Result<Saved> saved(FunctionPtr entry, Sources sources, bool created) const;

    // The way of a save: these answer it, now or when its build is over.
    void update(const SavePtr& save);
    void updateLocked(const SavePtr& save, const std::string& id, KeyLocks::Turn turn);
    void createUnder(const SavePtr& save, std::optional<KeyLocks::Guard> name);
    // Its halves up to the queue of builds: an empty result waits there.
    using Begun = base::Result<std::optional<Saved>>;
    Begun beginCreate(const SavePtr& save, std::optional<KeyLocks::Guard>& name);
    Begun beginUpdate(const SavePtr& save, const FunctionPtr& present, KeyLocks::Guard& lock);
    void enqueue(BuildJob job);
    // On a thread of the builders.
    void finish(BuildJob& job);
    base::Result<Saved> createVersion(BuildJob& job);
    base::Result<Saved> changeVersion(BuildJob& job);

    // What is stored, as it is: without the artifact of what is live, after a build that ended
    // with its process.
    void showAs(Version& stored, const FunctionEntry& entry) const;

    base::Result<void> remove(const std::string& id, const std::string& named,
                              const Caller& caller, std::optional<uint64_t> ifRevision,
                              const KeyLocks::Turn& turn);
    base::Result<Saved> changeSettings(const FunctionPtr& present, Function next, Sources sources,
                                       Audit audit);
    FunctionPtr publish(FunctionEntry entry, uint64_t revision);
    base::Result<void> keepFailed(const FunctionPtr& present, Builds::Outcome outcome,
                                  const Audit& audit, bool create = false);
    std::vector<uint64_t> expired(const Function& next) const;
    void restore(const FunctionPtr& entry);
    // Its live version cannot be called for now, is shown as building or failed, and why.
    void withhold(FunctionEntry entry, VersionState as, base::Failure why);
    void rebuild(const std::string& id);
    void rebuildLocked(const std::string& id);
    void collectGarbage(std::chrono::milliseconds grace);
};

}  // namespace cf::functions
