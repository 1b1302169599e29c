// Requests to function URLs as events: whatever the parser lets through must become JSON.
#include <vector>

#include "api/function_url_event.hpp"
#include "base/json.hpp"
#include "fuzz.hpp"
#include "http/parser.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace cf;
    const http::ParserLimits limits;
    http::RequestParser parser(limits);
    fuzz::Padded message(fuzz::textOf(data, size), 64);
    auto state = parser.parse(message.data(), size);
    if (state == http::RequestParser::State::head) state = parser.parse(message.data(), size);
    if (state != http::RequestParser::State::complete) return 0;
    std::vector<http::Header> headers;
    http::Request request;
    parser.describe(message.data(), headers, request);
    const auto event = base::JsonDocument::parse(api::urlEvent(request, request.path));
    fuzz::require(bool(event), "an event is JSON without a key twice");
    bool encoded = false;
    std::string_view body;
    fuzz::require(!event->root()["is_base64"].get(encoded) && !event->root()["body"].get(body),
                  "it has a body");
    fuzz::require(encoded || body == request.body, "which is the request's");
    return 0;
}
