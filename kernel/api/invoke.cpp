#include "api/invoke.hpp"

#include "api/problem.hpp"

namespace cf::api {

namespace {

class InvokeCall final : public HttpInvocation {
public:
    using HttpInvocation::HttpInvocation;

    void finished(const workers::Outcome& outcome) override {
        using Kind = workers::Outcome::Kind;
        int status = 200;
        if (outcome.kind == Kind::failure) {
            status = respondProblem(outcome.failure, outcome);
        } else {
            const bool isError = outcome.kind == Kind::error;
            auto headers = timingHeaders(*this, outcome);
            headers += isError ? "Content-Type: application/json\r\nX-Function-Error: Unhandled\r\n" : "Content-Type: application/json\r\n";
            base::ShortText<256> front;
            ((front += "{\"invocation_id\":\"") += idText()) += "\",\"request_id\":\"";
            (front += requestId) += isError ? "\",\"status\":\"error\",\"error\":" : "\",\"status\":\"success\",\"result\":";
            base::ShortText<192> back;
            appendMs(back += ",\"duration_ms\":", outcome.run);
            back += ",\"memory_mb\":";
            if (outcome.memoryPeakBytes == 0) {
                back += "null";
            } else {
                const uint64_t tenths = outcome.memoryPeakBytes * 10 / (1u << 20);
                (back.number(tenths / 10) += '.') += static_cast<char>('0' + tenths % 10);
            }
            back += outcome.cold ? ",\"cold_start\":true,\"version\":" : ",\"cold_start\":false,\"version\":";
            back.number(target->version) += "}\n";
            exchange_->respond(200, headers.text(), {front.text(), outcome.document, back.text()});
        }
        if (dependencies_.record) dependencies_.record(*this, outcome, "http", status);
    }
};

}  // namespace

void InvokeResource::handle(std::shared_ptr<http::Exchange> exchange, std::string_view idOrName) {
    const LiveFunction* function = findOrAnswer(dependencies_, *exchange, idOrName);
    if (function == nullptr) return;
    const auto body = base::sliceInvokeBody(validator_, exchange->request().body);
    if (!body) {
        const auto response = problem(body.failure(), exchange->request());
        return exchange->respond(response.status, response.headers, {response.body});
    }
    if (!fitsOrAnswer(*exchange, body->event.size() + body->context.size())) return;
    auto call = std::make_unique<InvokeCall>(dependencies_, std::move(exchange), function->target);
    call->event = body->event;
    call->context = body->context;
    call->watchCaller();
    dependencies_.dispatcher.invoke(std::move(call));
}

}  // namespace cf::api
