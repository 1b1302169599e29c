// What is kept about one invocation. A plain value: filled on an event loop, written by the
// telemetry writer, read back by the API.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace cf::telemetry {

enum class Status : uint8_t {
    success,  // the handler's result went out
    error,    // the handler's own exception went out
    failure,  // the platform answered for it: timeout, crash, no room, ...
};

struct InvocationRecord {
    std::string invocationId{};  // ULID: orders records by time
    std::string requestId{};
    std::string functionId{};
    std::string functionName{};
    uint64_t version = 0;
    std::string source{};  // "http", "url", ...
    Status status = Status::success;
    int httpStatus = 0;       // 0 when the sink is no HTTP answer
    std::string reason{};     // of a failure, e.g. "function_timeout"
    std::string errorType{};  // of an exception, e.g. "ValueError"
    std::string errorMessage{};
    int64_t receivedAtMs = 0;  // wall clock, since 1970
    std::chrono::microseconds queued{0};
    std::chrono::microseconds init{0};
    std::chrono::microseconds run{0};
    uint64_t memoryPeakBytes = 0;
    bool cold = false;
    std::string log{};      // what it printed, cut at logLimit
    size_t logDropped = 0;  // bytes of it that were cut before

    static constexpr size_t logLimit = 16u << 10;
    static constexpr size_t messageLimit = 2048;
};

std::string_view statusText(Status status);  // "success", "error", "failure"

// The record as the API shows it. `node`: the machine that holds it; may be empty. With `whole`
// also what it printed.
std::string recordJson(const InvocationRecord& record, std::string_view node, bool whole);

}  // namespace cf::telemetry
