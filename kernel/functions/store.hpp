// Where functions and versions are kept: hard state, durable when a call returns. SQLite stands
// behind it today; a store shared by many machines is another implementation. Thread-safe; every
// method may block. Failures of every method: disk_full, store_failed; reads and changes of single
// rows also not_found.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/failure.hpp"
#include "functions/function.hpp"

namespace cf::functions {

// What changed, for the audit trail.
struct Audit {
    std::string principal{};
    std::string action{};  // "create", "update", "delete", ...
    int64_t atMs = 0;
};

// A change of one function, made whole or not at all.
struct Change {
    Function function{};  // as it is to be; `revision` is given by the store
    bool create = false;
    // The function looks as before to its readers (a version was added that did not become live):
    // it keeps its revision.
    bool keepRevision = false;
    // Set to add this version (with sources), or to replace the stored one of the same number.
    std::shared_ptr<const Version> version{};
    std::string buildLog{};
    std::vector<uint64_t> dropVersions{};
    Audit audit{};
};

class Store {
public:
    virtual ~Store() = default;

    // Every function with its live versions, or else its newest, without sources.
    virtual base::Result<std::vector<FunctionEntry>> load() = 0;
    // Gives the new revision. Also name_taken.
    virtual base::Result<uint64_t> apply(const Change& change) = 0;
    virtual base::Result<uint64_t> remove(const std::string& functionId, const Audit& audit) = 0;

    // Newest first, without sources.
    virtual base::Result<std::vector<Version>> versions(const std::string& functionId) = 0;
    virtual base::Result<Version> version(const std::string& functionId, uint64_t number) = 0;
    virtual base::Result<Sources> sources(const std::string& functionId, uint64_t number) = 0;
    // Sorted by name.
    virtual base::Result<std::vector<Lock>> locks(const std::string& functionId,
                                                  uint64_t number) = 0;
    // Those of the newest ready version of any function that was built from the same sources, not
    // older than `oldestMs`; empty when there is none.
    virtual base::Result<std::vector<Lock>> locksOfEqual(const std::string& sourcesHash,
                                                         const std::string& runtime,
                                                         int64_t oldestMs) = 0;
    // A lock of this name, made from what has this hash, that a ready version keeps: the newest of
    // the function itself, else the newest of any function that is not older than `oldestMs`.
    virtual base::Result<std::optional<Lock>> findLock(const std::string& functionId,
                                                       const std::string& name,
                                                       const std::string& madeFrom,
                                                       int64_t oldestMs) = 0;
    virtual base::Result<std::string> buildLog(const std::string& functionId, uint64_t number) = 0;

    // Versions that a stopped platform left behind as building, as (function id, number).
    virtual base::Result<std::vector<std::pair<std::string, uint64_t>>> building() = 0;
    // Keys of all artifacts that some version refers to.
    virtual base::Result<std::vector<std::string>> artifactKeys() = 0;
    // One sentence for health: what kind of store, where, how large.
    virtual std::string describe() = 0;
};

}  // namespace cf::functions
