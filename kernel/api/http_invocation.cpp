#include "api/http_invocation.hpp"

#include <cstring>

#include "api/problem.hpp"
#include "base/clock.hpp"
#include "protocol/frame.hpp"

namespace cf::api {

namespace {

// A client that closes its side behind its request, as `nc` does, and waits, has done so by then; one that gives up does it later.
constexpr std::chrono::milliseconds closesBehindRequest{200};

// The caller's id when it is 1 to 128 characters of [A-Za-z0-9._:-]; empty otherwise.
std::string_view saneRequestId(std::string_view id) {
    if (id.size() > 128) return {};
    for (const char c : id) {
        const bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == ':' || c == '-';
        if (!ok) return {};
    }
    return id;
}

}  // namespace

base::ShortText<512> timingHeaders(const workers::Invocation& call, const workers::Outcome& outcome) {
    base::ShortText<512> headers;
    ((headers += "X-Invocation-Id: ") += call.idText()) += "\r\nX-Request-Id: ";
    (headers += call.requestId) += "\r\nX-Duration-Ms: ";
    appendMs(headers, outcome.run);
    appendMs(headers += "\r\nX-Queue-Ms: ", outcome.queued);
    if (outcome.cold) appendMs(headers += "\r\nX-Init-Ms: ", outcome.init);
    return headers += "\r\n";
}

HttpInvocation::HttpInvocation(const InvokeDependencies& dependencies, std::shared_ptr<http::Exchange> exchange, workers::TargetPtr function)
    : dependencies_(dependencies), exchange_(std::move(exchange)) {
    static thread_local base::UlidGenerator ids;
    static thread_local base::WallFromSteady wall;
    target = std::move(function);
    received = workers::Clock::now();
    ids.next(wall.unixMs(received), id);
    requestId = saneRequestId(exchange_->request().header("X-Request-Id"));
    if (requestId.empty()) requestId = idText();
}

void HttpInvocation::watchCaller() {
    // Safe without ownership: the exchange calls back before it was answered only, and finished() always answers.
    exchange_->onClientGone([this] { callerLeft(); });
    exchange_->onInputEnd([this] {
        const bool cancels = dependencies_.onDisconnect == OnDisconnect::cancel;
        if (cancels || workers::Clock::now() - received >= closesBehindRequest) callerLeft();
    });
}

void HttpInvocation::callerLeft() {
    abandoned = true;
    if (dependencies_.onDisconnect == OnDisconnect::cancel)
        dependencies_.dispatcher.cancel(*this);
    else
        dependencies_.dispatcher.withdraw(*this);
}

int HttpInvocation::respondProblem(const base::Failure& failure, const workers::Outcome& outcome, std::string_view moreHeaders) {
    auto response = problem(failure, ProblemContext{.instance = exchange_->request().path, .requestId = requestId, .invocationId = idText()});
    // problem() brings X-Request-Id itself.
    std::string headers(timingHeaders(*this, outcome).text());
    const size_t from = headers.find("X-Request-Id: ");
    headers.erase(from, headers.find("\r\n", from) + 2 - from);
    headers.append(moreHeaders);
    exchange_->respond(response.status, response.headers + headers, {response.body});
    return response.status;
}

const LiveFunction* findOrAnswer(const InvokeDependencies& dependencies, http::Exchange& exchange, std::string_view idOrName) {
    if (const LiveFunction* function = dependencies.live.find(idOrName)) {
        if (function->elsewhere == nullptr) return function;
        exchange.moveTo(*function->elsewhere);
        return nullptr;
    }
    base::Failure failure{.reason = "not_found",
                          .detail = "there is no function \"" + std::string(idOrName.substr(0, 128)) + "\"",
                          .hint = "GET /api/v1/functions lists the functions that exist"};
    if (dependencies.registry.find(idOrName))
        failure = {.reason = "function_not_ready",
                   .detail = "the function has no version that is ready to be called",
                   .hint = "look at its versions: one is still being built, or the last one failed"};
    const auto response = problem(failure, exchange.request());
    exchange.respond(response.status, response.headers, {response.body});
    return nullptr;
}

bool fitsOrAnswer(http::Exchange& exchange, size_t bytes, std::string_view moreHeaders) {
    if (bytes <= protocol::maxCall) return true;
    auto response = problem({.reason = "body_too_large",
                             .detail = "as an event for the function the request is too large",
                             .hint = "send less at once; control characters of a body take six bytes each in an event",
                             .limit = std::to_string(protocol::maxCall) + " bytes",
                             .observed = std::to_string(bytes) + " bytes"},
                            exchange.request());
    exchange.respond(response.status, response.headers.append(moreHeaders), {response.body});
    return false;
}

}  // namespace cf::api
