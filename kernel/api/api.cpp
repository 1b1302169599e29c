#include "api/api.hpp"

#include "api/problem.hpp"
#include "api/resource.hpp"
#include "api/routes.hpp"
#include "base/json.hpp"
#include "http/percent.hpp"

namespace cf::api {

struct Api::State {
    base::EventLoop& loop;
    Dependencies dependencies;
};

namespace {

constexpr std::string_view functionsPrefix = "/api/v1/functions/";
constexpr std::string_view invokeSuffix = "/invoke";
constexpr std::string_view urlPrefix = "/function/";

void respond(http::Exchange& exchange, const base::Failure& failure, std::string_view moreHeaders = {}) {
    Response response = problem(failure, exchange.request());
    response.headers.append(moreHeaders);
    exchange.respond(response.status, response.headers, {response.body});
}

void refuseMethod(http::Exchange& exchange, const std::string& allow) {
    const auto& request = exchange.request();
    if (request.method == "OPTIONS")
        return exchange.respond(204, "Allow: " + allow + "\r\nX-Request-Id: " + requestIdOf(request) + "\r\n", {});
    respond(exchange,
            {.reason = "method_not_allowed",
             .detail = "this address does not take " + base::toValidUtf8(request.method.substr(0, 32)),
             .hint = "it takes " + allow},
            "Allow: " + allow + "\r\n");
}

void refusePath(http::Exchange& exchange) {
    respond(exchange, {.reason = "not_found",
                       .detail = "no such path",
                       .hint = "GET /api/openapi.yaml describes every path of this interface"});
}

// `text` itself, or what it stands for decoded into `room`; nothing when it cannot be decoded.
std::optional<std::string_view> decoded(std::string_view text, std::string& room) {
    if (text.find('%') == text.npos) return text;
    if (!http::percentDecode(text, room)) return std::nullopt;
    return room;
}

}  // namespace

Api::Api(base::EventLoop& loop, Dependencies dependencies)
    : state_(std::make_shared<State>(State{loop, std::move(dependencies)})) {}
Api::~Api() = default;

void Api::handle(std::shared_ptr<http::Exchange> exchange) {
    const http::Request& request = exchange->request();
    const std::string_view path = request.path;
    const Dependencies& dependencies = state_->dependencies;
    std::string room;

    // The hot path comes first and looks at nothing it does not need.
    if (path.starts_with(functionsPrefix) && path.ends_with(invokeSuffix) &&
        path.size() > functionsPrefix.size() + invokeSuffix.size()) {
        const auto name = path.substr(functionsPrefix.size(), path.size() - functionsPrefix.size() - invokeSuffix.size());
        if (name.find('/') == name.npos) {
            if (request.method != "POST") return refuseMethod(*exchange, "POST, OPTIONS");
            const auto id = decoded(name, room);
            if (!id || !dependencies.invoke) return refusePath(*exchange);
            return dependencies.invoke(std::move(exchange), *id);
        }
    }
    if (path.starts_with(urlPrefix)) {
        const std::string_view rest = path.substr(urlPrefix.size());
        const size_t slash = std::min(rest.find('/'), rest.size());
        const auto name = decoded(rest.substr(0, slash), room);
        if (!name || name->empty() || !dependencies.functionUrl) return refusePath(*exchange);
        return dependencies.functionUrl(std::move(exchange), *name, rest.substr(slash));
    }

    auto match = matchRoute(path);
    if (match.route == nullptr) {
        const bool page = (request.method == "GET" || request.method == "HEAD") && !path.starts_with("/api/") && path != "/api";
        if (page && dependencies.page) return dependencies.page(std::move(exchange));
        return refusePath(*exchange);
    }
    const ResourceFunction resource = match.route->find(request.method);
    if (resource == nullptr) return refuseMethod(*exchange, match.route->allow());
    dependencies.pool.answer(state_->loop, exchange, [state = state_, exchange, resource, found = std::move(match)] {
        return resource(Call{exchange->request(), state->dependencies, found.id, found.item});
    });
}

}  // namespace cf::api
