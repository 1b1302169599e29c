#include "api/problem.hpp"

#include <algorithm>
#include <iterator>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/ulid.hpp"
#include "functions/document.hpp"
#include "functions/json_text.hpp"

namespace cf::api {

namespace {

struct Reason {
    std::string_view reason;
    int status;
    std::string_view title;
    int retryAfter = 0;  // seconds; 0: coming back later does not help
};

// Every reason that can reach a caller. Several may share a status; a reason has one.
constexpr Reason reasons[] = {
    // The request
    {"malformed_json", 400, "Malformed JSON"},
    {"json_too_deep", 400, "JSON is nested too deeply"},
    {"duplicate_key", 400, "Duplicate key"},
    {"unknown_field", 400, "Unknown field"},
    {"invalid_request", 400, "Invalid request"},
    {"invalid_query", 400, "Invalid query"},
    {"malformed_request", 400, "Malformed request"},
    {"malformed_path", 400, "Malformed path"},
    {"unauthorized", 401, "Not authorised"},
    {"foreign_origin", 403, "Request from another site"},
    {"cross_origin", 403, "Request from another site"},
    {"not_found", 404, "Not found"},
    {"method_not_allowed", 405, "Method not allowed"},
    {"request_timeout", 408, "Request took too long to arrive"},
    {"body_too_large", 413, "Body too large"},
    {"uri_too_long", 414, "Address too long"},
    {"unsupported_media_type", 415, "Unsupported media type"},
    {"expectation_failed", 417, "Expectation failed"},
    {"unknown_host", 421, "Unknown host"},
    {"misdirected_request", 421, "Unknown host"},
    {"headers_too_large", 431, "Headers too large"},
    {"method_not_implemented", 501, "Method not implemented"},
    {"version_not_supported", 505, "HTTP version not supported"},
    // Saving functions
    {"name_taken", 409, "Name is taken"},
    {"save_in_progress", 409, "Another save is running", 1},
    {"precondition_failed", 412, "Precondition failed"},
    {"invalid_function", 422, "Invalid function"},
    {"invalid_archive", 422, "Archive is refused"},
    {"unpacking_busy", 503, "Platform is busy", 5},
    {"build_failed", 422, "Function does not build or load"},
    {"build_timeout", 422, "Build took too long"},
    {"build_memory_exceeded", 422, "Build needs more memory"},
    {"build_disk_exceeded", 422, "Build needs more disk"},
    {"build_cancelled", 503, "Build was cancelled", 1},
    {"check_failed", 503, "Check could not be done", 1},
    {"runtime_unavailable", 422, "Runtime is not available"},
    {"executor_error", 500, "Executor failed"},
    {"disk_full", 507, "Disk is full"},
    {"store_failed", 500, "Database failed"},
    // Calling functions
    {"function_not_ready", 409, "Function is not ready", 1},
    {"not_ready", 409, "Function is not ready", 1},
    {"queue_full", 429, "Too many waiting calls", 1},
    {"queue_timeout", 503, "Waited too long for a worker", 1},
    {"platform_full", 503, "No worker is free", 1},
    {"client_gone", 499, "Caller is gone"},
    {"function_timeout", 504, "Function took too long"},
    {"init_timeout", 504, "Function took too long to load"},
    {"load_failed", 502, "Function cannot be loaded"},
    {"memory_exceeded", 502, "Function needs more memory"},
    {"worker_crashed", 502, "Worker crashed"},
    {"worker_lost", 502, "Worker was lost"},
    {"worker_not_started", 502, "Worker did not start"},
    {"worker_protocol_error", 502, "Worker broke the protocol"},
    {"start_failed", 502, "Worker did not start"},
    {"sandbox_failed", 502, "Sandbox failed"},
    {"response_too_large", 502, "Response too large"},
    {"invalid_response", 502, "Invalid response of the function"},
    {"function_error", 500, "Function failed"},
    // The platform
    {"control_busy", 503, "Platform is busy", 1},
    {"busy", 503, "Platform is busy", 1},
    {"starting", 503, "Platform is starting", 1},
    {"draining", 503, "Platform is stopping", 5},
    {"too_many_followers", 503, "Too many followers", 5},
    {"too_many_connections", 503, "Too many connections", 1},
    {"overloaded", 503, "Platform is overloaded", 1},
    {"internal_error", 500, "Internal error"},
};

const Reason& find(std::string_view reason) {
    static constexpr Reason unknown{"", 500, "Internal error"};
    const auto found = std::ranges::find(reasons, reason, &Reason::reason);
    return found == std::end(reasons) ? unknown : *found;
}

std::string errorsJson(const base::Failure& failure) {
    functions::JsonArray errors;
    for (const auto& field : failure.fields)
        errors.raw(functions::JsonObject()
                       .text("pointer", field.pointer)
                       .text("detail", field.detail)
                       .done());
    for (const auto& remark : failure.remarks) errors.raw(functions::remarkJson(remark));
    return errors.done();
}

bool isSaneId(std::string_view text) {
    const auto sane = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == ':' || c == '-';
    };
    return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, sane);
}

}  // namespace

int statusOf(std::string_view reason) { return find(reason).status; }
std::string_view titleOf(std::string_view reason) { return find(reason).title; }

std::string problemDocument(const base::Failure& failure, const ProblemContext& context) {
    const Reason& reason = find(failure.reason);
    functions::JsonObject document;
    // RFC 9457 section 4.2.1: without a page of its own a problem is "about:blank"; `reason` tells
    // them apart.
    document.text("type", "about:blank")
        .text("title", reason.title)
        .number("status", reason.status);
    document.text("detail",
                  failure.detail.empty() ? reason.title : std::string_view(failure.detail));
    if (!context.instance.empty()) document.text("instance", context.instance);
    document.text("reason", failure.reason);
    if (!context.invocationId.empty()) document.text("invocation_id", context.invocationId);
    if (!failure.fields.empty() || !failure.remarks.empty())
        document.raw("errors", errorsJson(failure));
    if (!failure.buildLog.empty()) document.text("build_log", failure.buildLog);
    if (!failure.limit.empty()) document.text("limit", failure.limit);
    if (!failure.observed.empty()) document.text("observed", failure.observed);
    if (!failure.hint.empty()) document.text("hint", failure.hint);
    return document.done();
}

Response problem(const base::Failure& failure, const ProblemContext& context) {
    const Reason& reason = find(failure.reason);
    Response response{.status = reason.status, .body = problemDocument(failure, context)};
    response.headers = "Content-Type: application/problem+json\r\nCache-Control: no-store\r\n";
    response.headers.append("X-Request-Id: ").append(context.requestId).append("\r\n");
    if (reason.retryAfter != 0)
        response.headers += "Retry-After: " + std::to_string(reason.retryAfter) + "\r\n";
    return response;
}

Response problem(const base::Failure& failure, const http::Request& request) {
    const std::string id = requestIdOf(request);
    return problem(failure, {.instance = request.path, .requestId = id});
}

std::string requestIdOf(const http::Request& request) {
    const std::string_view given = request.header("X-Request-Id");
    if (isSaneId(given)) return std::string(given);
    static thread_local base::UlidGenerator ids;
    return ids.next(base::unixMs(base::WallClock::now()));
}

}  // namespace cf::api
