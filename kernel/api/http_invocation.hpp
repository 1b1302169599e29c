// An invocation whose source and sink is an HTTP exchange: what the invoke resource and function URLs share.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.hpp"
#include "base/short_text.hpp"
#include "base/ulid.hpp"
#include "functions/registry.hpp"
#include "http/exchange.hpp"
#include "api/live_functions.hpp"
#include "workers/dispatcher.hpp"

namespace cf::api {

enum class OnDisconnect { finish, cancel };

// What both entries stand on. References outlive them. Loop thread only.
struct InvokeDependencies {
    base::EventLoop& loop;
    workers::Dispatcher& dispatcher;
    const LiveFunctions& live;
    const functions::Registry& registry;  // to tell "does not exist" from "is not ready"
    OnDisconnect onDisconnect = OnDisconnect::finish;
    // Told about every invocation that got an id: `source` is "http" or "url", `status` the HTTP status of the answer.
    std::function<void(const workers::Invocation&, const workers::Outcome&, std::string_view source, int status)> record{};
};

// Lines "X-Invocation-Id", "X-Request-Id", "X-Duration-Ms", "X-Queue-Ms" and, when cold, "X-Init-Ms".
// The ids have at most 26 and 128 characters.
base::ShortText<512> timingHeaders(const workers::Invocation& call, const workers::Outcome& outcome);

// Milliseconds with two decimals, e.g. "1.92".
template <size_t N>
void appendMs(base::ShortText<N>& out, std::chrono::microseconds time) {
    const auto hundredths = static_cast<uint64_t>(time.count() < 0 ? 0 : (time.count() + 5) / 10);
    out.number(hundredths / 100) += '.';
    out += static_cast<char>('0' + hundredths / 10 % 10);
    out += static_cast<char>('0' + hundredths % 10);
}

class HttpInvocation : public workers::Invocation {
public:
    HttpInvocation(const InvokeDependencies& dependencies, std::shared_ptr<http::Exchange> exchange, workers::TargetPtr target);

    const http::Exchange& exchange() const { return *exchange_; }
    // Watches the caller's connection; call last before handing the invocation over. A caller that is gone, or has closed its
    // side, is not waited for while the call has not begun, and with OnDisconnect::cancel not afterwards either.
    void watchCaller();

protected:
    // Answers with the outcome's failure as a problem document; returns its status.
    int respondProblem(const base::Failure& failure, const workers::Outcome& outcome, std::string_view moreHeaders = {});

    const InvokeDependencies& dependencies_;
    std::shared_ptr<http::Exchange> exchange_;

private:
    void callerLeft();
};

// Finds what `idOrName` names. Otherwise gives null, and the exchange was answered (404, or 409 while it has no ready
// version) or moved to the loop on which the function is at home.
const LiveFunction* findOrAnswer(const InvokeDependencies& dependencies, http::Exchange& exchange, std::string_view idOrName);

// Whether an event and its context of so many bytes fit into the frame that takes them to a worker. Otherwise the exchange was
// answered (413).
bool fitsOrAnswer(http::Exchange& exchange, size_t bytes, std::string_view moreHeaders = {});

}  // namespace cf::api
