// The inside of FunctionService: what its files share. service.cpp answers callers, saves.cpp makes
// and switches versions, restore.cpp brings functions back after a start and cleans up.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "functions/artifacts.hpp"
#include "functions/background.hpp"
#include "functions/builds.hpp"
#include "functions/key_locks.hpp"
#include "functions/service.hpp"

namespace cf::functions {

int64_t nowMs();
base::Failure nameTaken(const std::string& name);
// As the registry holds it.
std::shared_ptr<const Version> withoutSources(Version version);

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
    std::unordered_map<std::string, base::Failure> withheld{};
    // Last, so that its threads end before anything they use.
    std::optional<Background> background{};

    bool isWithheld(const std::string& id) const {
        const std::lock_guard lock(mutex);
        return withheld.contains(id);
    }
    std::optional<KeyLocks::Guard> lockName(const std::string& name,
                                            std::chrono::milliseconds wait) {
        return locks.take("name " + nameKey(name), wait);
    }
    base::Result<void> enoughDisk() const;
    LiveFunction liveFunction(const FunctionPtr& entry) const;
    base::Result<Saved> saved(FunctionPtr entry, Sources sources, bool created) const;

    base::Result<Saved> create(SaveRequest request);  // under the lock of its name
    base::Result<Saved> createBehind(Function function, Version version, RuntimeInfo runtime,
                                     Audit audit);
    base::Result<Saved> update(const FunctionPtr& present, SaveRequest request,
                               KeyLocks::Guard lock);
    base::Result<Saved> changeSettings(const FunctionPtr& present, Function next, Sources sources,
                                       Audit audit);
    base::Result<Saved> changeVersion(const FunctionPtr& present, Function next, Version version,
                                      const RuntimeInfo& runtime, Audit audit, bool stored,
                                      bool forgetLocks = false);
    FunctionPtr publish(FunctionEntry entry, uint64_t revision);
    base::Result<void> keepFailed(const FunctionPtr& present, Builds::Outcome outcome,
                                  const Audit& audit, bool create = false);
    std::vector<uint64_t> expired(const Function& next, uint64_t previousLive) const;
    void restore(const FunctionPtr& entry);
    void collectGarbage(std::chrono::milliseconds grace);
    base::Result<void> roomBehind() const;
};

}  // namespace cf::functions
