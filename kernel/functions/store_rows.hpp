// The rows of the platform's database: each function here reads or writes one table, or what
// belongs to one version. The caller holds the store's lock and, to write, has begun a transaction;
// failures are Poco's exceptions. Tables: schema.cpp.
#pragma once

#include <Poco/Data/Session.h>

#include <string>
#include <vector>

#include "functions/function.hpp"
#include "functions/registry.hpp"
#include "functions/store.hpp"

namespace cf::functions::rows {

using Int = Poco::Int64;  // what SQLite keeps

inline Int toInt(uint64_t value) { return static_cast<Int>(value); }
inline uint64_t fromInt(Int value) { return static_cast<uint64_t>(value); }

// Without sources, locks and build log. `condition` is SQL with two places: for the function's id
// and for a number.
std::vector<Version> versionsWhere(Poco::Data::Session& session, const std::string& condition,
                                   std::string functionId, Int number);
// Adds the live versions of every function, in the order of `live`; the newest one where none is
// live.
void addVersions(Poco::Data::Session& session, std::vector<FunctionEntry>& entries);
// The content that is kept under this hash.
std::string readContent(Poco::Data::Session& session, std::string hash);
std::vector<Lock> readLocks(Poco::Data::Session& session, std::string functionId, Int number);

void writeFunction(Poco::Data::Session& session, const Function& function, bool create,
                   Int revision);
// With its sources, where it has them, and its locks.
void writeVersion(Poco::Data::Session& session, const Version& version, const std::string& buildLog,
                  Int revision);
void writeAudit(Poco::Data::Session& session, const Audit& audit, std::string project,
                std::string id, std::string name, Int version, Int revision);
// Drops content that no source and no lock refers to any more.
void dropUnused(Poco::Data::Session& session, std::vector<std::string> hashes);
// With what only it refers to.
void dropVersion(Poco::Data::Session& session, std::string id, Int number);

}  // namespace cf::functions::rows
