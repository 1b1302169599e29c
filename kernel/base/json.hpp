// Strict JSON (RFC 8259) on top of simdjson: validation of text that is passed on as it came, slices of it, and the
// document reader of the control plane. Nothing here re-serialises what users sent.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/failure.hpp"

namespace cf::base {

// Bytes that must be readable behind every text given to JsonValidator (simdjson reads whole registers).
constexpr size_t jsonPadding = simdjson::SIMDJSON_PADDING;
constexpr size_t invokeJsonDepth = 256;
constexpr size_t controlJsonDepth = 64;

// Validates structure, UTF-8 and depth without building anything that outlives the call. One thread each; keeps its
// buffers between calls. Texts must have jsonPadding readable bytes behind them; a root is valid until the next call.
// Failure reasons: malformed_json, json_too_deep.
class JsonValidator {
public:
    explicit JsonValidator(size_t maxDepth = invokeJsonDepth) : maxDepth_(maxDepth) {}
    // For text whose values are read: simdjson must have a value for each.
    Result<simdjson::dom::element> parse(std::string_view text);
    // For text that is passed on as it came, and may hold all that RFC 8259 allows: numbers of any size, and escaped
    // surrogates without their other half. Such a text's numbers are 0 below its root, and such halves U+FFFD.
    Result<simdjson::dom::element> check(std::string_view text);

private:
    simdjson::dom::parser parser_;
    size_t maxDepth_;
};

// What was found in an invoke body; slices point into the body and are empty when absent.
struct InvokeBody {
    std::string_view event;
    std::string_view context;
};

// Checks and slices `{"event":...,"context":{...}}`. `body` needs jsonPadding readable bytes behind it; an empty one is
// fine. Failures: malformed_json, json_too_deep, invalid_request, unknown_field.
Result<InvokeBody> sliceInvokeBody(JsonValidator& validator, std::string_view body);

// A parsed control-plane document with its memory. Depth 64, duplicate keys refused at every level. Numbers beyond 64 bits
// or a double are there as one of more than 10^60, so that whoever reads the field refuses them with its limits.
class JsonDocument {
public:
    // Failures: malformed_json, json_too_deep, duplicate_key.
    static Result<JsonDocument> parse(std::string_view text, size_t maxDepth = controlJsonDepth);
    simdjson::dom::element root() const { return root_; }

private:
    std::unique_ptr<simdjson::dom::parser> parser_;
    simdjson::dom::element root_;
};

// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
void appendJsonString(std::string& out, std::string_view text);
std::string jsonString(std::string_view text);
// Copy of `text` in which every byte sequence that is not UTF-8 is U+FFFD.
std::string toValidUtf8(std::string_view text);

}  // namespace cf::base
