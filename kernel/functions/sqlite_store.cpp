#include "functions/sqlite_store.hpp"

#include <Poco/Data/LOB.h>
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
#include <unordered_map>

#include "base/log.hpp"
#include "functions/artifacts.hpp"
#include "functions/registry.hpp"
#include "functions/row_codec.hpp"
#include "functions/schema.hpp"
#include "functions/store_check.hpp"

namespace cf::functions {

namespace sqlite = Poco::Data::SQLite;
using Poco::Data::Session;
using Poco::Data::Statement;
using namespace Poco::Data::Keywords;
using Int = Poco::Int64;

struct SqliteStore::State {
    State(SqliteOptions given, Session opened)
        : options(std::move(given)), session(std::move(opened)) {}
    SqliteOptions options;
    std::mutex mutex;
    Session session;
    std::unique_ptr<StoreCheck> check{};
};

namespace {

Int toInt(uint64_t value) { return static_cast<Int>(value); }
uint64_t fromInt(Int value) { return static_cast<uint64_t>(value); }

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

constexpr const char* versionColumns =
    "SELECT function_id, number, runtime, runtime_alias, handler, from_code, environment, network, "
    "sources_hash,"
    " state, artifact_key, remarks, failure, created_at_ms, created_by, dependencies,"
    " dependencies_file FROM version ";

// One row of versionColumns, bound once and read row by row.
struct VersionRow {
    Int number = 0, fromCode = 0, createdAtMs = 0;
    std::string functionId, runtime, runtimeAlias, handler, environment, network, sourcesHash,
        state, artifactKey;
    std::string remarks, failure, createdBy, dependencies, dependenciesFile;

