// /api/v1/functions and /api/v1/functions/{id}.
#include "api/resource.hpp"
#include "base/json.hpp"
#include "functions/document.hpp"
#include "functions/json_text.hpp"

namespace cf::api {

namespace {

base::Result<functions::SaveRequest> readSave(const Call& call) {
    auto document = base::JsonDocument::parse(call.request.body);
    if (!document) return std::move(document).failure();
    auto patch = functions::readPatch(document->root(), call.dependencies.functions.limits());
    if (!patch) return std::move(patch).failure();
    return functions::SaveRequest{.patch = std::move(*patch),
                                  .caller = call.caller,
                                  .ifRevision = ifMatch(call.request),
                                  .async = prefersAsync(call.request)};
}

Response answer(const Call& call, const functions::Saved& saved) {
    const auto& function = saved.entry->function;
    const std::string address = "/api/v1/functions/" + function.id;
    std::string headers = etagLine(function.revision);
    int status = 200;
    if (saved.building != 0) {
        status = 202;
        headers += "Preference-Applied: respond-async\r\n";
        headers += "Location: " + address + "/versions/" + std::to_string(saved.building) + "\r\n";
    } else if (saved.created) {
        status = 201;
        headers += "Location: " + address + "\r\n";
    }
    return json(call, status, functions::functionDocument(*saved.entry, *saved.version), headers);
}

}  // namespace

Response listFunctions(const Call& call) {
    const auto query = Query::read(call.request.query, {"limit", "cursor", "runtime", "q"});
    if (!query) return failed(call, query.failure());
    const auto limit = query->number("limit", 100, 1, 1000);
    if (!limit) return failed(call, limit.failure());
    const auto page = call.dependencies.functions.list({.limit = *limit,
                                                        .cursor = query->text("cursor"),
                                                        .runtime = query->text("runtime"),
                                                        .query = query->text("q")});
    if (!page) return failed(call, page.failure());
    functions::JsonArray summaries;
    for (const auto& entry : page->functions) summaries.raw(functions::functionSummary(*entry));
    functions::JsonObject body;
    body.raw("functions", summaries.done());
    if (page->nextCursor.empty())
        body.null("next_cursor");
    else
        body.text("next_cursor", page->nextCursor);
    return json(call, 200, body.done());
}

Response createFunction(const Call& call) {
    auto request = readSave(call);
    if (!request) return failed(call, request.failure());
    const auto saved = call.dependencies.functions.create(std::move(*request));
    return saved ? answer(call, *saved) : failed(call, saved.failure());
}

Response readFunction(const Call& call) {
    const auto found = call.dependencies.functions.find(call.id);
    if (!found) return failed(call, found.failure());
    const uint64_t revision = (*found)->function.revision;
    if (ifNoneMatch(call.request, revision)) {
        Response unchanged = json(call, 304, {}, etagLine(revision));
        unchanged.headers.erase(0,
                                unchanged.headers.find("\r\n") + 2);  // no content, no Content-Type
        return unchanged;
    }
    const auto saved = call.dependencies.functions.read(call.id);
    return saved ? answer(call, *saved) : failed(call, saved.failure());
}

Response updateFunction(const Call& call) {
    auto request = readSave(call);
    if (!request) return failed(call, request.failure());
    const bool put = call.request.method == "PUT";
    if (put && ifNoneMatch(call.request, 0) && call.dependencies.functions.find(call.id))
        return failed(
            call,
            {.reason = "precondition_failed",
             .detail =
                 "the function exists already and the request asks for a new one (If-None-Match)",
             .hint = "leave If-None-Match out to update it"});
    if (put && call.request.hasHeader("If-Match") && !call.dependencies.functions.find(call.id))
        return failed(call, {.reason = "precondition_failed",
                             .detail = "the request asks for a function that exists (If-Match); "
                                       "there is none of this name",
                             .hint = "leave If-Match out to create it"});
    const auto saved = call.dependencies.functions.update(call.id, std::move(*request), put);
    return saved ? answer(call, *saved) : failed(call, saved.failure());
}

Response deleteFunction(const Call& call) {
    const auto removed =
        call.dependencies.functions.remove(call.id, call.caller, ifMatch(call.request));
    if (!removed) return failed(call, removed.failure());
    return {204, "X-Request-Id: " + requestIdOf(call.request) + "\r\n", {}};
}

}  // namespace cf::api
