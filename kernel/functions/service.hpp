// Everything that can be done with functions: the life of a save from validation to the live
// switch. api/ calls it on control-plane threads; the invocation path reads the registry only.
// Saves of one function wait for each other, saves of different functions run side by side. No
// caller's thread waits for a build or for another save: these answer when they are done.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.hpp"
#include "functions/artifacts.hpp"
#include "functions/build_log.hpp"
#include "functions/document.hpp"
#include "functions/function.hpp"
#include "functions/limits.hpp"
#include "functions/ports.hpp"
#include "functions/registry.hpp"
#include "functions/store.hpp"

namespace cf::functions {

struct ServiceOptions {
    Limits limits{};
    Retention retention{};
    std::string dataDir{};  // artifacts/ and build/ lie here
    std::chrono::milliseconds lockWait{
        60'000};  // how long a save waits for an earlier one of the same function
    // The same for one that wants its answer at once: a change of settings is over by then.
    std::chrono::milliseconds asyncLockWait{1000};
    size_t waitingSaves = 32;  // of one function
    LayerOptions layers{};
    std::chrono::seconds lockAge{86'400};  // of locks that a function takes over from others
    size_t parallelBuilds = 4;
    size_t waitingBuilds = 256;  // of saves
    // Bytes of the sources of saves that wait or are built; a single save may have more.
    uint64_t sourcesInWork = 256ull << 20;
};

// What a save did.
struct Saved {
    FunctionPtr entry{};
    std::shared_ptr<const Version> version{};  // the shown one, with its sources
    bool created = false;
    uint64_t building = 0;  // respond-async: the number of the version that is still being built
};

struct SaveRequest {
    Patch patch{};
    Caller caller{};
    std::optional<uint64_t> ifRevision{};  // save only when the function is still at this revision
    bool createOnly = false;               // of updates: only when there is no such function yet
    bool changeOnly = false;               // of updates: only when there is one
    bool async = false;                    // answer once the version is stored, build behind
    // Any thread: true once it may be that nobody waits for the answer any more. May be empty.
    std::function<bool()> callerGone{};
};

struct ListRequest {
    size_t limit = 100;
    std::string cursor{};   // next_cursor of the page before
    std::string runtime{};  // name or alias; empty: all
    std::string query{};    // part of name or description, without regard to case
};

struct FunctionPage {
    std::vector<FunctionPtr> functions{};  // by name, without regard to case
    std::string nextCursor{};              // empty on the last page
};

class FunctionService {
public:
    // How a save answers: once, on the caller's thread or later on one of the service's. What is
    // dropped at the end of the service is never called.
    template <typename T>
    using Then = std::function<void(base::Result<T>)>;

    // Everything passed in must outlive the service.
    FunctionService(ServiceOptions options, Store& store, Registry& registry,
                    RuntimeCatalog& runtimes, Builder& builder, Activator& activator);
    ~FunctionService();
    // Waits for what is being built right now; what waits, and whatever is to be saved later, is
    // dropped. Readers may go on; one thread calls it, as often as it likes.
    void stop();

    // Once, before anything else: fills the registry from the store, marks interrupted builds as
    // failed, commits every callable function to the Activator and builds missing artifacts again
    // (in the background).
    base::Result<void> start();

    // Failures: invalid_function, name_taken, build_failed, runtime_unavailable, disk_full, busy,
    // control_busy (too much waits or is built), store_failed. A version that does not build, or does not
    // load, leaves nothing behind when it is the first of its function.
    void create(SaveRequest request, Then<Saved> then);
    // `idOrName`; an unknown name with createIfMissing and a complete patch creates. More failures:
    // not_found, precondition_failed, save_in_progress. Nothing changed: no new version, no new
    // revision.
    void update(std::string_view idOrName, SaveRequest request, bool createIfMissing,
                Then<Saved> then);
    // Whether update() would be refused already because the function is there, or is not:
    // precondition_failed. What is there may change until the save's turn; it looks again then.
    base::Result<void> checkPresence(std::string_view idOrName, const SaveRequest& request) const;
    void remove(std::string_view idOrName, const Caller& caller, std::optional<uint64_t> ifRevision,
                Then<void> then);

    // Failure: not_found. The second form adds the sources of the shown version.
    base::Result<FunctionPtr> find(std::string_view idOrName) const;
    base::Result<Saved> read(std::string_view idOrName) const;
    base::Result<FunctionPage> list(const ListRequest& request) const;
    // Newest first, without sources; versions that are being built are included.
    base::Result<std::vector<std::shared_ptr<const Version>>> versions(
        const FunctionEntry& entry) const;
    base::Result<std::shared_ptr<const Version>> version(const FunctionEntry& entry,
                                                         uint64_t number) const;
    base::Result<std::string> buildLog(const FunctionEntry& entry, uint64_t number) const;
    // The log from `offset` on, at most about `limit` bytes of whole lines (at least one line);
    // also of a build that runs or waits for its turn. Failure: not_found.
    base::Result<LogTail> readBuildLog(const FunctionEntry& entry, uint64_t number, uint64_t offset,
                                       size_t limit) const;
    // Calls `changed` whenever readBuildLog() has more to say about this build, from whatever
    // thread builds: it must be quick and not call the service. Subscribe first, then read: so
    // nothing is missed. What ended already calls nobody.
    LogSubscription followBuildLog(const FunctionEntry& entry, uint64_t number,
                                   std::function<void()> changed) const;
    base::Result<Sources> sources(const std::string& functionId, uint64_t number) const;
    // For callers of a function that no call can reach yet, or any more: why. Thread-safe and
    // quick.
    base::Failure whyNotCallable(const FunctionEntry& entry) const;

    // Deletes artifacts that no version has used for Retention::artifactGrace. Called by app/ every
    // few minutes.
    void collectGarbage();
    // What is kept on the disk, counted along the way: thread-safe and quick.
    struct DiskUse {
        uint64_t artifacts = 0;  // without their layers
        uint64_t layers = 0;
    };
    DiskUse diskUse() const;
    const Limits& limits() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace cf::functions
