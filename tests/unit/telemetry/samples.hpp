// Records for tests.
#pragma once

#include <cstdio>
#include <string>

#include "base/clock.hpp"
#include "telemetry/record.hpp"

namespace cf::test {

// An id that sorts by `number`.
inline std::string sampleId(uint64_t number) {
    char text[27];
    std::snprintf(text, sizeof text, "01J%023llu", static_cast<unsigned long long>(number));
    return text;
}

inline telemetry::InvocationRecord sampleRecord(
    uint64_t number, telemetry::Status status = telemetry::Status::success,
    const std::string& functionId = "fn_a") {
    telemetry::InvocationRecord record;
    record.invocationId = sampleId(number);
    record.requestId = "request-" + std::to_string(number);
    record.functionId = functionId;
    record.functionName = "hello";
    record.version = 3;
    record.source = "http";
    record.status = status;
    record.httpStatus = status == telemetry::Status::failure ? 504 : 200;
    if (status == telemetry::Status::failure) record.reason = "function_timeout";
    if (status == telemetry::Status::error) record.errorType = "ValueError";
    if (status != telemetry::Status::success) record.errorMessage = "what went wrong";
    record.receivedAtMs = base::unixMs(base::WallClock::now());
    record.queued = std::chrono::microseconds(20);
    record.init = std::chrono::microseconds(30'000);
    record.run = std::chrono::microseconds(1920);
    record.memoryPeakBytes = 13u << 20;
    record.cold = true;
    return record;
}

}  // namespace cf::test
