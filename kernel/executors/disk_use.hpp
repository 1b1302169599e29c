// Watches how much room the folders of a build take: the launcher does so while a tool runs, which
// can keep folders to itself; this here, when it has ended and they belong to the platform again. A
// build that fills the disk would stop every other save of the platform. Files that have no name any
// more are in no folder: they are noticed by the room that they leave.
//
// Used by the thread that waits for a tool. Looking means walking all files, so the time between
// two looks grows with the time that one took.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace cf::executors {

// Bytes on disk of everything below these folders, 4096 of each entry at least, because empty ones
// use up a file system, too; what cannot be read counts as nothing.
uint64_t diskUse(const std::vector<std::string>& folders);

class DiskWatch {
public:
    // `limit` in bytes; 0: no limit.
    explicit DiskWatch(uint64_t limit) : limit_(limit) {}

    // True from the first look on that found more than the limit. Cheap between two looks.
    bool exceeded(const std::vector<std::string>& folders);
    // Looks now, whenever the last look was.
    bool look(const std::vector<std::string>& folders);
    // It was not the folders that were too large; the file system is almost full.
    bool almostFull() const { return almostFull_; }

private:
    uint64_t limit_;
    bool exceeded_ = false, almostFull_ = false;
    std::chrono::steady_clock::time_point next_{};
};

}  // namespace cf::executors
