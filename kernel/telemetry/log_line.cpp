#include "telemetry/log_line.hpp"

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/printable.hpp"

namespace cf::telemetry {

namespace {

const char* nameOf(LogStream stream) {
    switch (stream) {
        case LogStream::output:
            return "stdout";
        case LogStream::errors:
            return "stderr";
        case LogStream::platform:
            return "platform";
    }
    return "platform";
}

// Takes the first word off `rest`.
std::string_view word(std::string_view& rest) {
    const size_t end = rest.find(' ');
    if (end == std::string_view::npos) return {};
    const std::string_view first = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return first;
}

}  // namespace

size_t logPieceSize(std::string_view text) {
    if (text.size() <= logLineLimit) return text.size();
    size_t size = logLineLimit;
    while (size > logLineLimit - 4 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80)
        --size;
    return size;
}

void appendLogLines(std::string& out, int64_t unixMs, std::string_view invocationId,
                    LogStream stream, std::string_view text) {
    std::string head = base::rfc3339(base::fromUnixMs(unixMs)) + ' ';
    ((head += invocationId.empty() ? "-" : invocationId) += ' ') += nameOf(stream);
    head += ' ';
    do {
        const size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        do {
            const std::string_view piece = line.substr(0, logPieceSize(line));
            ((out += head) += base::printable(piece)) += '\n';
            line.remove_prefix(piece.size());
        } while (!line.empty());
    } while (!text.empty());
}

std::optional<LogLine> parseLogLine(std::string_view line) {
    LogLine parsed;
    parsed.time = word(line);
    parsed.invocationId = word(line);
    parsed.stream = word(line);
    parsed.text = line;
    if (parsed.time.size() < 20 || parsed.invocationId.empty() || parsed.stream.empty())
        return std::nullopt;
    if (parsed.invocationId == "-") parsed.invocationId = {};
    return parsed;
}

std::string logLineJson(const LogLine& line) {
    std::string out = "{\"time\":";
    base::appendJsonString(out, line.time);
    base::appendJsonString(out += ",\"invocation_id\":", line.invocationId);
    base::appendJsonString(out += ",\"stream\":", line.stream);
    base::appendJsonString(out += ",\"text\":", line.text);
    return out += '}';
}

}  // namespace cf::telemetry
