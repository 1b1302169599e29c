#include "functions/sqlite_store.hpp"

#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/SQLite/SQLiteException.h>
#include <Poco/Data/Session.h>
#include <Poco/Data/Statement.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>

#include "base/log.hpp"
#include "functions/artifacts.hpp"
#include "functions/registry.hpp"
#include "functions/row_codec.hpp"
#include "functions/schema.hpp"
#include "functions/store_check.hpp"
#include "functions/store_rows.hpp"

namespace cf::functions {

namespace sqlite = Poco::Data::SQLite;
using Poco::Data::Session;
using Poco::Data::Statement;
using namespace Poco::Data::Keywords;
using rows::fromInt, rows::Int, rows::toInt;

struct SqliteStore::State {
    State(SqliteOptions given, Session opened)
        : options(std::move(given)), session(std::move(opened)) {}
    SqliteOptions options;
    std::mutex mutex;
    Session session;
    std::unique_ptr<StoreCheck> check{};
};

namespace {

base::Failure storeFailed(const Poco::Exception& exception) {
    if (dynamic_cast<const sqlite::DatabaseFullException*>(&exception) != nullptr)
        return {.reason = "disk_full",
                .detail = "the disk of the platform's data is full; nothing was saved",
                .hint = "free some room and save again"};
    base::logError("functions", "store: " + exception.displayText());
    if (dynamic_cast<const sqlite::CorruptImageException*>(&exception) != nullptr)
        return {.reason = "store_failed",
                .detail = "the platform's database is damaged: " + exception.message(),
                .hint = "restore it from a backup, or save what can be read of it"};
    return {.reason = "store_failed",
            .detail = "the platform's database did not take the change: " + exception.message(),
            .hint = "the platform's log says more"};
}

// Everything inside is done whole or not at all. Poco's own begin() starts a deferred transaction,
// which may find the database locked halfway.
class Transaction {
public:
    explicit Transaction(Session& session) : session_(session) {
        session_ << "BEGIN IMMEDIATE", now;
    }
    ~Transaction() {
        if (done_) return;
        try {
            session_ << "ROLLBACK", now;
        } catch (const Poco::Exception&) {
            // SQLite has rolled back by itself (disk full, I/O error).
        }
    }
    void commit() {
        session_ << "COMMIT", now;
        done_ = true;
    }

private:
    Session& session_;
    bool done_ = false;
};

Int scalar(Session& session, const std::string& sql) {
    Int value = 0;
    session << sql, into(value), now;
    return value;
}

Int nextRevision(Session& session) {
    session << "UPDATE sequence SET revision = revision + 1", now;
    return scalar(session, "SELECT revision FROM sequence");
}

// Runs `work` alone on the session, with Poco's exceptions turned into Failures.
template <typename Work>
auto guarded(std::mutex& mutex, Work&& work) -> decltype(work()) {
    const std::lock_guard lock(mutex);
    try {
        return work();
    } catch (const Poco::Exception& exception) {
        return storeFailed(exception);
    }
}

base::Failure notFound(const std::string& what) {
    return {.reason = "not_found", .detail = what + " does not exist"};
}

base::Failure corrupt(const std::string& path, const std::string& why) {
    return {
        .reason = "store_corrupt",
        .detail = "the database " + path + " is damaged or is no database of this platform: " + why,
        .hint =
            "the file was left as it is; restore it from a backup, or move it away to begin with "
            "an empty one"};
}

bool hasForeignHeader(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    char head[16] = {};
    file.read(head, sizeof head);
    return file.gcount() > 0 && std::memcmp(head, "SQLite format 3", sizeof head) != 0;
}

// Reading every page of a very large file would delay the start.
bool isLarge(const SqliteOptions& options) {
    struct stat file {};
    return ::stat(options.path.c_str(), &file) == 0 &&
           static_cast<uint64_t>(file.st_size) > options.checkedBytes;
}

// Empty when sound.
std::string damageOf(Session& session) {
    std::vector<std::string> findings;
    session << "PRAGMA quick_check(1)", into(findings), now;
    return findings.size() == 1 && findings.front() == "ok" ? ""
           : findings.empty()                               ? "no answer"
                                                            : findings.front();
}

void migrate(Session& session, Int from) {
    const auto steps = migrations();
    Transaction transaction(session);
    for (size_t i = static_cast<size_t>(from); i < steps.size(); ++i)
        for (const char* statement : steps[i]) session << statement, now;
    session << "UPDATE schema_version SET version = " + std::to_string(steps.size()), now;
    transaction.commit();
}

// The newest schema that the file has; the table is made with the file.
Int schemaOf(Session& session) {
    Transaction transaction(session);
    session << "CREATE TABLE IF NOT EXISTS schema_version (only INTEGER PRIMARY KEY CHECK (only = "
               "1), version INTEGER"
               " NOT NULL)",
        now;
    session << "INSERT OR IGNORE INTO schema_version VALUES (1, 0)", now;
    const Int version = scalar(session, "SELECT version FROM schema_version");
    transaction.commit();
    return version;
}

}  // namespace

SqliteStore::SqliteStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
SqliteStore::~SqliteStore() = default;

base::Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const SqliteOptions& options) {
    if (hasForeignHeader(options.path))
        return corrupt(options.path, "it does not begin as an SQLite file does");
    try {
        sqlite::Connector::registerConnector();
        // One second: for a file that cannot be opened Poco tries again for as long as this, by
        // default a minute.
        Session session(sqlite::Connector::KEY, options.path, 1);
        session << "PRAGMA busy_timeout = " + std::to_string(options.busyTimeoutMs), now;
        const auto damage = isLarge(options) ? "" : damageOf(session);
        if (!damage.empty()) return corrupt(options.path, damage);
        session << "PRAGMA journal_mode = WAL", now;
        session << "PRAGMA synchronous = FULL", now;
        session << "PRAGMA foreign_keys = ON", now;
        const Int schema = schemaOf(session);
        const auto known = static_cast<Int>(migrations().size());
        if (schema > known)
            return base::Failure{
                .reason = "store_too_new",
                .detail = "the database " + options.path + " has schema " + std::to_string(schema) +
                          ", this release knows schemas up to " + std::to_string(known),
                .hint =
                    "start the release that wrote it, or a later one; the file was left as it is"};
        if (schema < known) migrate(session, schema);
        return std::unique_ptr<SqliteStore>(
            new SqliteStore(std::make_unique<State>(options, std::move(session))));
    } catch (const sqlite::CorruptImageException& exception) {
        return corrupt(options.path, exception.message());
    } catch (const Poco::Exception& exception) {
        return base::Failure{
            .reason = "store_failed",
            .detail =
                "the database " + options.path + " cannot be opened: " + exception.displayText(),
            .hint =
                "see that the folder exists, that this user may write there, and that no other "
                "program holds the file"};
    }
}

