// The platform's own log: one line an event on standard error, where a terminal or the service manager keeps it.
// Any thread. A line is written with one write(2); when nobody reads, lines are dropped rather than waited for.
#pragma once

#include <string_view>

namespace cf::base {

enum class LogLevel { debug, info, warning, error };

// Lines below `level` are not written. Ask before building an expensive line.
void setLogLevel(LogLevel level);
bool logs(LogLevel level);
// `part` is the folder's name ("workers"). Control characters are written as \xNN.
void log(LogLevel level, std::string_view part, std::string_view message);

inline void logDebug(std::string_view part, std::string_view message) { log(LogLevel::debug, part, message); }
inline void logInfo(std::string_view part, std::string_view message) { log(LogLevel::info, part, message); }
inline void logWarning(std::string_view part, std::string_view message) { log(LogLevel::warning, part, message); }
inline void logError(std::string_view part, std::string_view message) { log(LogLevel::error, part, message); }

}  // namespace cf::base
