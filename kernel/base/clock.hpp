// Time for people: RFC 3339 text of the wall clock. Limits use std::chrono::steady_clock instead.
#pragma once

#include <chrono>
#include <string>

namespace cf::base {

using WallClock = std::chrono::system_clock;

// "2026-01-31T12:00:00.123Z", always UTC with milliseconds.
std::string rfc3339(WallClock::time_point time);
int64_t unixMs(WallClock::time_point time);
WallClock::time_point fromUnixMs(int64_t ms);

// The wall clock for whoever knows the steady one already: asks Linux once a second instead of for
// every call, so that it follows a clock that was set within a second. One thread.
class WallFromSteady {
public:
    // Milliseconds since 1970 at `now`, the steady clock's time of a moment ago.
    int64_t unixMs(std::chrono::steady_clock::time_point now) {
        if (now - asked_ >= std::chrono::seconds(1)) {
            asked_ = now;
            const auto wall = WallClock::now().time_since_epoch();
            ahead_ = std::chrono::duration_cast<std::chrono::nanoseconds>(wall) -
                     std::chrono::steady_clock::now().time_since_epoch();
        }
        return std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch() +
                                                                     ahead_)
            .count();
    }

private:
    std::chrono::steady_clock::time_point asked_{};
    std::chrono::nanoseconds ahead_{0};
};

}  // namespace cf::base
