// One log on disk with its rotated predecessors: <file>, <file>.1 (newest) to <file>.<n>. The
// active file keeps its inode - rotation copies it and cuts it to nothing - so that `tail -f` goes
// on. Callers see to it that one thread works on a file at a time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace cf::telemetry {

constexpr mode_t logFileMode = 0640;

struct LogRetention {
    uint64_t fileBytes = 10u << 20;  // of one file
    uint32_t files = 5;              // with the active one
    std::chrono::hours age{14 * 24};
};

// Appends whole lines, rotating where the next one does not fit. False with errno set: what is
// missing are lines from one on to the last.
bool appendToLog(const std::string& file, std::string_view lines, const LogRetention& retention);

// Deletes rotated files, and empties the active one, that were last written longer ago than the
// retention says; deletes rotated files beyond its number, which was larger once.
void expireLog(const std::string& file, const LogRetention& retention);

// <file>.<number>
std::string rotatedLog(const std::string& file, uint32_t number);

}  // namespace cf::telemetry
