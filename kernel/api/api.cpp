#include "api/api.hpp"

#include "api/problem.hpp"
#include "api/resource.hpp"
#include "api/routes.hpp"
#include "base/json.hpp"
#include "http/router.hpp"

namespace cf::api {

namespace {

// Routes that answer on the loop stand behind those of the table.
const http::RouteId invokeRoute = static_cast<http::RouteId>(routes().size());
const http::RouteId urlRoute = invokeRoute + 1;

void respond(http::Exchange& exchange, const base::Failure& failure,
             std::string_view moreHeaders = {}) {
    Response response = problem(failure, exchange.request());
    response.headers.append(moreHeaders);
    exchange.respond(response.status, response.headers, {response.body});
}

void refusePath(http::Exchange& exchange) {
    respond(exchange,
            {.reason = "not_found",
             .detail = "no such path: " + base::toValidUtf8(exchange.request().path.substr(0, 256)),
             .hint = "GET /api/openapi.yaml describes every path of this interface"});
}

}  // namespace

struct Api::State {
    base::EventLoop& loop;
    Dependencies dependencies;
    http::Router router{};
    http::RouteMatch match{};

    State(base::EventLoop& eventLoop, Dependencies given)
        : loop(eventLoop), dependencies(std::move(given)) {
        http::RouteId id = 0;
        for (const Route& route : routes()) router.add(route.method, route.pattern, id++);
        router.add("POST", "/api/v1/functions/{id}/invoke", invokeRoute);
        router.add("*", "/function/{name}{rest...}", urlRoute);
    }

    void refuse(const std::shared_ptr<http::Exchange>& exchange) {
        const auto& request = exchange->request();
        const auto& refusal = match.refusal();
        if (refusal.status != 404) return respond(*exchange, refusal.failure, refusal.headers);
        const bool page = (request.method == "GET" || request.method == "HEAD") &&
                          !request.path.starts_with("/api/") &&
                          !request.path.starts_with("/function/");
        if (page && dependencies.page) return dependencies.page(exchange);
        refusePath(*exchange);
    }
};

Api::Api(base::EventLoop& loop, Dependencies dependencies)
    : state_(std::make_shared<State>(loop, std::move(dependencies))) {}
Api::~Api() = default;

void Api::handle(std::shared_ptr<http::Exchange> exchange) {
    const http::Request& request = exchange->request();
    const Dependencies& dependencies = state_->dependencies;
    auto& match = state_->match;
    state_->router.match(request, match);
    using Kind = http::RouteMatch::Kind;
    if (match.kind() == Kind::refused) return state_->refuse(exchange);
    if (match.kind() == Kind::options)
        return exchange->respond(
            204, match.headers() + "X-Request-Id: " + requestIdOf(request) + "\r\n", {});
    if (match.id() == invokeRoute) {
        if (!dependencies.invoke) return refusePath(*exchange);
        return dependencies.invoke(std::move(exchange), match["id"]);
    }
    if (match.id() == urlRoute) {
        if (!dependencies.functionUrl) return refusePath(*exchange);
        return dependencies.functionUrl(std::move(exchange), match["name"], match["rest"]);
    }
    const auto& [method, pattern, resource, lane] = routes()[match.id()];
    if (lane == Lane::loop) {
        const Response answer = resource(Call{request, dependencies, state_->loop});
        return exchange->respond(answer.status, answer.headers, {answer.body});
    }
    std::shared_ptr<std::atomic<bool>> gone;
    if (lane == Lane::save) {
        gone = std::make_shared<std::atomic<bool>>(false);
        exchange->onClientGone([gone] { gone->store(true); });
        exchange->onInputEnd([gone] { gone->store(true); });
    }
    dependencies.pool.answer(state_->loop, exchange, lane,
                             [state = state_, &request, resource = resource, id = std::string(match["id"]),
                              item = std::string(match["item"]), gone = std::move(gone)] {
                                 return resource(Call{request, state->dependencies, state->loop, id, item, {}, gone});
                             });
}

}  // namespace cf::api
