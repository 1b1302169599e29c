// How much room a folder takes, for health: the answer is never waited for, so it is that of the last
// look. A look walks the folder, on whatever thread runs it, and the next one is not taken soon.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "executors/disk_use.hpp"

namespace cf::app {

class FolderUse {
public:
    // `run`: gives work to another thread, false when it does not take it.
    using Run = std::function<bool(std::function<void()>)>;

    explicit FolderUse(std::string folder) : folder_(std::move(folder)) {}

    // Any thread. Outlives what it gives to `run`.
    uint64_t bytes(const Run& run) {
        const std::lock_guard lock(mutex_);
        const auto now = std::chrono::steady_clock::now();
        if (!looking_ && now >= next_) looking_ = run([this] { look(); });
        return bytes_;
    }

private:
    void look() {
        const auto begin = std::chrono::steady_clock::now();
        const uint64_t bytes = executors::diskUse({folder_});
        const std::lock_guard lock(mutex_);
        bytes_ = bytes;
        looking_ = false;
        const auto end = std::chrono::steady_clock::now();
        next_ = end + std::max<std::chrono::steady_clock::duration>(std::chrono::seconds(1), 50 * (end - begin));
    }

    const std::string folder_;
    std::mutex mutex_;
    uint64_t bytes_ = 0;
    bool looking_ = false;
    std::chrono::steady_clock::time_point next_{};
};

}  // namespace cf::app
