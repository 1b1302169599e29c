// /api/v1/functions/{id}/versions and what is below it.
#include <algorithm>
#include <charconv>

#include "api/build_log_events.hpp"
#include "api/resource.hpp"
#include "functions/document.hpp"
#include "functions/json_text.hpp"

namespace cf::api {

namespace {

bool isLive(const functions::FunctionEntry& entry, uint64_t number) {
    return std::ranges::any_of(entry.function.live,
                               [&](const auto& share) { return share.version == number; });
}

// The number in the path; anything else is a version that does not exist.
base::Result<uint64_t> numberOf(const Call& call) {
    uint64_t number = 0;
    const char* end = call.item.data() + call.item.size();
    const auto [stop, error] = std::from_chars(call.item.data(), end, number);
    if (error == std::errc() && stop == end && number != 0) return number;
    return base::Failure{.reason = "not_found",
                         .detail = "there is no version \"" + call.item.substr(0, 32) + "\"",
                         .hint = "versions are numbered from 1; .../versions lists them"};
}

}  // namespace

Response listVersions(const Call& call) {
    const auto query = Query::read(call.request.query, {});
    if (!query) return failed(call, query.failure());
    const auto entry = call.dependencies.functions.find(call.id);
    if (!entry) return failed(call, entry.failure());
    const auto versions = call.dependencies.functions.versions(**entry);
    if (!versions) return failed(call, versions.failure());
    functions::JsonArray list;
    for (const auto& version : *versions)
        list.raw(functions::versionDocument(*version, isLive(**entry, version->number)));
    return json(call, 200, functions::JsonObject().raw("versions", list.done()).done());
}

Response readVersion(const Call& call) {
    const auto query = Query::read(call.request.query, {"files"});
    if (!query) return failed(call, query.failure());
    const auto files = query->flag("files", true);
    if (!files) return failed(call, files.failure());
    const auto entry = call.dependencies.functions.find(call.id);
    if (!entry) return failed(call, entry.failure());
    const auto number = numberOf(call);
    if (!number) return failed(call, number.failure());
    const auto version = call.dependencies.functions.version(**entry, *number);
    if (!version) return failed(call, version.failure());
    functions::Version shown = **version;
    if (!*files) shown.sources.reset();
    return json(call, 200, functions::versionDocument(shown, isLive(**entry, *number)));
}

namespace {

// Where a client that was cut off goes on: the id of the last event it has.
uint64_t resumeAt(const http::Request& request) {
    const std::string_view id = request.header("Last-Event-ID");
    uint64_t offset = 0;
    const auto [stop, error] = std::from_chars(id.data(), id.data() + id.size(), offset);
    return error == std::errc() && stop == id.data() + id.size() ? offset : 0;
}

Response follow(const Call& call, const functions::FunctionPtr& entry, uint64_t number) {
    // 204 tells an EventSource not to come back.
    if (call.request.header("Last-Event-ID") == endEventId)
        return {204, "X-Request-Id: " + requestIdOf(call.request) + "\r\n", {}};
    const auto log = call.dependencies.functions.readBuildLog(*entry, number, 0, 1);
    if (!log) return failed(call, log.failure());
    const auto follower = BuildLogFollower::make(call.loop, call.dependencies, entry, number,
                                                 resumeAt(call.request));
    if (follower == nullptr)
        return failed(call, {.reason = "too_many_followers",
                             .detail = "too many clients follow something already",
                             .hint = "leave \"follow\" out, or come back in a few seconds",
                             .limit = std::to_string(call.dependencies.followers->most) +
                                      " followers"});
    Response response = plain(call, "text/event-stream", {});
    // nginx gathers what it passes on, unless it is told not to.
    response.headers += "X-Accel-Buffering: no\r\n";
    response.answer = [follower, headers = response.headers](http::Exchange& exchange) {
        follower->start(exchange, headers);
    };
    return response;
}

}  // namespace

Response readBuildLog(const Call& call) {
    const auto query = Query::read(call.request.query, {"follow"});
    if (!query) return failed(call, query.failure());
    const auto following = query->flag("follow", false);
    if (!following) return failed(call, following.failure());
    const auto entry = call.dependencies.functions.find(call.id);
    if (!entry) return failed(call, entry.failure());
    const auto number = numberOf(call);
    if (!number) return failed(call, number.failure());
    if (*following) return follow(call, *entry, *number);
    auto log = call.dependencies.functions.buildLog(**entry, *number);
    if (!log) return failed(call, log.failure());
    return plain(call, "text/plain; charset=utf-8", std::move(*log));
}

}  // namespace cf::api
