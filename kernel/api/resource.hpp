// What all resources of the control plane share: what a request asks for and the shapes of answers.
// A resource is a function that runs on a control-plane thread, may wait for the disk, and returns
// its answer, or how it is given later.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "api/api.hpp"
#include "api/control.hpp"
#include "api/problem.hpp"
#include "base/failure.hpp"
#include "http/exchange.hpp"

namespace cf::api {

// One request to a resource. `id` and `item` are the decoded variable segments of its path.
struct Call {
    const http::Request& request;
    const Dependencies& dependencies;
    base::EventLoop& loop;  // of the request
    std::string id{};    // function id or name, or invocation id
    std::string item{};  // version number
    functions::Caller caller{};
    // Of saves: whether the client is gone by now, or may be.
    std::shared_ptr<const std::atomic<bool>> clientGone{};
};

// Parameters of a query string, decoded ('+' is a space, as HTML forms write it).
class Query {
public:
    // Failure invalid_query: one that is not in `known`, twice the same, or broken escapes. What is
    // `understood` besides, if only to say that it cannot be had, is not listed as known.
    static base::Result<Query> read(std::string_view query,
                                    std::initializer_list<std::string_view> known,
                                    std::initializer_list<std::string_view> understood = {});

    bool has(const std::string& name) const { return values_.contains(name); }
    std::string text(const std::string& name) const;
    // Empty when it is not there; failure invalid_query when it is there and says nothing, as from
    // a script whose variable is not set.
    base::Result<std::string> filter(const std::string& name) const;
    // Failure invalid_query when it is no whole number from `low` to `high`.
    base::Result<uint64_t> number(const std::string& name, uint64_t fallback, uint64_t low,
                                  uint64_t high) const;
    // Failure invalid_query when it is neither "true" nor "false".
    base::Result<bool> flag(const std::string& name, bool fallback) const;

private:
    std::unordered_map<std::string, std::string> values_;
};

// A JSON answer with X-Request-Id; not to be stored by caches.
Response json(const Call& call, int status, std::string body, std::string_view moreHeaders = {});
Response plain(const Call& call, std::string_view contentType, std::string body);
Response failed(const Call& call, const base::Failure& failure);

// What stands for a function as it is shown: its revision, and its state, which changes without a
// revision while a start builds it again. With the quotes.
std::string etagOf(const functions::FunctionEntry& entry);
// The revision that If-Match asks for: of several the one that the function has, `current` (0: there
// is no function). 0, which none has, when it is none of ours; nothing without a condition.
std::optional<uint64_t> ifMatch(const http::Request& request, uint64_t current);
// True when If-None-Match names `etag`, or anything ("*").
bool ifNoneMatch(const http::Request& request, std::string_view etag);
// True when If-None-Match asks for what does not exist yet ("*").
bool asksForNew(const http::Request& request);
// True when the Prefer header (RFC 7240) holds respond-async.
bool prefersAsync(const http::Request& request);

// functions_resource.cpp
Response listFunctions(const Call& call);
Response createFunction(const Call& call);
Response readFunction(const Call& call);
Response updateFunction(const Call& call);  // PUT and PATCH
Response putArchive(const Call& call);
Response deleteFunction(const Call& call);
// versions_resource.cpp
Response listVersions(const Call& call);
Response readVersion(const Call& call);
Response readBuildLog(const Call& call);
// invocations_resource.cpp
Response listInvocations(const Call& call);
Response readInvocation(const Call& call);
Response readLogs(const Call& call);
// health_resource.cpp
Response readHealth(const Call& call);
Response readReadiness(const Call& call);
// runtimes_resource.cpp
Response listRuntimes(const Call& call);
// openapi_resource.cpp
Response readOpenapi(const Call& call);

}  // namespace cf::api
