#include "http/stages.hpp"

namespace cf::http {

void respondRefusal(Exchange& exchange, const Refusal& refusal, std::string_view document) {
    exchange.respond(refusal.status, "Content-Type: application/problem+json\r\n" + refusal.headers,
                     {document});
}

bool Stages::passes(const std::vector<Check>& checks, Exchange& exchange) const {
    for (const Check& check : checks) {
        const auto refusal = check(exchange.request());
        if (!refusal) continue;
        respondRefusal(
            exchange, *refusal,
            document_ ? document_(*refusal, exchange.request()) : plainProblem(*refusal));
        return false;
    }
    return true;
}

void Stages::operator()(std::shared_ptr<Exchange> exchange) const {
    if (passes(guards_, *exchange) && passes(authentications_, *exchange))
        handler_(std::move(exchange));
}

}  // namespace cf::http
