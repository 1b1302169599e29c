#include "base/clock.hpp"

#include <cstdio>
#include <ctime>

namespace cf::base {

int64_t unixMs(WallClock::time_point time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallClock::time_point fromUnixMs(int64_t ms) { return WallClock::time_point{std::chrono::milliseconds{ms}}; }

std::string rfc3339(WallClock::time_point time) {
    const int64_t ms = unixMs(time);
    const int64_t rest = (ms % 1000 + 1000) % 1000;  // before 1970 too
    const std::time_t seconds = (ms - rest) / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[80];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                  parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, static_cast<int>(rest));
    return text;
}

}  // namespace cf::base
