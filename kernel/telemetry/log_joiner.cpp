#include "telemetry/log_joiner.hpp"

#include <algorithm>

namespace cf::telemetry {

void LogJoiner::append(std::string& out, const Open& open) {
    appendLogLines(out, open.unixMs, open.invocationId, open.stream, open.text);
}

void LogJoiner::add(std::string& out, Clock::time_point now, int64_t unixMs,
                    std::string_view invocationId, LogStream stream, std::string_view text) {
    if (text.empty()) return;
    if (stream == LogStream::platform)
        return appendLogLines(out, unixMs, invocationId, stream, text);
    auto open = std::find_if(open_.begin(), open_.end(), [&](const Open& one) {
        return one.stream == stream && one.invocationId == invocationId;
    });
    if (open != open_.end()) {
        const size_t end = text.find('\n');
        open->text += text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (end != std::string_view::npos) {
            append(out, *open);
            open_.erase(open);
            open = open_.end();
        }
    }
    if (const size_t end = text.rfind('\n'); end != std::string_view::npos) {
        appendLogLines(out, unixMs, invocationId, stream, text.substr(0, end + 1));
        text.remove_prefix(end + 1);
    }
    if (!text.empty()) {
        if (open_.size() >= most) {
            append(out, open_.front());
            open_.erase(open_.begin());
        }
        open = open_.insert(open_.end(),
                            {now, unixMs, std::string(invocationId), stream, std::string(text)});
    }
    if (open == open_.end()) return;
    while (open->text.size() > logLineLimit) {
        const size_t size = logPieceSize(open->text);
        appendLogLines(out, open->unixMs, open->invocationId, open->stream,
                       std::string_view(open->text).substr(0, size));
        open->text.erase(0, size);
    }
}

void LogJoiner::finish(std::string& out, std::string_view invocationId) {
    std::erase_if(open_, [&](const Open& open) {
        const bool over = open.invocationId == invocationId;
        if (over) append(out, open);
        return over;
    });
}

void LogJoiner::expire(std::string& out, Clock::time_point until) {
    std::erase_if(open_, [&](const Open& open) {
        const bool over = open.since <= until;
        if (over) append(out, open);
        return over;
    });
}

std::string LogJoiner::peek() const {
    std::string out;
    for (const Open& open : open_) append(out, open);
    return out;
}

size_t LogJoiner::bytes() const {
    size_t sum = 0;
    for (const Open& open : open_) sum += open.text.size();
    return sum;
}

}  // namespace cf::telemetry
