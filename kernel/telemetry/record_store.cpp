#include "telemetry/record_store.hpp"

#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/SQLite/SQLiteException.h>
#include <Poco/Data/Session.h>
#include <Poco/Data/Statement.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/ulid.hpp"
#include "telemetry/record_insert.hpp"

namespace cf::telemetry {

namespace sqlite = Poco::Data::SQLite;
using Poco::Data::Session;
using Poco::Data::Statement;
using namespace Poco::Data::Keywords;
using Int = Poco::Int64;

namespace {

constexpr int schemaVersion = 1;
// A disk that damages one file after the other shall not be filled with them.
constexpr auto anewInterval = std::chrono::hours(1);
// What one trim does: some 20 ms, so that fresh records do not wait behind old ones. Each piece is
// a transaction that gives back about so many pages; the WAL grows to what one writes.
constexpr int trimPieces = 16;
constexpr Int trimPages = 64;
constexpr Int fewestRows = 8, mostRows = 1024;
constexpr Int vacuumPages = 1000;
// Rows at either end among which old ones are looked for.
constexpr const char* trimReach = "5000";
// Unused pages that stay in the file, for what comes next.
constexpr Int sparePages = 256;
constexpr uint64_t walBytes = 4u << 20;
constexpr const char* busyTimeout = "PRAGMA busy_timeout = 2000";
// Rows between two pauses of a write, some 10 us each.
constexpr size_t smallestPiece = 16;
constexpr size_t pausesAtMost = 64;

// Ids are time-ordered, so rows go to the end of both trees. What was printed lies apart: long rows
// make a tree slow.
constexpr const char* schema[] = {
    "CREATE TABLE invocation ("
    " invocation_id TEXT PRIMARY KEY, function_id TEXT NOT NULL, function_name TEXT NOT NULL, "
    "version INTEGER NOT NULL,"
    " request_id TEXT NOT NULL, source TEXT NOT NULL, status INTEGER NOT NULL, http_status INTEGER "
    "NOT NULL,"
    " reason TEXT NOT NULL, error_type TEXT NOT NULL, error_message TEXT NOT NULL, received_at_ms "
    "INTEGER NOT NULL,"
    " queue_us INTEGER NOT NULL, init_us INTEGER NOT NULL, run_us INTEGER NOT NULL, memory_bytes "
    "INTEGER NOT NULL,"
    " cold INTEGER NOT NULL, log_dropped INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX invocation_function ON invocation (function_id, invocation_id)",
    // Costs successes nothing and finds the rare failure among millions.
    "CREATE INDEX invocation_failed ON invocation (function_id, invocation_id) WHERE status <> 0",
    "CREATE TABLE printed (invocation_id TEXT PRIMARY KEY, log TEXT NOT NULL)",
};

// One row as Poco::Data reads it.
struct Row {
    std::string id{}, function{}, name{}, request{}, source{}, reason{}, type{}, message{};
    Int version = 0, status = 0, http = 0, received = 0, queue = 0, init = 0, run = 0, memory = 0,
        cold = 0, dropped = 0;
};

constexpr const char* columns =
    "invocation_id, function_id, function_name, version, request_id, source, status, http_status, "
    "reason, error_type,"
    " error_message, received_at_ms, queue_us, init_us, run_us, memory_bytes, cold, log_dropped";

InvocationRecord recordOf(const Row& row) {
    InvocationRecord record;
    record.invocationId = row.id;
    record.functionId = row.function;
    record.functionName = row.name;
    record.version = static_cast<uint64_t>(row.version);
    record.requestId = row.request;
    record.source = row.source;
    record.status = row.status == 0   ? Status::success
                    : row.status == 1 ? Status::error
                                      : Status::failure;
    record.httpStatus = static_cast<int>(row.http);
    record.reason = row.reason;
    record.errorType = row.type;
    record.errorMessage = row.message;
    record.receivedAtMs = row.received;
    record.queued = std::chrono::microseconds(row.queue);
    record.init = std::chrono::microseconds(row.init);
    record.run = std::chrono::microseconds(row.run);
    record.memoryPeakBytes = static_cast<uint64_t>(row.memory);
    record.cold = row.cold != 0;
    record.logDropped = static_cast<size_t>(row.dropped);
    return record;
}

void intoRow(Statement& select, Row& r) {
    select, into(r.id), into(r.function), into(r.name), into(r.version), into(r.request),
        into(r.source), into(r.status), into(r.http), into(r.reason), into(r.type), into(r.message),
        into(r.received), into(r.queue), into(r.init), into(r.run), into(r.memory), into(r.cold),
        into(r.dropped);
}

Int scalar(Session& session, const std::string& sql) {
    Int value = 0;
    session << sql, into(value), now;
    return value;
}

Session openSession(const std::string& file) {
    // One second: for a file that cannot be opened Poco tries again for as long as this, by default
    // a minute.
    Session session(sqlite::Connector::KEY, file, 1);
    session << busyTimeout, now;
    return session;
}

void prepareSchema(Session& session) {
    session << "PRAGMA auto_vacuum = INCREMENTAL", now;  // has an effect on an empty file only
    session << "PRAGMA journal_mode = WAL", now;
    session << "PRAGMA synchronous = NORMAL", now;
    // Some builds of SQLite fill deleted pages with zeros, which costs as much as writing them.
    session << "PRAGMA secure_delete = FAST", now;
    session << "PRAGMA journal_size_limit = " + std::to_string(walBytes), now;
    const Int version = scalar(session, "PRAGMA user_version");
    if (version == schemaVersion) return;
    if (version > schemaVersion)
        throw sqlite::CorruptImageException("it was written by a later release");
    session << "BEGIN IMMEDIATE", now;
    for (const char* statement : schema) session << statement, now;
    session << "PRAGMA user_version = " + std::to_string(schemaVersion), now;
    session << "COMMIT", now;
}

Session openWriter(const std::string& file) {
    Session session = openSession(file);
    prepareSchema(session);
    return session;
}

Session openReader(const std::string& file) {
    Session session = openSession(file);
    session << "PRAGMA wal_autocheckpoint = 0", now;
    session << "PRAGMA query_only = ON", now;
    return session;
}

void setAside(const std::string& file, const std::string& why) {
    const std::string aside =
        file + ".damaged-" + std::to_string(base::unixMs(base::WallClock::now()));
    std::rename(file.c_str(), aside.c_str());
    std::remove((file + "-wal").c_str());
    std::remove((file + "-shm").c_str());
    base::logWarning("telemetry", "the invocation records cannot be used (" + why +
                                      "); they were moved to " + aside + " and begin anew");
}

bool isDamage(const Poco::Exception& exception) {
    return dynamic_cast<const sqlite::CorruptImageException*>(&exception) != nullptr ||
           dynamic_cast<const sqlite::InvalidSQLStatementException*>(&exception) != nullptr ||
           exception.displayText().find("not a database") != std::string::npos;
}

// Opening a file takes some room beside it, where its last user crashed above all.
bool isFull(const std::string& file) {
    struct statvfs disk {};
    constexpr uint64_t least = 1u << 20;
    const std::string folder = std::filesystem::path(file).parent_path().string();
    return ::statvfs(folder.c_str(), &disk) == 0 && (disk.f_flag & ST_RDONLY) == 0 &&
           uint64_t{disk.f_bavail} * disk.f_frsize < least;
}

base::Failure failed(const Poco::Exception& exception) {
    return {.reason = "store_failed",
            .detail = "the invocation records cannot be read: " + exception.displayText()};
}

base::Failure unavailable() {
    return {.reason = "store_failed",
            .detail = "there are no invocation records at the moment",
            .hint = "the platform's log says why"};
}

}  // namespace

struct RecordStore::State {
    explicit State(const std::string& file)
        : writer(openWriter(file)),
          reader(openReader(file)),
          insert(writer, columns),
          insertPrinted(writer) {
        insertPrinted << "INSERT OR IGNORE INTO printed (invocation_id, log) VALUES (?,?)", use(id),
            use(printed);
    }