base::Result<std::vector<FunctionEntry>> SqliteStore::load() {
    return guarded(state_->mutex, [&]() -> base::Result<std::vector<FunctionEntry>> {
        Session& session = state_->session;
        std::vector<FunctionEntry> entries;
        Function row;
        std::string labels, settings, live;
        Int createdAt = 0, updatedAt = 0, revision = 0, last = 0;
        Statement select(session);
        select << "SELECT id, name, description, labels, project, created_by, created_at_ms, "
                  "updated_at_ms, revision,"
                  " settings, last_version, live FROM function",
            into(row.id), into(row.name), into(row.description), into(labels), into(row.project),
            into(row.createdBy), into(createdAt), into(updatedAt), into(revision), into(settings),
            into(last), into(live), limit(1);
        while (!select.done()) {
            if (select.execute() == 0) continue;
            Function& function = entries.emplace_back().function = row;
            function.labels = rows::decodeLabels(labels);
            function.settings = rows::decodeSettings(settings);
            function.live = rows::decodeLive(live);
            function.createdAtMs = createdAt;
            function.updatedAtMs = updatedAt;
            function.revision = fromInt(revision);
            function.lastVersion = fromInt(last);
        }
        rows::addVersions(session, entries);
        // A row without any version can only come from another program; it cannot be shown or
        // called.
        std::erase_if(entries, [](const FunctionEntry& entry) { return entry.versions.empty(); });
        return entries;
    });
}

