// The named stages of a request: accept and parse (Server), guard, authenticate, route and handle,
// write (Exchange). Stages is the ordered place between parse and route: checks run one after the
// other, the first refusal is the answer, and what passes them all goes to the handler. Loop
// thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "http/exchange.hpp"
#include "http/refusal.hpp"

namespace cf::http {

class Stages {
public:
    using Check = std::function<std::optional<Refusal>(const Request&)>;
    // The document of a refusal, for this request.
    using Document = std::function<std::string(const Refusal&, const Request&)>;

    // `document` may be empty: plainProblem.
    Stages(Handler handler, Document document)
        : handler_(std::move(handler)), document_(std::move(document)) {}

    void guard(Check check) { guards_.push_back(std::move(check)); }
    void authenticate(Check check) { authentications_.push_back(std::move(check)); }

    // A Handler: give it to a Server.
    void operator()(std::shared_ptr<Exchange> exchange) const;

private:
    bool passes(const std::vector<Check>& checks, Exchange& exchange) const;

    std::vector<Check> guards_;
    std::vector<Check> authentications_;
    Handler handler_;
    Document document_;
};

// Answers with the refusal's status, headers and document.
void respondRefusal(Exchange& exchange, const Refusal& refusal, std::string_view document);

}  // namespace cf::http
