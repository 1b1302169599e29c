#include "functions/schema.hpp"

namespace cf::functions {

namespace {

constexpr const char* first[] = {
    "CREATE TABLE sequence (only INTEGER PRIMARY KEY CHECK (only = 1), revision INTEGER NOT NULL)",
    "INSERT INTO sequence VALUES (1, 0)",
    "CREATE TABLE function ("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL UNIQUE, description TEXT NOT "
    "NULL,"
    " labels TEXT NOT NULL, project TEXT NOT NULL, created_by TEXT NOT NULL, created_at_ms INTEGER "
    "NOT NULL,"
    " updated_at_ms INTEGER NOT NULL, revision INTEGER NOT NULL, settings TEXT NOT NULL,"
    " last_version INTEGER NOT NULL, live TEXT NOT NULL)",
    "CREATE INDEX function_revision ON function (revision)",
    "CREATE TABLE version ("
    " function_id TEXT NOT NULL REFERENCES function (id) ON DELETE CASCADE, number INTEGER NOT "
    "NULL,"
    " runtime TEXT NOT NULL, runtime_alias TEXT NOT NULL, handler TEXT NOT NULL, from_code INTEGER "
    "NOT NULL,"
    " environment TEXT NOT NULL, network TEXT NOT NULL, sources_hash TEXT NOT NULL, state TEXT NOT "
    "NULL,"
    " artifact_key TEXT NOT NULL, remarks TEXT NOT NULL, failure TEXT NOT NULL, build_log TEXT NOT "
    "NULL,"
    " created_at_ms INTEGER NOT NULL, created_by TEXT NOT NULL, revision INTEGER NOT NULL,"
    " PRIMARY KEY (function_id, number))",
    "CREATE INDEX version_state ON version (state)",
    // Sources are kept once, however many versions have them.
    "CREATE TABLE content (hash TEXT PRIMARY KEY, bytes BLOB NOT NULL)",
    "CREATE TABLE source ("
    " function_id TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,"
    " hash TEXT NOT NULL REFERENCES content (hash), PRIMARY KEY (function_id, number, name),"
    " FOREIGN KEY (function_id, number) REFERENCES version (function_id, number) ON DELETE "
    "CASCADE)",
    "CREATE INDEX source_hash ON source (hash)",
    // Says who changed what, and lets other nodes learn of deletions; has no reference, it outlives
    // its function.
    "CREATE TABLE audit ("
    " revision INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, principal TEXT NOT NULL, project TEXT "
    "NOT NULL,"
    " action TEXT NOT NULL, function_id TEXT NOT NULL, function_name TEXT NOT NULL, version "
    "INTEGER NOT NULL)",
};

// Dependencies: what the user asked for, and what a build made of it.
constexpr const char* second[] = {
    "ALTER TABLE version ADD COLUMN dependencies TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE version ADD COLUMN dependencies_file TEXT NOT NULL DEFAULT ''",
    "CREATE TABLE version_lock ("
    " function_id TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,"
    " made_from TEXT NOT NULL, made_at_ms INTEGER NOT NULL,"
    " hash TEXT NOT NULL REFERENCES content (hash), PRIMARY KEY (function_id, number, name),"
    " FOREIGN KEY (function_id, number) REFERENCES version (function_id, number) ON DELETE "
    "CASCADE)",
    "CREATE INDEX version_lock_hash ON version_lock (hash)",
    "CREATE INDEX version_sources_hash ON version (sources_hash)",
    "CREATE INDEX version_lock_made_from ON version_lock (made_from, name)",
};

constexpr std::span<const char* const> all[] = {first, second};

}  // namespace

std::span<const std::span<const char* const>> migrations() { return all; }

}  // namespace cf::functions
