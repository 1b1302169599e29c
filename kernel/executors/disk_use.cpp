#include "executors/disk_use.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace cf::executors {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto shortestPause = std::chrono::milliseconds(250);
constexpr int share = 20;  // looking takes at most this part of the time: 1/20
// What an entry counts at least: empty files use up the numbers that a file system has for them.
constexpr uint64_t entryBytes = 4096;
// What has to stay free where a build writes, however little of it is found in its folders. Below
// that, nothing is saved either.
constexpr double keptFree = 0.05;

bool isAlmostFull(const std::vector<std::string>& folders) {
    return std::any_of(folders.begin(), folders.end(), [](const std::string& folder) {
        struct statvfs disk {};
        if (::statvfs(folder.c_str(), &disk) != 0 || disk.f_blocks == 0) return false;
        const auto isShort = [](auto left, auto all) {
            return all != 0 && static_cast<double>(left) < keptFree * static_cast<double>(all);
        };
        return isShort(disk.f_bavail, disk.f_blocks) || isShort(disk.f_favail, disk.f_files);
    });
}

}  // namespace

uint64_t diskUse(const std::vector<std::string>& folders) {
    uint64_t bytes = 0;
    for (const std::string& folder : folders) {
        std::error_code error;
        fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied,
                                            error);
        // Files come and go while a tool runs: an error ends one step, not the sum.
        for (const fs::recursive_directory_iterator end; at != end; at.increment(error)) {
            struct stat info {};
            if (::lstat(at->path().c_str(), &info) == 0)
                bytes += std::max(entryBytes, static_cast<uint64_t>(info.st_blocks) * 512);
        }
    }
    return bytes;
}

bool DiskWatch::exceeded(const std::vector<std::string>& folders) {
    if (limit_ == 0 || exceeded_ || Clock::now() < next_) return exceeded_;
    return look(folders);
}

bool DiskWatch::look(const std::vector<std::string>& folders) {
    if (limit_ == 0 || exceeded_) return exceeded_;
    const auto begin = Clock::now();
    almostFull_ = isAlmostFull(folders);
    exceeded_ = almostFull_ || diskUse(folders) > limit_;
    const auto end = Clock::now();
    next_ = end + std::max<Clock::duration>(shortestPause, (end - begin) * share);
    return exceeded_;
}

}  // namespace cf::executors
