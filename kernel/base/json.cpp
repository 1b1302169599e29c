#include "base/json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

#include "base/json_fault.hpp"

namespace cf::base {

namespace {

using simdjson::dom::element;

Failure fromError(simdjson::error_code error, size_t maxDepth, std::string_view text) {
    if (error == simdjson::DEPTH_ERROR)
        return {.reason = "json_too_deep",
                .detail = "the JSON is nested too deeply",
                .hint = "flatten the document",
                .limit = std::to_string(maxDepth) + " levels"};
    if (error == simdjson::EMPTY) return {.reason = "malformed_json", .detail = "the body is empty, a JSON document is expected"};
    const std::string fault = findJsonFault(text);
    return {.reason = "malformed_json", .detail = fault.empty() ? std::string("the body cannot be read as JSON: ") + simdjson::error_message(error)
                                                                : "the body is not valid JSON at " + fault};
}

// `key` as the next part of a JSON pointer (RFC 6901).
std::string pointerTo(std::string_view parent, std::string_view key) {
    std::string pointer(parent);
    pointer += '/';
    for (const char c : key) {
        if (c == '~') pointer += "~0";
        else if (c == '/') pointer += "~1";
        else pointer += c;
    }
    return pointer;
}

// Whether a key appears twice in one object at or below `value`; `path` then holds the parts of the pointer to it, the
// last one first. They are put together only then: on the way down every element would copy the keys around it. Depth is
// bounded by the parser.
bool findTwice(element value, std::vector<std::string>& path) {
    if (value.is_array()) {
        size_t i = 0;
        for (const element item : simdjson::dom::array(value)) {
            if (findTwice(item, path)) return path.push_back(std::to_string(i)), true;
            ++i;
        }
    } else if (value.is_object()) {
        const simdjson::dom::object object(value);
        {
            // Sorted: hashes can be made to collide.
            std::vector<std::string_view> keys;
            for (const auto field : object) keys.push_back(field.key);
            std::sort(keys.begin(), keys.end());
            const auto twice = std::adjacent_find(keys.begin(), keys.end());
            if (twice != keys.end()) return path.emplace_back(*twice), true;
        }
        for (const auto field : object)
            if (findTwice(field.value, path)) return path.emplace_back(field.key), true;
    }
    return false;
}

// A key that appears twice, as a JSON pointer, or empty.
std::string duplicateKey(element root) {
    std::vector<std::string> path;
    std::string pointer;
    if (findTwice(root, path))
        for (auto part = path.rbegin(); part != path.rend(); ++part) pointer += pointerTo("", *part);
    return pointer;
}

// Key of the field at `index`, its escapes resolved.
std::string_view keyAt(simdjson::dom::object object, size_t index) {
    auto field = object.begin();
    for (; index > 0; --index) ++field;
    return field.key();
}

constexpr std::array<bool, 256> setOf(std::string_view chars) {
    std::array<bool, 256> set{};
    for (const char c : chars) set[static_cast<uint8_t>(c)] = true;
    return set;
}

// Behind the valid JSON string whose first quote is before `at`.
const char* behindString(const char* at, const char* end) {
    for (const char* begin = at;; ++at) {
        at = static_cast<const char*>(std::memchr(at, '"', static_cast<size_t>(end - at)));
        const char* before = at;
        while (before > begin && before[-1] == '\\') --before;
        if ((at - before) % 2 == 0) return at + 1;
        begin = at + 1;
    }
}

// End of the valid JSON value that begins at `at`.
size_t endOfValue(std::string_view text, size_t at) {
    static constexpr auto isMark = setOf("\"{[}],");
    const char *here = text.data() + at, *const end = text.data() + text.size();
    for (int depth = 0; here < end;) {
        const char c = *here;
        if (!isMark[static_cast<uint8_t>(c)]) {
            ++here;
        } else if (c == '"') {
            here = behindString(here + 1, end);
        } else if (c == ',') {
            if (depth == 0) break;
            ++here;
        } else if (c == '{' || c == '[') {
            ++depth, ++here;
        } else {
            if (depth == 0) break;
            --depth, ++here;
        }
    }
    return static_cast<size_t>(here - text.data());
}

size_t skipSpace(std::string_view text, size_t at) {
    const auto isSpace = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (at < text.size() && isSpace(text[at])) ++at;
    return at;
}

std::string_view trimEnd(std::string_view text) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r' || text.back() == '\n'))
        text.remove_suffix(1);
    return text;
}

// The number of an escape \uXXXX that `text` begins with.
std::optional<unsigned> escapedUnit(std::string_view text) {
    if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return std::nullopt;
    unsigned unit = 0;
    const char* const end = text.data() + 6;
    const auto read = std::from_chars(end - 4, end, unit, 16);
    return read.ec == std::errc{} && read.ptr == end ? std::optional(unit) : std::nullopt;
}

// Behind the escape at `at`. A surrogate without its other half becomes U+FFFD.
size_t behindEscape(std::string& text, size_t at) {
    const auto isSurrogate = [](std::optional<unsigned> unit) { return unit && *unit >> 11 == 0x1B; };
    const auto isLow = [](std::optional<unsigned> unit) { return unit && *unit >> 10 == 0x37; };
    const std::string_view rest = std::string_view(text).substr(at);
    const auto unit = escapedUnit(rest);
    if (!isSurrogate(unit)) return at + 2;
    if (!isLow(unit) && isLow(escapedUnit(rest.substr(6)))) return at + 12;
    text.replace(at + 2, 4, "fffd");
    return at + 6;
}

// `text`, padded, as long as it was, with `standIn(number)` in the place of each number unless that is empty, and with
// U+FFFD for lone surrogates where `surrogates` says so. What is no JSON stays none: only a whole token is a number, and
// the strings begin and end where they did.
template <typename StandIn>
std::string replaced(std::string_view text, bool surrogates, StandIn standIn) {
    static constexpr auto endsToken = setOf(" \t\r\n,:[]{}\"");
    std::string copy;
    copy.reserve(text.size() + jsonPadding);
    copy = text;
    for (size_t at = 0; at < copy.size();) {
        if (copy[at] == '"') {
            for (++at; at < copy.size() && copy[at] != '"';)
                at = copy[at] != '\\' ? at + 1 : surrogates ? behindEscape(copy, at) : at + 2;
            ++at;
            continue;
        }
        const size_t begin = at;
        while (at < copy.size() && !endsToken[static_cast<uint8_t>(copy[at])]) ++at;
        const auto token = std::string_view(copy).substr(begin, at - begin);
        if (isJsonNumber(token)) {
            if (const std::string_view other = standIn(token); !other.empty()) {
                std::fill(copy.begin() + static_cast<ptrdiff_t>(begin), copy.begin() + static_cast<ptrdiff_t>(at), ' ');
                copy.replace(begin, other.size(), other);
            }
        } else if (at == begin) {
            ++at;
        }
    }
    return copy.append(jsonPadding, ' ');
}

// Of a text that is passed on: with a value that simdjson has in the place of each that JSON allows and simdjson may lack.
std::string representable(std::string_view text) {
    return replaced(text, true, [](std::string_view) { return std::string_view("0"); });
}

template <typename Integer>
bool isWithin(std::string_view number) {
    Integer value = 0;
    return std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc{};
}

// Of a text whose values are read: numbers beyond 64 bits or a double become one that is beyond every limit, so that
// whoever reads the field can say which it is. No stand-in is longer than the shortest such number.
std::string bounded(std::string_view text) {
    return replaced(text, false, [](std::string_view number) -> std::string_view {
        const bool negative = number.front() == '-';
        if (number.find_first_of(".eE") == std::string_view::npos) {
            if (negative ? isWithin<int64_t>(number) : isWithin<uint64_t>(number)) return {};
        } else {
            const double value = std::strtod(std::string(number).c_str(), nullptr);
            if (value == 0) return "0";
            if (std::isfinite(value)) return {};
        }
        return negative ? "-9e99" : "9e99";
    });
}

// Length of the UTF-8 sequence at `at` (RFC 3629), 0 when there is none.
size_t utf8Length(std::string_view text, size_t at) {
    const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
    const unsigned first = byte(at);
    const auto tail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return tail(at + 1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const unsigned second = byte(at + 1);
        if (!tail(at + 1) || !tail(at + 2) || (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
        return 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const unsigned second = byte(at + 1);
        if (!tail(at + 1) || !tail(at + 2) || !tail(at + 3) || (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
        return 4;
    }
    return 0;
}

// `text` is padded.
simdjson::error_code parseWith(simdjson::dom::parser& parser, size_t maxDepth, std::string_view text, element& root) {
    // The parser's buffers follow the largest text so far, and its depth is part of the same allocation.
    if (parser.capacity() < text.size() || parser.max_depth() != maxDepth) {
        const size_t capacity = std::max<size_t>(text.size() * 2, 4096);
        if (const auto error = parser.allocate(capacity, maxDepth)) return error;
    }
    return parser.parse(text.data(), text.size(), false).get(root);
}

}  // namespace

Result<element> JsonValidator::parse(std::string_view text) {
    element root;
    if (const auto error = parseWith(parser_, maxDepth_, text, root)) return fromError(error, maxDepth_, text);
    return root;
}

Result<element> JsonValidator::check(std::string_view text) {
    element root;
    if (!parseWith(parser_, maxDepth_, text, root)) return root;
    const std::string copy = representable(text);
    const auto error = parseWith(parser_, maxDepth_, std::string_view(copy).substr(0, text.size()), root);
    if (error) return fromError(error, maxDepth_, text);
    return root;
}

Result<InvokeBody> sliceInvokeBody(JsonValidator& validator, std::string_view body) {
    InvokeBody parts;
    if (body.empty()) return parts;
    auto root = validator.check(body);
    if (!root) return std::move(root).failure();
    if (!root->is_object())
        return Failure{.reason = "invalid_request",
                       .detail = "the body must be a JSON object with \"event\" and \"context\"",
                       .hint = "wrap it: {\"event\": ...}"};
    // The text is valid JSON from here on, so the scan below needs no bounds of its own.
    size_t at = skipSpace(body, skipSpace(body, 0) + 1);
    bool seenEvent = false, seenContext = false;
    for (size_t field = 0; body[at] != '}'; ++field) {
        size_t quote = at + 1;
        bool escaped = false;
        for (; body[quote] != '"'; ++quote)
            if (body[quote] == '\\') escaped = true, ++quote;
        const std::string_view key = escaped ? keyAt(root->get_object(), field) : body.substr(at + 1, quote - at - 1);
        const size_t colon = skipSpace(body, quote + 1);
        const size_t begin = skipSpace(body, colon + 1);
        const size_t end = endOfValue(body, begin);
        const std::string_view value = trimEnd(body.substr(begin, end - begin));
        bool* seen = key == "event" ? &seenEvent : key == "context" ? &seenContext : nullptr;
        if (seen == nullptr) {
            const std::string named(key.substr(0, 64));
            return Failure{.reason = "unknown_field",
                           .detail = "the body may hold \"event\" and \"context\", not \"" + named + "\"",
                           .hint = "wrap it in event: {\"event\": {...}}",
                           .fields = {{pointerTo("", named), "unknown field"}}};
        }
        if (*seen)
            return Failure{.reason = "duplicate_key",
                           .detail = "\"" + std::string(key) + "\" appears twice",
                           .fields = {{pointerTo("", key), "appears twice"}}};
        *seen = true;
        if (seen == &seenEvent) {
            parts.event = value;
        } else {
            if (value == "null") parts.context = {};
            else if (value.front() != '{')
                return Failure{.reason = "invalid_request",
                               .detail = "\"context\" must be an object",
                               .fields = {{"/context", "must be an object"}}};
            else parts.context = value;
        }
        at = body[end] == ',' ? skipSpace(body, end + 1) : end;
    }
    return parts;
}

Result<JsonDocument> JsonDocument::parse(std::string_view text, size_t maxDepth) {
    if (text.empty()) return fromError(simdjson::EMPTY, maxDepth, text);
    JsonDocument document;
    document.parser_ = std::make_unique<simdjson::dom::parser>();
    if (const auto error = document.parser_->allocate(std::max<size_t>(text.size(), 64), maxDepth)) return fromError(error, maxDepth, text);
    auto error = document.parser_->parse(text.data(), text.size(), true).get(document.root_);
    if (error && error != simdjson::DEPTH_ERROR && error != simdjson::EMPTY) {
        const std::string copy = bounded(text);
        error = document.parser_->parse(copy.data(), text.size(), false).get(document.root_);
    }
    if (error) return fromError(error, maxDepth, text);
    if (const auto twice = duplicateKey(document.root_); !twice.empty())
        return Failure{.reason = "duplicate_key",
                       .detail = "a key appears twice in one object",
                       .fields = {{twice, "appears twice"}}};
    return document;
}

void appendJsonString(std::string& out, std::string_view text) {
    static constexpr char hex[] = "0123456789abcdef";
    out += '"';
    for (size_t at = 0; at < text.size();) {
        const char c = text[at];
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x80) {
            const size_t length = utf8Length(text, at);
            if (length == 0) out += "\xEF\xBF\xBD";
            else out.append(text, at, length);
            at += length == 0 ? 1 : length;
            continue;
        }
        if (c == '"' || c == '\\') (out += '\\') += c;
        else if (c == '\n') out += "\\n";
        else if (c == '\t') out += "\\t";
        else if (c == '\r') out += "\\r";
        else if (byte < 0x20) ((out += "\\u00") += hex[byte >> 4]) += hex[byte & 15];
        else out += c;
        ++at;
    }
    out += '"';
}

std::string jsonString(std::string_view text) {
    std::string out;
    appendJsonString(out, text);
    return out;
}

std::string toValidUtf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const size_t length = utf8Length(text, at);
        if (length == 0) out += "\xEF\xBF\xBD";
        else out.append(text, at, length);
        at += length == 0 ? 1 : length;
    }
    return out;
}

}  // namespace cf::base
