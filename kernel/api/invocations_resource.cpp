// Records of invocations and log lines of functions.
#include "api/resource.hpp"
#include "base/ulid.hpp"
#include "functions/json_text.hpp"

namespace cf::api {

namespace {

base::Failure noRecords() {
    return {.reason = "not_found",
            .detail = "this platform keeps no records of invocations",
            .hint = "set records.enabled=true and start the platform again"};
}

std::string arrayOf(const std::vector<std::string>& documents) {
    functions::JsonArray array;
    for (const auto& document : documents) array.raw(document);
    return array.done();
}

}  // namespace

Response readInvocation(const Call& call) {
    if (auto query = Query::read(call.request.query, {}); !query)
        return failed(call, query.failure());
    if (call.dependencies.records == nullptr) return failed(call, noRecords());
    auto record = call.dependencies.records->invocation(call.id);
    return record ? json(call, 200, std::move(*record)) : failed(call, record.failure());
}

Response listInvocations(const Call& call) {
    const auto query = Query::read(call.request.query, {"limit", "cursor"});
    if (!query) return failed(call, query.failure());
    const auto limit = query->number("limit", 100, 1, 1000);
    if (!limit) return failed(call, limit.failure());
    const std::string cursor = query->text("cursor");
    if (!cursor.empty() && !base::isUlid(cursor))
        return failed(call, {.reason = "invalid_query",
                             .detail = "\"cursor\" must be the next_cursor of the page before",
                             .hint = "leave it out to begin with the first page",
                             .observed = cursor.substr(0, 64)});
    const auto entry = call.dependencies.functions.find(call.id);
    if (!entry) return failed(call, entry.failure());
    if (call.dependencies.records == nullptr) return failed(call, noRecords());
    std::string next;
    const auto records = call.dependencies.records->invocations((*entry)->function.id, *limit,
                                                                cursor, next);
    if (!records) return failed(call, records.failure());
    functions::JsonObject body;
    body.raw("invocations", arrayOf(*records));
    if (next.empty())
        body.null("next_cursor");
    else
        body.text("next_cursor", next);
    return json(call, 200, body.done());
}

Response readLogs(const Call& call) {
    const auto query =
        Query::read(call.request.query, {"tail", "invocation_id", "request_id"}, {"follow"});
    if (!query) return failed(call, query.failure());
    if (query->has("follow") && query->text("follow") != "false")
        return failed(
            call,
            {.reason = "invalid_query",
             .detail = "following logs over HTTP is not available in this version of the platform",
             .hint =
                 "leave \"follow\" out and ask again, or use tail -f on the function's log file"});
    const auto tail = query->number("tail", 100, 1, 10'000);
    if (!tail) return failed(call, tail.failure());
    auto invocationId = query->filter("invocation_id");
    if (!invocationId) return failed(call, invocationId.failure());
    auto requestId = query->filter("request_id");
    if (!requestId) return failed(call, requestId.failure());
    const auto entry = call.dependencies.functions.find(call.id);
    if (!entry) return failed(call, entry.failure());
    if (call.dependencies.records == nullptr) return failed(call, noRecords());
    const auto lines =
        call.dependencies.records->logs(**entry, {.tail = *tail,
                                                  .invocationId = *std::move(invocationId),
                                                  .requestId = *std::move(requestId)});
    if (!lines) return failed(call, lines.failure());
    return json(call, 200, functions::JsonObject().raw("lines", arrayOf(*lines)).done());
}

}  // namespace cf::api
