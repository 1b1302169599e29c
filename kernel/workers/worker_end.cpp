#include "workers/worker_end.hpp"

#include <algorithm>
#include <cstring>

namespace cf::workers {

namespace {

std::string megabytes(uint64_t bytes) {
    const uint64_t tenths = bytes * 10 / (1u << 20);
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MB";
}

}  // namespace

void describeEnd(const Context& context, const TargetPtr& target, const sandbox::Ended& ended,
                 std::string_view lastErrors, WorkerEnd& end) {
    ExitWords words;
    if (context.options.explain && target)
        words = context.options.explain(*target, ended, lastErrors);
    if (!words.message.empty()) {
        end.detail = words.message;
        end.hint = words.hint;
    } else if (ended.signal != 0) {
        end.detail = "the worker was ended by signal " + std::to_string(ended.signal) + " (" +
                     ::strsignal(ended.signal) + ")";
    } else if (ended.exitCode >= 0) {
        end.detail =
            "the worker exited with code " + std::to_string(ended.exitCode) + " before it answered";
    }
    if (!lastErrors.empty() && words.message.empty()) {
        std::string_view tail =
            lastErrors.substr(lastErrors.size() > 400 ? lastErrors.size() - 400 : 0);
        end.detail += "; it last wrote: " + base::toValidUtf8(tail);
    }
}

base::Failure failureOfLoad(std::string_view errorDocument) {
    base::Failure failure{.reason = "load_failed", .detail = "the function could not be loaded"};
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    if (parser.parse(errorDocument.data(), errorDocument.size()).get(root)) return failure;
    const auto textOf = [&](const char* key) {
        std::string_view value;
        return root[key].get(value) ? std::string{} : std::string(value);
    };
    const auto numberOf = [&](const char* key) {
        uint64_t value = 0;
        return root[key].get(value) ? 0u
                                    : static_cast<uint32_t>(std::min<uint64_t>(value, UINT32_MAX));
    };
    const std::string type = textOf("type"), message = textOf("message");
    failure.detail =
        "the function could not be loaded: " + (type.empty() ? message : type + ": " + message);
    failure.hint = textOf("hint");
    base::SourceRemark remark{.file = textOf("file"),
                              .line = numberOf("line"),
                              .column = numberOf("column"),
                              .message = message};
    if (!remark.file.empty()) failure.remarks.push_back(std::move(remark));
    return failure;
}

base::Failure failureOf(const WorkerEnd& end, const Target& target,
                        std::chrono::milliseconds timeout) {
    using Cause = WorkerEnd::Cause;
    switch (end.cause) {
        case Cause::timedOut:
            return {.reason = "function_timeout",
                    .detail = "the function did not answer within its timeout",
                    .hint = "make it faster or raise timeout",
                    .limit = std::to_string(timeout.count()) + " ms",
                    .observed = "still running after " + std::to_string(timeout.count()) +
                                " ms; it was ended"};
        case Cause::outOfMemory:
            return {.reason = "memory_exceeded",
                    .detail = "the function used more memory than it may",
                    .hint = "raise memory, or use less of it",
                    .limit = std::to_string(target.memoryMb) + " MB",
                    .observed =
                        end.memoryPeakBytes == 0 ? "" : "peak " + megabytes(end.memoryPeakBytes)};
        case Cause::protocolError:
            return {.reason = "worker_protocol_error",
                    .detail = "the worker broke the protocol and was ended: " + end.detail,
                    .hint = "the code must not write to descriptor 3"};
        case Cause::responseTooLarge:
            return {.reason = "response_too_large",
                    .detail = end.detail,
                    .hint = "return less, or a reference to where the data is"};
        case Cause::loadTimedOut:
            return {.reason = "init_timeout",
                    .detail = "loading the function took too long",
                    .hint = "do less when the code is loaded, or raise init_timeout",
                    .limit = std::to_string(target.initTimeout.count()) + " ms"};
        case Cause::loadFailed:
            return failureOfLoad(end.loadError);
        case Cause::notStarted:
            return {.reason = "worker_not_started",
                    .detail = "no worker could be started: " + end.detail,
                    .hint = end.hint};
        case Cause::killed:
            return {.reason = "client_gone", .detail = end.detail};
        case Cause::crashed:
        case Cause::stopped:
            break;
    }
    return {.reason = "worker_crashed", .detail = end.detail, .hint = end.hint};
}

}  // namespace cf::workers
