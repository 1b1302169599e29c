// A request that is not let through: by the parser, a guard, the router or the server itself.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/failure.hpp"

namespace cf::http {

struct Refusal {
    int status = 400;
    base::Failure failure{};
    std::string
        headers{};  // whole lines with CRLF that belong to this answer, e.g. "Allow: GET\r\n"
};

struct Request;

// An application/problem+json document, and whole lines with CRLF for the answer that carries it.
struct Problem {
    std::string headers{};
    std::string document{};
};

// Turns a refusal into its document. `request` is what was understood of the request: its headers
// so far; nothing where not even its first line was, or there is none. Loop thread.
using ProblemWriter = std::function<Problem(const Refusal&, const Request& request)>;

// The document of RFC 9457 without a message catalogue: what is used when no ProblemWriter was
// given.
std::string plainProblem(const Refusal& refusal);

// "Not Found" for 404; "Unknown" for a status that no RFC names.
std::string_view reasonPhrase(int status);

}  // namespace cf::http
