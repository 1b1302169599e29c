// JSON of invocations and of the control plane, and text that becomes JSON.
#include "base/json.hpp"
#include "fuzz.hpp"

namespace {

using namespace cf::base;
using cf::fuzz::Padded;
using cf::fuzz::require;

bool isJson(std::string_view text) {
    simdjson::dom::parser parser;
    return parser.parse(text.data(), text.size()).error() == simdjson::SUCCESS;
}

void checkInvokeBody(std::string_view input) {
    Padded body(input, jsonPadding);
    JsonValidator validator;
    const auto parts = sliceInvokeBody(validator, body.text());
    if (!parts) return require(!parts.failure().detail.empty(), "a refusal says why");
    for (const auto part : {parts->event, parts->context}) {
        require(cf::fuzz::within(part, body.text()), "slices lie in the body");
        require(part.empty() || isJson(part), "a slice is JSON of its own");
    }
}

void checkDocument(std::string_view input) {
    auto document = JsonDocument::parse(input);
    if (!document) return require(!document.failure().reason.empty(), "a refusal has a reason");
    const std::string again = simdjson::minify(document->root());
    require(bool(JsonDocument::parse(again)), "what was taken is taken again");
}

void checkText(std::string_view input) {
    const std::string text = jsonString(input);
    simdjson::dom::parser parser;
    std::string_view back;
    require(parser.parse(text).get(back) == simdjson::SUCCESS, "any bytes become a JSON string");
    require(back == toValidUtf8(input), "that holds what is valid of them");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input = cf::fuzz::textOf(data, size);
    checkInvokeBody(input);
    checkDocument(input);
    checkText(input);
    return 0;
}