base::Result<uint64_t> SqliteStore::apply(const Change& change) {
    return guarded(state_->mutex, [&]() -> base::Result<uint64_t> {
        Session& session = state_->session;
        const Function& function = change.function;
        Transaction transaction(session);
        std::string id = function.id, key = nameKey(function.name);
        Int taken = 0, exists = 0;
        session << "SELECT count(*) FROM function WHERE name_key = ? AND id <> ?", into(taken),
            use(key), use(id), now;
        if (taken != 0)
            return base::Failure{
                .reason = "name_taken",
                .detail = "a function named \"" + function.name + "\" exists already",
                .hint = "choose another name, or update that function"};
        session << "SELECT count(*) FROM function WHERE id = ?", into(exists), use(id), now;
        if (!change.create && exists == 0) return notFound("the function " + id);
        const Int revision = nextRevision(session);
        rows::writeFunction(session, function, change.create,
                            change.keepRevision ? toInt(function.revision) : revision);
        if (change.version) rows::writeVersion(session, *change.version, change.buildLog, revision);
        for (const uint64_t number : change.dropVersions)
            rows::dropVersion(session, id, toInt(number));
        rows::writeAudit(session, change.audit, function.project, id, function.name,
                         change.version ? toInt(change.version->number) : 0, revision);
        transaction.commit();
        return change.keepRevision ? function.revision : fromInt(revision);
    });
}

base::Result<uint64_t> SqliteStore::remove(const std::string& functionId, const Audit& audit) {
    return guarded(state_->mutex, [&]() -> base::Result<uint64_t> {
        Session& session = state_->session;
        Transaction transaction(session);
        std::string id = functionId;
        std::vector<std::string> names, projects, hashes;
        session << "SELECT name, project FROM function WHERE id = ?", into(names), into(projects),
            use(id), now;
        if (names.empty()) return notFound("the function " + functionId);
        session << "SELECT hash FROM source WHERE function_id = ? UNION SELECT hash FROM "
                   "version_lock WHERE function_id = ?",
            into(hashes), use(id), use(id), now;
        session << "DELETE FROM function WHERE id = ?", use(id), now;
        rows::dropUnused(session, std::move(hashes));
        const Int revision = nextRevision(session);
        rows::writeAudit(session, audit, projects.front(), id, names.front(), 0, revision);
        transaction.commit();
        return fromInt(revision);
    });
}

base::Result<std::vector<Version>> SqliteStore::versions(const std::string& functionId) {
    return guarded(state_->mutex, [&]() -> base::Result<std::vector<Version>> {
        return rows::versionsWhere(state_->session,
                                   "WHERE function_id = ? AND number > ? ORDER BY number DESC",
                                   functionId, 0);
    });
}

base::Result<Version> SqliteStore::version(const std::string& functionId, uint64_t number) {
    return guarded(state_->mutex, [&]() -> base::Result<Version> {
        auto found = rows::versionsWhere(state_->session, "WHERE function_id = ? AND number = ?",
                                         functionId, toInt(number));
        if (found.empty())
            return notFound("version " + std::to_string(number) + " of this function");
        return std::move(found.front());
    });
}

base::Result<Sources> SqliteStore::sources(const std::string& functionId, uint64_t number) {
    return guarded(state_->mutex, [&]() -> base::Result<Sources> {
        Session& session = state_->session;
        std::string id = functionId;
        Int at = toInt(number);
        std::vector<std::string> names, hashes;
        session
            << "SELECT name, hash FROM source WHERE function_id = ? AND number = ? ORDER BY name",
            into(names), into(hashes), use(id), use(at), now;
        if (names.empty()) return notFound("the source of version " + std::to_string(number));
        auto files = std::make_shared<std::vector<SourceFile>>();
        for (size_t i = 0; i < names.size(); ++i)
            files->push_back({names[i], rows::readContent(session, hashes[i])});
        return Sources(std::move(files));
    });
}

base::Result<std::vector<Lock>> SqliteStore::locks(const std::string& functionId, uint64_t number) {
    return guarded(state_->mutex, [&]() -> base::Result<std::vector<Lock>> {
        return rows::readLocks(state_->session, functionId, toInt(number));
    });
}

