// One line of a function's log: "<RFC 3339 time> <invocation id or -> <stream> <text>". Written and
// read back here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cf::telemetry {

enum class LogStream : uint8_t {
    output,    // "stdout"
    errors,    // "stderr"
    platform,  // "platform": a remark of the platform about the log itself
};

// Views into the text it was read from.
struct LogLine {
    std::string_view time{};
    std::string_view invocationId{};  // empty: printed outside of an invocation
    std::string_view stream{};
    std::string_view text{};
};

constexpr size_t logHeadBytes = 60;         // of what stands before the text, about
constexpr size_t logLineLimit = 16u << 10;  // bytes of text; longer lines are broken into several

// How much of `text`, which holds no line end, makes a line: at most the limit, not ending inside
// of a UTF-8 character.
size_t logPieceSize(std::string_view text);
// Appends `text` as one line for each of its lines, made printable: a stranger's text can neither
// forge a line nor move a terminal's cursor.
void appendLogLines(std::string& out, int64_t unixMs, std::string_view invocationId,
                    LogStream stream, std::string_view text);
// `line` comes without its line end. Nothing when it is no such line.
std::optional<LogLine> parseLogLine(std::string_view line);
std::string logLineJson(const LogLine& line);

}  // namespace cf::telemetry
