#include "base/json.hpp"

#include <array>
#include <cstring>
#include <unordered_set>

namespace cf::base {

namespace {

using simdjson::dom::element;

Failure fromError(simdjson::error_code error, size_t maxDepth) {
    if (error == simdjson::DEPTH_ERROR)
        return {.reason = "json_too_deep",
                .detail = "the JSON is nested too deeply",
                .hint = "flatten the document",
                .limit = std::to_string(maxDepth) + " levels"};
    if (error == simdjson::EMPTY) return {.reason = "malformed_json", .detail = "the body is empty, a JSON document is expected"};
    return {.reason = "malformed_json", .detail = std::string("the body is not valid JSON: ") + simdjson::error_message(error)};
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

// First duplicate key below `value` as a JSON pointer, or empty. Depth is bounded by the parser.
std::string duplicateKey(element value, const std::string& pointer) {
    if (value.is_array()) {
        size_t i = 0;
        for (const element item : simdjson::dom::array(value))
            if (auto found = duplicateKey(item, pointerTo(pointer, std::to_string(i++))); !found.empty()) return found;
    } else if (value.is_object()) {
        std::unordered_set<std::string_view> seen;
        for (const auto field : simdjson::dom::object(value)) {
            const std::string here = pointerTo(pointer, field.key);
            if (!seen.insert(field.key).second) return here;
            if (auto found = duplicateKey(field.value, here); !found.empty()) return found;
        }
    }
    return {};
}

// Key of the field at `index`, its escapes resolved.
std::string_view keyAt(simdjson::dom::object object, size_t index) {
    auto field = object.begin();
    for (; index > 0; --index) ++field;
    return field.key();
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
    static constexpr auto isMark = [] {
        std::array<bool, 256> marks{};
        for (const char c : {'"', '{', '[', '}', ']', ','}) marks[static_cast<uint8_t>(c)] = true;
        return marks;
    }();
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

}  // namespace

Result<element> JsonValidator::parse(std::string_view text) {
    // The parser's buffers follow the largest text so far, and its depth is part of the same allocation.
    if (parser_.capacity() < text.size() || parser_.max_depth() != maxDepth_) {
        const size_t capacity = std::max<size_t>(text.size() * 2, 4096);
        if (const auto error = parser_.allocate(capacity, maxDepth_)) return fromError(error, maxDepth_);
    }
    element root;
    const auto error = parser_.parse(text.data(), text.size(), false).get(root);
    if (error) return fromError(error, maxDepth_);
    return root;
}

Result<InvokeBody> sliceInvokeBody(JsonValidator& validator, std::string_view body) {
    InvokeBody parts;
    if (body.empty()) return parts;
    auto root = validator.parse(body);
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
    if (text.empty()) return fromError(simdjson::EMPTY, maxDepth);
    JsonDocument document;
    document.parser_ = std::make_unique<simdjson::dom::parser>();
    if (const auto error = document.parser_->allocate(std::max<size_t>(text.size(), 64), maxDepth)) return fromError(error, maxDepth);
    const auto error = document.parser_->parse(text.data(), text.size(), true).get(document.root_);
    if (error) return fromError(error, maxDepth);
    if (const auto twice = duplicateKey(document.root_, ""); !twice.empty())
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
