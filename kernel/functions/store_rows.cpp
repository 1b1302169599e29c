#include "functions/store_rows.hpp"

#include <Poco/Data/LOB.h>
#include <Poco/Data/SQLite/SQLiteException.h>
#include <Poco/Data/Statement.h>

#include <algorithm>
#include <unordered_map>

#include "functions/artifacts.hpp"
#include "functions/row_codec.hpp"

namespace cf::functions::rows {

namespace sqlite = Poco::Data::SQLite;
using Poco::Data::Session;
using Poco::Data::Statement;
using namespace Poco::Data::Keywords;

namespace {

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
        version.spec.environment = decodeEnvironment(environment);
        version.spec.network = decodeNetwork(network);
        version.spec.dependencies = decodeTexts(dependencies);
        version.spec.dependenciesFile = dependenciesFile;
        version.sourcesHash = sourcesHash;
        version.state = state == "ready"      ? VersionState::ready
                        : state == "building" ? VersionState::building
                                              : VersionState::failed;
        version.artifactKey = artifactKey;
        version.remarks = decodeRemarks(remarks);
        version.failure = decodeFailure(failure);
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

}  // namespace

std::vector<Version> versionsWhere(Session& session, const std::string& condition,
                                   std::string functionId, Int number) {
    Statement select(session);
    select << versionColumns << condition, use(functionId), use(number);
    return readVersions(select);
}

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
    std::string createdBy = f.createdBy, labels = encode(f.labels), settings = encode(f.settings);
    std::string live = encode(f.live);
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

void writeVersion(Session& session, const Version& v, const std::string& buildLog, Int revision) {
    std::string id = v.functionId, runtime = v.spec.runtime, alias = v.spec.runtimeAlias,
                handler = v.spec.handler;
    std::string environment = encode(v.spec.environment), hash = v.sourcesHash, state,
                key = v.artifactKey;
    std::string network = encodeNetwork(v.spec.network);
    std::string remarks = encode(v.remarks), failure = encode(v.failure), log = buildLog,
                by = v.createdBy;
    state = v.state == VersionState::ready      ? "ready"
            : v.state == VersionState::building ? "building"
                                                : "failed";
    std::string dependencies = encode(v.spec.dependencies),
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
    constexpr Int kept = 100'000;
    Int oldest = revision - kept;
    session << "DELETE FROM audit WHERE revision <= ?", use(oldest), now;
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

}  // namespace cf::functions::rows