    Int usedPages() {
        return scalar(writer, "PRAGMA page_count") - scalar(writer, "PRAGMA freelist_count");
    }

    // Deletes up to so many records older than that, from one end of the ids; how many there were.
    // Ids and times have the same order, unless the clock was changed.
    Int cut(const std::string& order, Int olderThan, Int rows) {
        const std::string chosen =
            " WHERE invocation_id IN (SELECT invocation_id FROM (SELECT invocation_id, "
            "received_at_ms FROM invocation ORDER BY invocation_id " +
            order + " LIMIT " + trimReach + ") WHERE received_at_ms < ? LIMIT ?)";
        writer << "BEGIN IMMEDIATE", now;
        writer << "DELETE FROM printed" + chosen, use(olderThan), use(rows), now;
        Statement cut(writer);
        cut << "DELETE FROM invocation" + chosen, use(olderThan), use(rows);
        const auto gone = static_cast<Int>(cut.execute());
        writer << "COMMIT", now;
        return gone;
    }

    void rollBack() {
        try {
            writer << busyTimeout, now;  // a checkpoint may have failed without it
            writer << "ROLLBACK", now;
        } catch (const Poco::Exception&) {
            // SQLite has rolled back by itself (disk full, I/O error).
        }
    }

    Session writer;
    Session reader;
    std::string id{}, printed{};
    RecordInsert insert;
    Statement insertPrinted;
};

RecordStore::RecordStore(std::string file) : file_(std::move(file)) {}
RecordStore::~RecordStore() = default;

base::Result<std::unique_ptr<RecordStore>> RecordStore::open(const std::string& file) {
    sqlite::Connector::registerConnector();
    std::unique_ptr<RecordStore> store(new RecordStore(file));
    for (int attempt = 0;; ++attempt) {
        try {
            store->state_ = std::make_unique<State>(file);
            return store;
        } catch (const Poco::Exception& exception) {
            if (attempt == 0 && isDamage(exception)) {
                setAside(file, exception.displayText());
                continue;
            }
            if (isFull(file)) return store;
            return base::Failure{
                .reason = "store_failed",
                .detail = "the invocation records " + file +
                          " cannot be opened: " + exception.displayText(),
                .hint = "see that the folder exists and that this user may write there"};
        }
    }
}

void RecordStore::beginAnew(const std::string& why) {
    const auto moment = std::chrono::steady_clock::now();
    if (moment < nextAnew_) return;
    nextAnew_ = moment + anewInterval;
    const std::scoped_lock lock(readers_);
    state_.reset();
    setAside(file_, why);
}

base::Result<void> RecordStore::write(const std::vector<InvocationRecord>& records,
                                      const std::function<void()>& pause) {
    try {
        if (!state_) {
            auto opened = std::make_unique<State>(file_);
            const std::scoped_lock lock(readers_);
            state_ = std::move(opened);
        }
        State& s = *state_;
        const size_t piece = std::max(smallestPiece, records.size() / pausesAtMost + 1);
        s.writer << "BEGIN IMMEDIATE", now;
        // Writes a page though nothing changes; an empty transaction writes none.
        if (records.empty())
            s.writer << "PRAGMA user_version = " + std::to_string(schemaVersion), now;
        for (size_t i = 0; i < records.size(); ++i) {
            const InvocationRecord& record = records[i];
            if (i > 0 && i % piece == 0) pause();
            s.insert(record);
            if (record.log.empty()) continue;
            s.id = record.invocationId;
            s.printed = withoutNul(record.log);
            s.insertPrinted.execute();
        }
        s.writer << "COMMIT", now;
        return {};
    } catch (const Poco::Exception& exception) {
        if (state_) state_->rollBack();
        if (state_ && isDamage(exception)) beginAnew(exception.displayText());
        return base::Failure{.reason = "store_failed", .detail = exception.displayText()};
    }
}

bool RecordStore::trim(std::chrono::milliseconds age, uint64_t maxBytes) {
    if (!state_) return false;
    State& s = *state_;
    try {
        const Int oldest = base::unixMs(base::WallClock::now()) - age.count();
        const Int pageBytes = scalar(s.writer, "PRAGMA page_size");
        const Int most = static_cast<Int>(maxBytes) / pageBytes;
        const Int spare = std::min(sparePages, most / 16);
        bool more = true;
        Int rows = fewestRows;
        for (int piece = 0; more && piece < trimPieces; ++piece) {
            const Int used = s.usedPages();
            const bool tooLarge = used > most - spare;
            Int gone = s.cut("ASC", tooLarge ? INT64_MAX : oldest, rows);
            // Of a time when the clock was ahead.
            if (!tooLarge) gone = std::max(gone, s.cut("DESC", oldest, rows));
            more = gone == rows;
            rows = used - s.usedPages() < trimPages ? std::min(mostRows, rows * 2)
                                                    : std::max(fewestRows, rows / 2);
        }
        if (more) return true;
        const Int unused = scalar(s.writer, "PRAGMA freelist_count") - spare;
        if (unused > 0)
            s.writer << "PRAGMA incremental_vacuum(" +
                            std::to_string(std::min(unused, vacuumPages)) + ")",
                now;
        if (unused > vacuumPages) return true;
        // Only a checkpoint takes them from the files. It does not wait for others who read.
        const auto pages = static_cast<uint64_t>(scalar(s.writer, "PRAGMA page_count") * pageBytes);
        if (fileBytes("") > pages || fileBytes("-wal") > walBytes) {
            s.writer << "PRAGMA busy_timeout = 0", now;
            s.writer << "PRAGMA wal_checkpoint(TRUNCATE)", now;
            s.writer << busyTimeout, now;
        }
        return false;
    } catch (const Poco::Exception& exception) {
        s.rollBack();
        base::logWarning("telemetry",
                         "old invocation records could not be deleted: " + exception.displayText());
        return false;
    }
}

base::Result<std::vector<InvocationRecord>> RecordStore::list(const RecordQuery& query) {
    const std::scoped_lock lock(readers_);
    if (!state_) return unavailable();
    try {
        std::string function = query.functionId, before = query.before.empty() ? "~" : query.before;
        Int status = query.status ? static_cast<Int>(*query.status) : 0,
            most = static_cast<Int>(query.limit);
        std::string condition;
        // Worded so that SQLite sees that the index of failures fits.
        if (query.status)
            condition = *query.status == Status::success ? " AND status = ?"
                                                         : " AND status <> 0 AND status = ?";
        std::vector<InvocationRecord> records;
        Row row;
        Statement select(state_->reader);
        select << std::string("SELECT ") + columns +
                      " FROM invocation WHERE function_id = ? AND invocation_id < ?" + condition +
                      " ORDER BY invocation_id DESC LIMIT ?";
        intoRow(select, row);
        select, use(function), use(before);
        if (query.status) select, use(status);
        select, use(most), Poco::Data::Keywords::limit(1);
        while (!select.done())
            if (select.execute() > 0) records.push_back(recordOf(row));
        return records;
    } catch (const Poco::Exception& exception) {
        return failed(exception);
    }
}

base::Result<InvocationRecord> RecordStore::find(std::string_view invocationId) {
    const std::scoped_lock lock(readers_);
    if (!state_) return unavailable();
    try {
        std::string id(invocationId);
        Row row;
        Statement select(state_->reader);
        select << std::string("SELECT ") + columns + " FROM invocation WHERE invocation_id = ?";
        intoRow(select, row);
        select, use(id);
        if (select.execute() == 0)
            return base::Failure{.reason = "not_found",
                                 .detail = "there is no record of this invocation",
                                 .hint =
                                     "records are kept for a limited time, and only a sample of "
                                     "successes under high load"};
        InvocationRecord record = recordOf(row);
        state_->reader << "SELECT log FROM printed WHERE invocation_id = ?", into(record.log),
            use(id), now;
        return record;
    } catch (const Poco::Exception& exception) {
        return failed(exception);
    }
}

base::Result<std::vector<std::string>> RecordStore::withRequestId(const std::string& functionId,
                                                                  const std::string& requestId) {
    const std::scoped_lock lock(readers_);
    if (!state_) return unavailable();
    try {
        std::string function = functionId, request = requestId;
        std::vector<std::string> ids;
        state_->reader << "SELECT invocation_id FROM (SELECT invocation_id, request_id FROM "
                          "invocation WHERE function_id = ?"
                          " ORDER BY invocation_id DESC LIMIT 10000) WHERE request_id = ?",
            into(ids), use(function), use(request), now;
        return ids;
    } catch (const Poco::Exception& exception) {
        return failed(exception);
    }
}

uint64_t RecordStore::fileBytes(const char* suffix) const {
    struct stat info {};
    return ::stat((file_ + suffix).c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

uint64_t RecordStore::bytes() const { return fileBytes("") + fileBytes("-wal"); }

}  // namespace cf::telemetry
