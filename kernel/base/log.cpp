#include "base/log.hpp"

#include <unistd.h>

#include <atomic>
#include <string>

#include "base/clock.hpp"

namespace cf::base {

namespace {

std::atomic<LogLevel> threshold{LogLevel::info};

const char* nameOf(LogLevel level) {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warning: return "warning";
        case LogLevel::error: return "error";
    }
    return "?";
}

}  // namespace

void setLogLevel(LogLevel level) { threshold = level; }

bool logs(LogLevel level) { return level >= threshold.load(std::memory_order_relaxed); }

void log(LogLevel level, std::string_view part, std::string_view message) {
    if (!logs(level)) return;
    static constexpr char hex[] = "0123456789abcdef";
    std::string line = rfc3339(WallClock::now());
    ((((line += ' ') += nameOf(level)) += ' ') += part) += ": ";
    for (const char c : message) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f) line += c;
        else ((line += "\\x") += hex[byte >> 4]) += hex[byte & 15];
    }
    line += '\n';
    [[maybe_unused]] const ssize_t put = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace cf::base