    void bindTo(Statement& select) {
        select, into(functionId), into(number), into(runtime), into(runtimeAlias), into(handler),
            into(fromCode), into(environment), into(network), into(sourcesHash), into(state),
            into(artifactKey), into(remarks), into(failure), into(createdAtMs), into(createdBy),
            into(dependencies), into(dependenciesFile), limit(1);
    }
    Version version() const {
        Version version;
        version.functionId = functionId;
        version.number = fromInt(number);
        version.spec.runtime = runtime;
        version.spec.runtimeAlias = runtimeAlias;
        version.spec.handler = handler;
        version.spec.fromCode = fromCode != 0;
        version.spec.environment = rows::decodeEnvironment(environment);
        version.spec.network = rows::decodeNetwork(network);
        version.spec.dependencies = rows::decodeTexts(dependencies);
        version.spec.dependenciesFile = dependenciesFile;
        version.sourcesHash = sourcesHash;
        version.state = state == "ready"      ? VersionState::ready
                        : state == "building" ? VersionState::building
                                              : VersionState::failed;
        version.artifactKey = artifactKey;
        version.remarks = rows::decodeRemarks(remarks);
        version.failure = rows::decodeFailure(failure);
        version.createdAtMs = createdAtMs;
        version.createdBy = createdBy;
        return version;
    }
};

std::vector<Version> readVersions(Statement& select) {
    VersionRow row;
    row.bindTo(select);
    std::vector<Version> versions;
    while (!select.done())
        if (select.execute() > 0) versions.push_back(row.version());
    return versions;
}

std::vector<Version> versionsWhere(Session& session, const std::string& condition,
                                   std::string functionId, Int number) {
    Statement select(session);
    select << versionColumns << condition, use(functionId), use(number);
    return readVersions(select);
}

// The live versions of every function, in the order of `live`; the newest one where none is live.
// All in one statement: one for each function was a third of the time of a start with 10 000.
void addVersions(Session& session, std::vector<FunctionEntry>& entries) {
    std::unordered_map<std::string_view, FunctionEntry*> byId;
    for (FunctionEntry& entry : entries) byId.emplace(entry.function.id, &entry);
    Statement live(session);
    live << versionColumns
         << "WHERE rowid IN (SELECT version.rowid FROM function, json_each(function.live) AS share"
            " JOIN version ON version.function_id = function.id"
            " AND version.number = json_extract(share.value, '$.version')"
            " WHERE json_valid(function.live))";
    for (Version& version : readVersions(live))
        if (const auto found = byId.find(version.functionId); found != byId.end())
            found->second->versions.push_back(std::make_shared<const Version>(std::move(version)));
    for (FunctionEntry& entry : entries) {
        const auto rank = [&](const auto& version) {
            return std::ranges::find(entry.function.live, version->number, &LiveShare::version);
        };
        std::ranges::sort(entry.versions, {}, rank);
        if (!entry.versions.empty()) continue;
        for (Version& latest : versionsWhere(
                 session, "WHERE function_id = ? AND number > ? ORDER BY number DESC LIMIT 1",
                 entry.function.id, 0))
            entry.versions.push_back(std::make_shared<const Version>(std::move(latest)));
    }
}

void writeFunction(Session& session, const Function& f, bool create, Int revision) {
    std::string id = f.id, name = f.name, key = nameKey(f.name), description = f.description,
                project = f.project;
    std::string createdBy = f.createdBy, labels = rows::encode(f.labels),
                settings = rows::encode(f.settings);
    std::string live = rows::encode(f.live);
    Int createdAt = f.createdAtMs, updatedAt = f.updatedAtMs, last = toInt(f.lastVersion);
    if (create) {
        session << "INSERT INTO function (id, name, name_key, description, labels, project, "
                   "created_by, created_at_ms,"
                   " updated_at_ms, revision, settings, last_version, live) VALUES "
                   "(?,?,?,?,?,?,?,?,?,?,?,?,?)",
            use(id), use(name), use(key), use(description), use(labels), use(project),
            use(createdBy), use(createdAt), use(updatedAt), use(revision), use(settings), use(last),
            use(live), now;
        return;
    }
    session << "UPDATE function SET name = ?, name_key = ?, description = ?, labels = ?, "
               "updated_at_ms = ?,"
               " revision = ?, settings = ?, last_version = ?, live = ? WHERE id = ?",
        use(name), use(key), use(description), use(labels), use(updatedAt), use(revision),
        use(settings), use(last), use(live), use(id), now;
}

// Gives the hash under which it is kept, once.
std::string writeContent(Session& session, const std::string& content) {
    std::string hash = sha256(content);
    if (content.empty()) {
        // Binding an empty blob gives NULL.
        session << "INSERT OR IGNORE INTO content (hash, bytes) VALUES (?, zeroblob(0))", use(hash),
            now;
        return hash;
    }
    Int known = 0;
    session << "SELECT count(*) FROM content WHERE hash = ?", into(known), use(hash), now;
    if (known != 0) return hash;
    Poco::Data::BLOB bytes;
    bytes.assignRaw(reinterpret_cast<const unsigned char*>(content.data()), content.size());
    session << "INSERT INTO content (hash, bytes) VALUES (?, ?)", use(hash), use(bytes), now;
    return hash;
}

std::string readContent(Session& session, std::string hash) {
    static const std::string emptyHash = sha256("");
    if (hash == emptyHash) return {};
    Poco::Data::BLOB bytes;
    Statement select(session);
    select << "SELECT bytes FROM content WHERE hash = ?", into(bytes), use(hash);
    if (select.execute() == 0)
        throw sqlite::CorruptImageException("the content of a source file is missing");
    return {reinterpret_cast<const char*>(bytes.rawContent()), bytes.size()};
}

std::vector<Lock> readLocks(Session& session, std::string functionId, Int number) {
    std::vector<std::string> names, madeFrom, hashes;
    std::vector<Int> times;
    session << "SELECT name, made_from, made_at_ms, hash FROM version_lock WHERE function_id = ? "
               "AND number = ? ORDER BY name",
        into(names), into(madeFrom), into(times), into(hashes), use(functionId), use(number), now;
    std::vector<Lock> locks;
    for (size_t i = 0; i < names.size(); ++i)
        locks.push_back({names[i], madeFrom[i], readContent(session, hashes[i]), times[i]});
    return locks;
}

void writeLocks(Session& session, const Version& version) {
    std::string id = version.functionId;
    Int number = toInt(version.number);
    for (const Lock& lock : version.locks) {
        std::string hash = writeContent(session, lock.content), name = lock.name;
        std::string madeFrom = lock.madeFrom;
        Int at = lock.madeAtMs;
        session << "INSERT OR REPLACE INTO version_lock (function_id, number, name, made_from, "
                   "made_at_ms, hash) VALUES (?,?,?,?,?,?)",
            use(id), use(number), use(name), use(madeFrom), use(at), use(hash), now;
    }
}

void writeSources(Session& session, const Version& version) {
    std::string id = version.functionId;
    Int number = toInt(version.number);
    for (const SourceFile& file : *version.sources) {
        std::string hash = writeContent(session, file.content), name = file.name;
        session
            << "INSERT OR IGNORE INTO source (function_id, number, name, hash) VALUES (?,?,?,?)",
            use(id), use(number), use(name), use(hash), now;
    }
}

void writeVersion(Session& session, const Version& v, const std::string& buildLog, Int revision) {
    std::string id = v.functionId, runtime = v.spec.runtime, alias = v.spec.runtimeAlias,
                handler = v.spec.handler;
    std::string environment = rows::encode(v.spec.environment), hash = v.sourcesHash, state,
                key = v.artifactKey;
    std::string network = rows::encodeNetwork(v.spec.network);
    std::string remarks = rows::encode(v.remarks), failure = rows::encode(v.failure),
                log = buildLog, by = v.createdBy;
    state = v.state == VersionState::ready      ? "ready"
            : v.state == VersionState::building ? "building"
                                                : "failed";
    std::string dependencies = rows::encode(v.spec.dependencies),
                dependenciesFile = v.spec.dependenciesFile;
    Int number = toInt(v.number), fromCode = v.spec.fromCode ? 1 : 0, at = v.createdAtMs;
    session << "INSERT INTO version (function_id, number, runtime, runtime_alias, handler, "
               "from_code, environment,"
               " network, sources_hash, state, artifact_key, remarks, failure, build_log, "
               "created_at_ms, created_by,"
               " revision, dependencies, dependencies_file) VALUES "
               "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (function_id, "
               "number) DO UPDATE SET"
               " state = excluded.state, artifact_key = excluded.artifact_key, remarks = "
               "excluded.remarks,"
               " failure = excluded.failure, build_log = excluded.build_log, revision = "
               "excluded.revision",
        use(id), use(number), use(runtime), use(alias), use(handler), use(fromCode),
        use(environment), use(network), use(hash), use(state), use(key), use(remarks), use(failure),
        use(log), use(at), use(by), use(revision), use(dependencies), use(dependenciesFile), now;
    if (v.sources) writeSources(session, v);
    writeLocks(session, v);
}

void writeAudit(Session& session, const Audit& a, std::string project, std::string id,
                std::string name, Int version, Int revision) {
    std::string principal = a.principal, action = a.action;
    Int at = a.atMs;
    session << "INSERT INTO audit (revision, at_ms, principal, project, action, function_id, "
               "function_name, version)"
               " VALUES (?,?,?,?,?,?,?,?)",
        use(revision), use(at), use(principal), use(project), use(action), use(id), use(name),
        use(version), now;
}

void dropUnused(Session& session, std::vector<std::string> hashes) {
    for (std::string& hash : hashes)
        session << "DELETE FROM content WHERE hash = ? AND NOT EXISTS (SELECT 1 FROM source WHERE "
                   "source.hash = content.hash) AND NOT EXISTS (SELECT 1 FROM version_lock WHERE "
                   "version_lock.hash = content.hash)",
            use(hash), now;
}

void dropVersion(Session& session, std::string id, Int number) {
    std::vector<std::string> hashes;
    session << "SELECT hash FROM source WHERE function_id = ? AND number = ? UNION SELECT hash "
               "FROM version_lock WHERE function_id = ? AND number = ?",
        into(hashes), use(id), use(number), use(id), use(number), now;
    session << "DELETE FROM version WHERE function_id = ? AND number = ?", use(id), use(number),
        now;
    dropUnused(session, std::move(hashes));
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
        // One second: for a file that cannot be opened Poco tries again for as long as this, by default a minute.
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
        addVersions(session, entries);
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
        writeFunction(session, function, change.create,
                      change.keepRevision ? toInt(function.revision) : revision);
        if (change.version) writeVersion(session, *change.version, change.buildLog, revision);
        for (const uint64_t number : change.dropVersions) dropVersion(session, id, toInt(number));
        writeAudit(session, change.audit, function.project, id, function.name,
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
        dropUnused(session, std::move(hashes));
        const Int revision = nextRevision(session);
        writeAudit(session, audit, projects.front(), id, names.front(), 0, revision);
        transaction.commit();
        return fromInt(revision);
    });
}

base::Result<std::vector<Version>> SqliteStore::versions(const std::string& functionId) {
    return guarded(state_->mutex, [&]() -> base::Result<std::vector<Version>> {
        return versionsWhere(state_->session,
                             "WHERE function_id = ? AND number > ? ORDER BY number DESC",
                             functionId, 0);
    });
}

base::Result<Version> SqliteStore::version(const std::string& functionId, uint64_t number) {
    return guarded(state_->mutex, [&]() -> base::Result<Version> {
        auto found = versionsWhere(state_->session, "WHERE function_id = ? AND number = ?",
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
            files->push_back({names[i], readContent(session, hashes[i])});
        return Sources(std::move(files));
    });
}

base::Result<std::vector<Lock>> SqliteStore::locks(const std::string& functionId,
                                                   uint64_t number) {
    return guarded(state_->mutex, [&]() -> base::Result<std::vector<Lock>> {
        return readLocks(state_->session, functionId, toInt(number));
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
        return readLocks(state_->session, ids.front(), numbers.front());
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
            Lock{wanted, from, readContent(session, hashes.front()), times.front()});
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
