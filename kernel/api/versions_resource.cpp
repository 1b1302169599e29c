// /api/v1/functions/{id}/versions and what is below it.
#include <algorithm>
#include <charconv>

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
    const auto entry = call.dependencies.functions.find(call.id);
    if (!entry) return failed(call, entry.failure());
    const auto number = numberOf(call);
    if (!number) return failed(call, number.failure());
    const auto version = call.dependencies.functions.version(**entry, *number);
    if (!version) return failed(call, version.failure());
    return json(call, 200, functions::versionDocument(**version, isLive(**entry, *number)));
}

Response readBuildLog(const Call& call) {
    const auto query = Query::read(call.request.query, {"follow"});
    if (!query) return failed(call, query.failure());
    if (query->has("follow") && query->text("follow") != "false")
        return failed(
            call,
            {.reason = "invalid_query",
             .detail = "following a build log is not available in this version of the platform",
             .hint = "leave \"follow\" out and ask again while the version is building"});
    const auto entry = call.dependencies.functions.find(call.id);
    if (!entry) return failed(call, entry.failure());
    const auto number = numberOf(call);
    if (!number) return failed(call, number.failure());
    auto log = call.dependencies.functions.buildLog(**entry, *number);
    if (!log) return failed(call, log.failure());
    return plain(call, "text/plain; charset=utf-8", std::move(*log));
}

}  // namespace cf::api