base::Result<std::vector<Lock>> SqliteStore::locksOfEqual(const std::string& sourcesHash,
                                                          const std::string& runtime,
                                                          int64_t oldestMs) {
    return guarded(state_->mutex, [&]() -> base::Result<std::vector<Lock>> {
        std::string sources = sourcesHash, canonical = runtime;
        Int oldest = oldestMs;
        std::vector<std::string> ids;
        std::vector<Int> numbers;
        state_->session << "SELECT v.function_id, v.number FROM version v JOIN version_lock l ON "
                           "v.function_id = l.function_id AND v.number = l.number WHERE "
                           "v.sources_hash = ? AND v.runtime = ? AND v.state = 'ready' AND "
                           "l.made_at_ms >= ? ORDER BY l.made_at_ms DESC LIMIT 1",
            into(ids), into(numbers), use(sources), use(canonical), use(oldest), now;
        if (ids.empty()) return std::vector<Lock>{};
        return rows::readLocks(state_->session, ids.front(), numbers.front());
    });
}

base::Result<std::optional<Lock>> SqliteStore::findLock(const std::string& functionId,
                                                        const std::string& name,
                                                        const std::string& madeFrom,
                                                        int64_t oldestMs) {
    return guarded(state_->mutex, [&]() -> base::Result<std::optional<Lock>> {
        Session& session = state_->session;
        std::string id = functionId, wanted = name, from = madeFrom;
        Int oldest = oldestMs;
        std::vector<std::string> hashes;
        std::vector<Int> times;
        session << "SELECT l.hash, l.made_at_ms FROM version_lock l JOIN version v ON "
                   "v.function_id = l.function_id AND v.number = l.number WHERE l.made_from = ? "
                   "AND l.name = ? AND v.state = 'ready' AND (l.function_id = ? OR l.made_at_ms >= "
                   "?) ORDER BY l.function_id = ? DESC, l.made_at_ms DESC LIMIT 1",
            into(hashes), into(times), use(from), use(wanted), use(id), use(oldest), use(id), now;
        if (hashes.empty()) return std::optional<Lock>{};
        return std::optional<Lock>(
            Lock{wanted, from, rows::readContent(session, hashes.front()), times.front()});
    });
}

base::Result<std::string> SqliteStore::buildLog(const std::string& functionId, uint64_t number) {
    return guarded(state_->mutex, [&]() -> base::Result<std::string> {
        std::string id = functionId;
        Int at = toInt(number);
        std::vector<std::string> logs;
        state_->session << "SELECT build_log FROM version WHERE function_id = ? AND number = ?",
            into(logs), use(id), use(at), now;
        if (logs.empty())
            return notFound("version " + std::to_string(number) + " of this function");
        return std::move(logs.front());
    });
}

base::Result<std::vector<std::pair<std::string, uint64_t>>> SqliteStore::building() {
    return guarded(
        state_->mutex, [&]() -> base::Result<std::vector<std::pair<std::string, uint64_t>>> {
            std::vector<std::string> ids;
            std::vector<Int> numbers;
            state_->session << "SELECT function_id, number FROM version WHERE state = 'building'",
                into(ids), into(numbers), now;
            std::vector<std::pair<std::string, uint64_t>> found;
            for (size_t i = 0; i < ids.size(); ++i) found.emplace_back(ids[i], fromInt(numbers[i]));
            return found;
        });
}

base::Result<std::vector<std::string>> SqliteStore::artifactKeys() {
    return guarded(state_->mutex, [&]() -> base::Result<std::vector<std::string>> {
        std::vector<std::string> keys;
        state_->session << "SELECT DISTINCT artifact_key FROM version WHERE artifact_key <> ''",
            into(keys), now;
        return keys;
    });
}

void SqliteStore::checkRest() {
    if (isLarge(state_->options))
        state_->check = std::make_unique<StoreCheck>(state_->options.path);
}

std::string SqliteStore::damage() const { return state_->check ? state_->check->damage() : ""; }

std::string SqliteStore::describe() {
    struct stat file {};
    const bool there = ::stat(state_->options.path.c_str(), &file) == 0;
    return "SQLite, " + state_->options.path + ", " + std::to_string(there ? file.st_size : 0) +
           " bytes, schema " + std::to_string(migrations().size());
}

}  // namespace cf::functions
