#include "telemetry/record_insert.hpp"

#include <Poco/Data/SQLite/Utility.h>
#include <sqlite3.h>

namespace cf::telemetry {

using Poco::Data::SQLite::Utility;

std::string withoutNul(const std::string& text) {
    if (text.find('\0') == std::string::npos) return text;
    std::string out;
    for (const char c : text)
        if (c == '\0')
            out += "\xEF\xBF\xBD";
        else
            out += c;
    return out;
}

RecordInsert::RecordInsert(const Poco::Data::Session& session, const std::string& columns)
    : database_(Utility::dbHandle(session)) {
    std::string marks = "?";
    for (const char c : columns)
        if (c == ',') marks += ",?";
    const std::string sql =
        "INSERT OR IGNORE INTO invocation (" + columns + ") VALUES (" + marks + ")";
    const int status = ::sqlite3_prepare_v2(database_, sql.data(), static_cast<int>(sql.size()),
                                            &statement_, nullptr);
    if (status != SQLITE_OK) Utility::throwException(database_, status, sql);
}

RecordInsert::~RecordInsert() { ::sqlite3_finalize(statement_); }

void RecordInsert::bind(const std::string& text) {
    // Not copied by SQLite: the record lives until the step is over.
    const bool hasNul = text.find('\0') != std::string::npos;
    const std::string mended = hasNul ? withoutNul(text) : std::string();
    const std::string& shown = hasNul ? mended : text;
    ::sqlite3_bind_text(statement_, ++column_, shown.data(), static_cast<int>(shown.size()),
                        hasNul ? SQLITE_TRANSIENT : SQLITE_STATIC);
}

void RecordInsert::bind(int64_t number) { ::sqlite3_bind_int64(statement_, ++column_, number); }

void RecordInsert::operator()(const InvocationRecord& record) {
    column_ = 0;
    bind(record.invocationId);
    bind(record.functionId);
    bind(record.functionName);
    bind(static_cast<int64_t>(record.version));
    bind(record.requestId);
    bind(record.source);
    bind(static_cast<int64_t>(record.status));
    bind(int64_t{record.httpStatus});
    bind(record.reason);
    bind(record.errorType);
    bind(record.errorMessage);
    bind(record.receivedAtMs);
    bind(int64_t{record.queued.count()});
    bind(int64_t{record.init.count()});
    bind(int64_t{record.run.count()});
    bind(static_cast<int64_t>(record.memoryPeakBytes));
    bind(int64_t{record.cold});
    bind(static_cast<int64_t>(record.logDropped));
    const int status = ::sqlite3_step(statement_);
    ::sqlite3_reset(statement_);
    if (status != SQLITE_DONE) Utility::throwException(database_, status);
}

}  // namespace cf::telemetry
