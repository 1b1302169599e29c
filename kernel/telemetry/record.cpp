#include "telemetry/record.hpp"

#include <cstdio>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/printable.hpp"

namespace cf::telemetry {

namespace {

void text(std::string& out, const char* key, std::string_view value) {
    ((out += '"') += key) += "\":";
    base::appendJsonString(out, value);
    out += ',';
}

void number(std::string& out, const char* key, double value) {
    char digits[64];
    std::snprintf(digits, sizeof digits, "\"%s\":%.2f,", key, value);
    out += digits;
}

double ms(std::chrono::microseconds time) { return static_cast<double>(time.count()) / 1000; }

// One item a line, as the function printed it.
void lines(std::string& out, std::string_view log, size_t dropped) {
    out += "\"logs\":[";
    bool first = true;
    const auto add = [&](std::string_view line) {
        if (!first) out += ',';
        first = false;
        base::appendJsonString(out, base::printable(line));
    };
    while (!log.empty()) {
        const size_t end = log.find('\n');
        std::string_view line = log.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        add(line);
        log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
    }
    if (dropped > 0)
        add("[cut: " + std::to_string(dropped) +
            " more bytes were printed; the function's log has them]");
    out += "],";
}

}  // namespace

std::string_view statusText(Status status) {
    switch (status) {
        case Status::success:
            return "success";
        case Status::error:
            return "error";
        case Status::failure:
            return "failure";
    }
    return "failure";
}

std::string recordJson(const InvocationRecord& record, std::string_view node, bool whole) {
    std::string out = "{";
    text(out, "invocation_id", record.invocationId);
    text(out, "request_id", record.requestId);
    text(out, "function_id", record.functionId);
    text(out, "function_name", record.functionName);
    out += "\"version\":" + std::to_string(record.version) + ',';
    text(out, "source", record.source);
    text(out, "status", statusText(record.status));
    if (record.httpStatus != 0) out += "\"status_code\":" + std::to_string(record.httpStatus) + ',';
    text(out, "started_at", base::rfc3339(base::fromUnixMs(record.receivedAtMs)));
    number(out, "duration_ms", ms(record.run));
    number(out, "queue_ms", ms(record.queued));
    number(out, "init_ms", ms(record.init));
    number(out, "memory_mb", static_cast<double>(record.memoryPeakBytes) / (1 << 20));
    out += record.cold ? "\"cold_start\":true," : "\"cold_start\":false,";
    if (record.status != Status::success) {
        out += "\"error\":{";
        if (!record.reason.empty()) text(out, "reason", record.reason);
        if (!record.errorType.empty()) text(out, "type", record.errorType);
        text(out, "message", record.errorMessage);
        out.back() = '}';
        out += ',';
    }
    if (whole) lines(out, record.log, record.logDropped);
    if (!node.empty()) text(out, "node", node);
    out.back() = '}';
    return out;
}

}  // namespace cf::telemetry
