// JSON of invocations and of the control plane, and text that becomes JSON.
#include "base/json.hpp"
#include "fuzz.hpp"

namespace {

using namespace cf::base;
using cf::fuzz::Padded;
using cf::fuzz::require;

bool isJson(std::string_view text, size_t maxDepth = invokeJsonDepth) {
    const Padded padded(text, jsonPadding);
    JsonValidator validator(maxDepth);
    return bool(validator.check(padded.text()));
}

void checkPassing(std::string_view input) {
    const Padded padded(input, jsonPadding);
    JsonValidator validator;
    const bool isRead(validator.parse(padded.text())), isPassedOn(isJson(input));
    require(isPassedOn || !isRead, "what can be read can be passed on");
    if (!isPassedOn) return;
    require(simdjson::validate_utf8(input), "what is passed on is UTF-8");
    const std::string beside = "[1e400," + std::string(input) + ",\"\\ud83d\"]";
    require(isJson(beside, invokeJsonDepth + 1), "it is JSON beside what cannot be read, too");
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
    checkPassing(input);
    checkInvokeBody(input);
    checkDocument(input);
    checkText(input);
    return 0;
}
