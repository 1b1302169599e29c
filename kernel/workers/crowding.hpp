// How many processes want each core right now. On a crowded machine a call takes long although its
// worker does nothing but wait for its turn on a core: a pool that took it for stuck would start
// another worker, which makes the crowd larger, or take back what is about to begin.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/unique_fd.hpp"

namespace cf::workers {

// Loop thread only. Asked when a worker has been silent for some milliseconds, and for calls that are
// sent ahead; Linux is asked at most once in `fresh`.
class Crowding {
public:
    using Clock = std::chrono::steady_clock;

    explicit Crowding(uint32_t cores);

    // At least 1, at most `most`; 1 where Linux does not tell. What it says is up to `fresh` old.
    double perCore(Clock::time_point now);
    // The same of the text of /proc/loadavg, "0.20 0.18 0.12 3/80 11206" (proc(5)).
    static double perCore(const char* loadavg, uint32_t cores);

    static constexpr double most = 20;
    static constexpr std::chrono::milliseconds fresh{2};

private:
    base::UniqueFd file_;  // /proc/loadavg; its fourth field counts who runs or could
    uint32_t cores_;
    double perCore_ = 1;
    Clock::time_point asked_{};
};

}  // namespace cf::workers
