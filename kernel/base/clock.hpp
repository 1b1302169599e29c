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

}  // namespace cf::base
