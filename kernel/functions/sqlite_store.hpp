// The store in one SQLite file (WAL, synchronous=FULL), through Poco::Data. One session does
// everything: before 3.51.3 SQLite can corrupt a WAL when several connections write and checkpoint
// at once.
#pragma once

#include <memory>
#include <string>

#include "functions/store.hpp"

namespace cf::functions {

struct SqliteOptions {
    std::string path{};          // of the file; its folder exists
    int busyTimeoutMs = 10'000;  // for other programs that look into the file
    uint64_t checkedBytes = 256 << 20;  // a file up to this is checked when it is opened
};

class SqliteStore final : public Store {
public:
    // Opens or creates the file, checks it unless it is large (checkRest), and brings its schema up
    // to date. Failures, which leave the file as it is: store_corrupt (it is damaged or no
    // database), store_too_new (a later release wrote it), store_failed.
    static base::Result<std::unique_ptr<SqliteStore>> open(const SqliteOptions& options);
    ~SqliteStore() override;

    base::Result<std::vector<FunctionEntry>> load() override;
    base::Result<uint64_t> apply(const Change& change) override;
    base::Result<uint64_t> remove(const std::string& functionId, const Audit& audit) override;
    base::Result<std::vector<Version>> versions(const std::string& functionId) override;
    base::Result<Version> version(const std::string& functionId, uint64_t number) override;
    base::Result<Sources> sources(const std::string& functionId, uint64_t number) override;
    base::Result<std::vector<Lock>> locks(const std::string& functionId, uint64_t number) override;
    base::Result<std::vector<Lock>> locksOfEqual(const std::string& sourcesHash,
                                                 const std::string& runtime,
                                                 int64_t oldestMs) override;
    base::Result<std::optional<Lock>> findLock(const std::string& functionId,
                                               const std::string& name,
                                               const std::string& madeFrom,
                                               int64_t oldestMs) override;
    base::Result<std::string> buildLog(const std::string& functionId, uint64_t number) override;
    base::Result<std::vector<std::pair<std::string, uint64_t>>> building() override;
    base::Result<std::vector<std::string>> artifactKeys() override;
    std::string describe() override;

    // Checks in the background what was too large for open(): see StoreCheck.
    void checkRest();
    std::string damage() const;

private:
    struct State;
    explicit SqliteStore(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace cf::functions
