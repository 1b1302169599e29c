// Who may call (stage "guard" and "authenticate"): pure functions over a request, each giving a
// refusal or nothing. They keep other web pages and DNS rebinding away from a platform that asks
// for no login on loopback, and strangers away from one that listens elsewhere. Any thread.
//
// Function URLs (/function/...) are public endpoints with CORS rules of their own: only the Host
// guard and no other holds for them. A change is any method but GET, HEAD and OPTIONS.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.hpp"
#include "http/refusal.hpp"

namespace cf::http {

using Sha256 = std::array<uint8_t, 32>;

struct GuardOptions {
    // Names and addresses that Host may hold, without port and in lower case; IPv6 in brackets.
    // "localhost", "127.0.0.1" and "[::1]" always may. With an empty list and anyHost every Host
    // may.
    std::vector<std::string> allowedHosts{};
    bool anyHost = false;
    // As above: hosts of function URLs, an origin of its own for browsers. Nothing else answers
    // there.
    std::vector<std::string> functionHosts{};
    // SHA-256 of the token that callers must show; without one nobody has to.
    std::optional<Sha256> token{};
};

// 421 unknown_host. A request without Host passes, which only HTTP/1.0 has: every browser sends
// one.
std::optional<Refusal> checkHost(const Request& request, const GuardOptions& options);
// 404 not_found: something else than a function URL at one of options.functionHosts, so that pages
// of functions have no part of the platform in their origin.
std::optional<Refusal> checkFunctionHost(const Request& request, const GuardOptions& options);
// 403 foreign_origin: a change that another site's page asks for. Our own page's Origin names what
// Host names.
std::optional<Refusal> checkOrigin(const Request& request);
// 415 unsupported_media_type: a change with a body that is not application/json, or is compressed.
std::optional<Refusal> checkContentType(const Request& request);
// 401 unauthorized with WWW-Authenticate. The web page's files and /api/health/ready need no token.
std::optional<Refusal> checkToken(const Request& request, const GuardOptions& options);

// All of them in this order.
std::optional<Refusal> checkAll(const Request& request, const GuardOptions& options);

bool isFunctionUrl(const Request& request);
// The request names one of `hosts`, which are as in GuardOptions.
bool isOneOf(const std::vector<std::string>& hosts, const Request& request);
// PUT of a function's archive: the one address of the API that takes other bodies than JSON.
bool isArchiveUpload(const Request& request);
Sha256 sha256(std::string_view text);

}  // namespace cf::http
