// Failures as HTTP answers: RFC 9457 problem documents, and the one table that gives every reason
// its status.
#pragma once

#include <string>
#include <string_view>

#include "api/control.hpp"
#include "base/failure.hpp"
#include "http/exchange.hpp"

namespace cf::api {

// The status of a reason; 500 for one that nobody listed.
int statusOf(std::string_view reason);
// A few words, the same for every occurrence.
std::string_view titleOf(std::string_view reason);

// What surrounds a failure in one request.
struct ProblemContext {
    std::string_view instance{};  // the path that was asked for
    std::string_view requestId{};
    std::string_view invocationId{};  // empty outside of invocations
};

// The JSON document: type, title, status, detail, instance, reason, then what applies.
std::string problemDocument(const base::Failure& failure, const ProblemContext& context);
// Status, headers (Content-Type, X-Request-Id, Retry-After where it helps) and document.
Response problem(const base::Failure& failure, const ProblemContext& context);
// The same for the request of an exchange.
Response problem(const base::Failure& failure, const http::Request& request);

// The caller's X-Request-Id when it is 1 to 128 characters of [A-Za-z0-9._:-], else a new one.
std::string requestIdOf(const http::Request& request);

}  // namespace cf::api
