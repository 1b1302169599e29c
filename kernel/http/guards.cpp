#include "http/guards.hpp"

#include <Poco/SHA2Engine.h>

#include <algorithm>

#include "http/ascii.hpp"
#include "http/field.hpp"

namespace cf::http {

namespace {

bool isChange(const Request& request) {
    return request.method != "GET" && request.method != "HEAD" && request.method != "OPTIONS";
}

Refusal refusal(int status, const char* reason, std::string detail, std::string hint) {
    return {.status = status,
            .failure = {.reason = reason, .detail = std::move(detail), .hint = std::move(hint)}};
}

// "name" of "name:8080", "[::1]" of "[::1]:8080".
std::string_view withoutPort(std::string_view host) {
    const size_t from = host.starts_with('[') ? host.find(']') : 0;
    return host.substr(0, std::min(host.find(':', from), host.size()));
}

// A file of the web page; its first segment is compared as sent, as the router does.
bool isPage(const Request& request) {
    if (request.method != "GET" && request.method != "HEAD") return false;
    const std::string_view first =
        request.path.substr(1, std::min(request.path.find('/', 1), request.path.size()) - 1);
    return first != "api" && first != "metrics" && first.find('%') == std::string_view::npos;
}

// What a body may be said to be.
bool isAccepted(const Request& request, std::string_view type) {
    if (!isArchiveUpload(request)) return equalsLower(type, "application/json");
    // None of them can be sent by a form of another site (the Fetch standard's safelist).
    constexpr std::string_view archives[] = {"application/zip",    "application/gzip",
                                             "application/x-gzip", "application/zstd",
                                             "application/x-tar",  "application/x-zip-compressed",
                                             "application/x-gtar", "application/octet-stream"};
    return std::any_of(std::begin(archives), std::end(archives),
                       [&](std::string_view known) { return equalsLower(type, known); });
}

// Archives say by their first bytes how they are packed.
std::optional<Refusal> checkEncoding(const Request& request, std::string_view coding) {
    if (coding.empty() || isArchiveUpload(request)) return {};
    Refusal refused =
        refusal(415, "unsupported_media_type",
                "the body is said to be encoded as \"" + std::string(coding.substr(0, 100)) +
                    "\" (Content-Encoding), which is not understood here",
                "send the JSON as it is, without Content-Encoding");
    refused.headers = "Accept-Encoding: identity\r\n";
    return refused;
}

bool equalInConstantTime(const Sha256& a, const Sha256& b) {
    uint8_t difference = 0;
    for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<uint8_t>(a[i] ^ b[i]);
    return difference == 0;
}

}  // namespace

bool isFunctionUrl(const Request& request) { return request.path.starts_with("/function/"); }

bool isArchiveUpload(const Request& request) {
    return request.method == "PUT" && request.path.starts_with("/api/v1/functions/") &&
           request.path.ends_with("/archive");
}

Sha256 sha256(std::string_view text) {
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    engine.update(text.data(), static_cast<unsigned>(text.size()));
    const auto& digest = engine.digest();
    Sha256 hash{};
    std::copy_n(digest.begin(), std::min(digest.size(), hash.size()), hash.begin());
    return hash;
}

bool isOneOf(const std::vector<std::string>& hosts, const Request& request) {
    if (hosts.empty()) return false;
    const std::string_view host = withoutPort(request.header("Host"));
    return std::any_of(hosts.begin(), hosts.end(),
                       [&](const std::string& known) { return equalsLower(host, known); });
}

std::optional<Refusal> checkHost(const Request& request, const GuardOptions& options) {
    if (options.anyHost && options.allowedHosts.empty()) return {};
    // HTTP/1.0 without Host, as probes of load balancers send it: what rebinds a name always says
    // it.
    if (!request.hasHeader("Host")) return {};
    const std::string_view host = withoutPort(request.header("Host"));
    for (const std::string_view own : {"localhost", "127.0.0.1", "[::1]"})
        if (equalsLower(host, own)) return {};
    if (isOneOf(options.allowedHosts, request) || isOneOf(options.functionHosts, request))
        return {};
    return refusal(
        421, "unknown_host",
        "this platform does not answer for the host \"" + std::string(host.substr(0, 255)) + "\"",
        "add the name to server.allowed_hosts if it is meant to");
}

std::optional<Refusal> checkFunctionHost(const Request& request, const GuardOptions& options) {
    if (isFunctionUrl(request) || !isOneOf(options.functionHosts, request)) return {};
    return refusal(404, "not_found", "this host serves functions and nothing else",
                   "call /function/{name}/ here, the API and the page at the platform's own name");
}

std::optional<Refusal> checkOrigin(const Request& request) {
    if (!isChange(request) || isFunctionUrl(request)) return {};
    const auto foreign = [] {
        return refusal(403, "foreign_origin", "a page of another site may not change anything here",
                       "call from the platform's own page, or from a program that sends no Origin");
    };
    for (const Header& field : request.headers) {
        if (equalsIgnoringCase(field.name, "Sec-Fetch-Site") &&
            equalsLower(field.value, "cross-site"))
            return foreign();
        if (!equalsIgnoringCase(field.name, "Origin")) continue;
        const size_t scheme = field.value.find("://");
        if (scheme == std::string_view::npos) return foreign();
        const std::string_view name = field.value.substr(0, scheme);
        if (!equalsLower(name, "http") && !equalsLower(name, "https")) return foreign();
        const std::string_view own = request.header("Host");
        if (own.empty() || !equalsIgnoringCase(field.value.substr(scheme + 3), own))
            return foreign();
    }
    return {};
}

std::optional<Refusal> checkContentType(const Request& request) {
    if (!isChange(request) || isFunctionUrl(request) || request.body.empty()) return {};
    size_t types = 0;
    std::string_view type, coding;
    for (const Header& field : request.headers)
        if (equalsIgnoringCase(field.name, "Content-Type") && ++types == 1)
            type = field.value;
        else if (equalsIgnoringCase(field.name, "Content-Encoding") &&
                 !equalsLower(trimmed(field.value), "identity"))
            coding = field.value;
    if (types == 1 && isAccepted(request, trimmed(type.substr(0, type.find(';')))))
        return checkEncoding(request, coding);
    return refusal(415, "unsupported_media_type",
                   types == 0  ? std::string("the request does not say what its body is")
                   : types > 1 ? std::string("the request says more than once what its body is")
                               : "the body is said to be \"" + std::string(type.substr(0, 100)) +
                                     "\", which is not understood here",
                   isArchiveUpload(request)
                       ? "send a zip or tar file with the header Content-Type: application/zip, "
                         "application/gzip or application/x-tar"
                       : "send JSON with the header Content-Type: application/json; an archive of "
                         "sources goes to PUT /api/v1/functions/{name}/archive");
}

std::optional<Refusal> checkToken(const Request& request, const GuardOptions& options) {
    if (!options.token || isFunctionUrl(request) || isPage(request) ||
        request.path == "/api/health/ready")
        return {};
    const std::string_view sent = request.header("Authorization");
    const size_t space = sent.find(' ');
    if (space != std::string_view::npos && equalsLower(sent.substr(0, space), "bearer") &&
        equalInConstantTime(sha256(trimmed(sent.substr(space + 1))), *options.token))
        return {};
    Refusal refused = refusal(401, "unauthorized",
                              sent.empty() ? "this platform asks for a token"
                                           : "the token is not the one that this platform knows",
                              "send the header Authorization: Bearer <token>; the token was "
                              "printed at the first start or stands in auth.token");
    refused.headers =
        sent.empty()
            ? "WWW-Authenticate: Bearer realm=\"cloudfunction\"\r\n"
            : "WWW-Authenticate: Bearer realm=\"cloudfunction\", error=\"invalid_token\"\r\n";
    return refused;
}

std::optional<Refusal> checkAll(const Request& request, const GuardOptions& options) {
    if (auto refused = checkHost(request, options)) return refused;
    if (auto refused = checkFunctionHost(request, options)) return refused;
    if (auto refused = checkOrigin(request)) return refused;
    if (auto refused = checkContentType(request)) return refused;
    return checkToken(request, options);
}

}  // namespace cf::http
