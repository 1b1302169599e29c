#include "api/function_url.hpp"

#include <algorithm>

#include "api/function_url_event.hpp"
#include "api/problem.hpp"
#include "base/json.hpp"
#include "http/guards.hpp"

namespace cf::api {

namespace {

constexpr size_t smallEvent = 8 * 1024;   // counts as little as a request of that size
constexpr size_t largeEvent = 64 * 1024;  // worth giving back the pages of the body that it was made of

bool allows(const std::vector<std::string>& list, std::string_view value) {
    return list.empty() || std::find(list.begin(), list.end(), "*") != list.end() || std::find(list.begin(), list.end(), value) != list.end();
}

std::string joined(const std::vector<std::string>& list, std::string_view fallback) {
    if (list.empty()) return std::string(fallback);
    std::string out;
    for (const auto& item : list) (out += out.empty() ? "" : ", ") += item;
    return out;
}

// The lines of the CORS protocol (Fetch standard, section 3.2) for one request; empty when it does not apply.
std::string corsHeaders(const functions::HttpSettings& settings, const http::Request& request, bool preflight) {
    const std::string_view origin = request.header("Origin");
    if (!settings.cors || origin.empty() || !allows(settings.cors->origins, origin)) return {};
    const auto& cors = *settings.cors;
    const bool any = !cors.credentials && allows(cors.origins, "*");
    std::string out = "Access-Control-Allow-Origin: " + (any ? std::string("*") : std::string(origin)) + "\r\n";
    if (!any) out += "Vary: Origin\r\n";
    if (cors.credentials) out += "Access-Control-Allow-Credentials: true\r\n";
    if (preflight) {
        out += "Access-Control-Allow-Methods: " + joined(cors.methods, "GET, HEAD, POST, PUT, PATCH, DELETE") + "\r\n";
        const auto asked = request.header("Access-Control-Request-Headers");
        if (!cors.headers.empty() || !asked.empty()) out += "Access-Control-Allow-Headers: " + joined(cors.headers, asked) + "\r\n";
        out += "Access-Control-Max-Age: " + std::to_string(cors.maxAgeSeconds) + "\r\n";
    }
    return out;
}

class UrlCall final : public HttpInvocation {
public:
    UrlCall(const InvokeDependencies& dependencies, std::shared_ptr<http::Exchange> exchange, const LiveFunction& function, std::string made, std::string cors, Origin origin)
        : HttpInvocation(dependencies, std::move(exchange), function.target),
          event_(std::move(made)), cors_(std::move(cors)),
          corsBy_(function.http.cors ? CorsBy::platform : CorsBy::function), origin_(origin) {
        event = event_;
        if (event_.size() <= smallEvent) return;
        exchange_->holds(event_.capacity());
        if (event_.size() > largeEvent) exchange_->dropBody();
    }

    void finished(const workers::Outcome& outcome) override {
        const int status = answer(outcome);
        if (dependencies_.record) dependencies_.record(*this, outcome, "url", status);
    }

private:
    int answer(const workers::Outcome& outcome) {
        using Kind = workers::Outcome::Kind;
        if (outcome.kind == Kind::failure) return respondProblem(outcome.failure, outcome, cors_);
        if (outcome.kind == Kind::error)
            return respondProblem({.reason = "function_error",
                                   .detail = "the function ended with an exception",
                                   .hint = "its invocation record holds the error: GET /api/v1/invocations/" + std::string(idText())},
                                  outcome, cors_);
        auto response = urlResponse(outcome.document, corsBy_, origin_);
        if (!response) return respondProblem(response.failure(), outcome, cors_);
        response->headers.append(timingHeaders(*this, outcome).text()).append(cors_);
        exchange_->respond(response->status, response->headers, {response->body});
        return response->status;
    }

    std::string event_;
    std::string cors_;
    CorsBy corsBy_;
    Origin origin_;
};

}  // namespace

void FunctionUrl::handle(std::shared_ptr<http::Exchange> exchange, std::string_view name, std::string_view rest) {
    const LiveFunction* function = findOrAnswer(dependencies_, *exchange, name);
    if (function == nullptr) return;
    const auto& request = exchange->request();
    if (!function->http.enabled) {
        const auto response = problem({.reason = "not_found",
                                       .detail = "the function has no URL of its own",
                                       .hint = "enable it: PATCH the function with {\"http\":{\"enabled\":true}}"},
                                      request);
        return exchange->respond(response.status, response.headers, {response.body});
    }
    if (function->http.cors && request.method == "OPTIONS" && request.hasHeader("Access-Control-Request-Method"))
        return exchange->respond(204, corsHeaders(function->http, request, true) + "X-Request-Id: " + requestIdOf(request) + "\r\n", {});
    const auto origin = http::isOneOf(hosts_, request) ? Origin::own : Origin::shared;
    std::string event = urlEvent(request, rest), cors = corsHeaders(function->http, request, false);
    if (!fitsOrAnswer(*exchange, event.size(), cors)) return;
    auto call = std::make_unique<UrlCall>(dependencies_, std::move(exchange), *function, std::move(event), std::move(cors), origin);
    call->watchCaller();
    dependencies_.dispatcher.invoke(std::move(call));
}

}  // namespace cf::api
