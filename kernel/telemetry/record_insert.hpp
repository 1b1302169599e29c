// Puts records into the table of invocations. Through SQLite's own statement and not Poco::Data's,
// which takes four times as long for a row; every other statement of telemetry is rare and goes
// through Poco::Data. Used by RecordStore on the writer's thread only.
#pragma once

#include <Poco/Data/Session.h>

#include <string>

#include "telemetry/record.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace cf::telemetry {

class RecordInsert {
public:
    // The table with the columns of `columns`, in this order, must exist in `session`, which must
    // outlive this. Throws what Poco::Data throws.
    RecordInsert(const Poco::Data::Session& session, const std::string& columns);
    ~RecordInsert();
    RecordInsert(const RecordInsert&) = delete;
    RecordInsert& operator=(const RecordInsert&) = delete;

    // A record whose id is there already is left out. Throws what Poco::Data throws.
    void operator()(const InvocationRecord& record);

private:
    void bind(const std::string& text);
    void bind(int64_t number);

    sqlite3* database_;
    sqlite3_stmt* statement_ = nullptr;
    int column_ = 0;  // the one that was bound last
};

// Poco::Data reads a text up to its first NUL.
std::string withoutNul(const std::string& text);

}  // namespace cf::telemetry
