// Character classes of RFC 9110 section 5.6 and comparisons that ignore the case of ASCII letters,
// as tables: the parser looks at every byte of every request once. No locale, no allocation. Any
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace cf::http {

namespace ascii {

enum Class : uint8_t {
    token = 1,    // tchar: names of methods and fields
    value = 2,    // field-vchar, SP, HTAB, obs-text: what a field value may hold
    target = 4,   // visible ASCII without '#': what a request target may hold
    host = 8,     // reg-name or IPv4address of RFC 3986, ':' and brackets apart
    quoted = 16,  // qdtext
};

constexpr std::array<uint8_t, 256> makeClasses() {
    std::array<uint8_t, 256> classes{};
    const auto mark = [&](std::string_view characters, uint8_t bit) {
        for (const char c : characters) classes[static_cast<uint8_t>(c)] |= bit;
    };
    for (unsigned c = 0; c < 256; ++c) {
        const bool alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (alphanumeric) classes[c] |= token | host;
        if (c > 0x20 && c < 0x7f && c != '#') classes[c] |= target;
        if (c == '\t' || (c >= 0x20 && c != 0x7f)) {
            classes[c] |= value;
            if (c != '"' && c != '\\') classes[c] |= quoted;
        }
    }
    mark("!#$%&'*+-.^_`|~", token);
    mark("-._~!$&'()*+,;=%", host);
    return classes;
}

inline constexpr std::array<uint8_t, 256> classes = makeClasses();

}  // namespace ascii

constexpr bool is(char c, uint8_t asciiClass) {
    return (ascii::classes[static_cast<uint8_t>(c)] & asciiClass) != 0;
}

// True when every character of `text` is of the class; an empty text is.
constexpr bool all(std::string_view text, uint8_t asciiClass) {
    for (const char c : text)
        if (!is(c, asciiClass)) return false;
    return true;
}

constexpr bool isDigit(char c) { return c >= '0' && c <= '9'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// `lowerCased` must hold no upper-case letters; the other text may.
constexpr bool equalsLower(std::string_view text, std::string_view lowerCased) {
    if (text.size() != lowerCased.size()) return false;
    for (size_t i = 0; i < text.size(); ++i)
        if (lower(text[i]) != lowerCased[i]) return false;
    return true;
}

constexpr bool equalsIgnoringCase(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

// Value of one hexadecimal digit, -1 for anything else.
constexpr int hexDigit(char c) {
    if (isDigit(c)) return c - '0';
    const char l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

// `text` without spaces and tabs (OWS) at both ends.
constexpr std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

}  // namespace cf::http
