// Builds JSON text member by member, in the order of the calls. Used where documents are written
// (here and in api/); what users sent is never written through this but passed on as it came.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

#include "base/json.hpp"

namespace cf::functions {

// An object. `text(name, value)` quotes, `raw(name, json)` takes finished JSON.
class JsonObject {
public:
    JsonObject& text(std::string_view name, std::string_view value) {
        key(name);
        base::appendJsonString(out_, value);
        return *this;
    }
    JsonObject& raw(std::string_view name, std::string_view json) {
        key(name);
        out_ += json;
        return *this;
    }
    JsonObject& number(std::string_view name, std::integral auto value) {
        return raw(name, std::to_string(value));
    }
    JsonObject& boolean(std::string_view name, bool value) {
        return raw(name, value ? "true" : "false");
    }
    JsonObject& null(std::string_view name) { return raw(name, "null"); }
    std::string done() const { return out_ + "}"; }

private:
    void key(std::string_view name) {
        if (out_.size() > 1) out_ += ',';
        base::appendJsonString(out_, name);
        out_ += ':';
    }
    std::string out_ = "{";
};

class JsonArray {
public:
    JsonArray& text(std::string_view value) { return raw(base::jsonString(value)); }
    JsonArray& raw(std::string_view json) {
        if (out_.size() > 1) out_ += ',';
        out_ += json;
        return *this;
    }
    std::string done() const { return out_ + "]"; }

private:
    std::string out_ = "[";
};

// Milliseconds as a number of seconds without trailing zeros: "30", "0.1".
inline std::string secondsText(int64_t ms) {
    std::string out = std::to_string(ms / 1000);
    if (const int64_t rest = ms % 1000; rest != 0) {
        const std::string digits = std::to_string(1000 + rest);
        out += "." + digits.substr(1, digits.find_last_not_of('0'));
    }
    return out;
}

// `text` with the characters that a JSON pointer reserves written as RFC 6901 says.
inline std::string pointerToken(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '~')
            out += "~0";
        else if (c == '/')
            out += "~1";
        else
            out += c;
    }
    return out;
}

}  // namespace cf::functions
