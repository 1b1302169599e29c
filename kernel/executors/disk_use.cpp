#include "executors/disk_use.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace cf::executors {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto shortestPause = std::chrono::milliseconds(250);
constexpr int share = 20;  // looking takes at most this part of the time: 1/20

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
                bytes += static_cast<uint64_t>(info.st_blocks) * 512;
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
    exceeded_ = diskUse(folders) > limit_;
    const auto end = Clock::now();
    next_ = end + std::max<Clock::duration>(shortestPause, (end - begin) * share);
    return exceeded_;
}

}  // namespace cf::executors
