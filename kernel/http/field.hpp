// One field line of a head or trailer section (RFC 9112 section 5).
#pragma once

#include <string_view>

namespace cf::http {

struct FieldLine {
    std::string_view name{};
    std::string_view value{};  // without the spaces around it
    const char* error =
        nullptr;  // why the line is refused, a sentence's predicate; null when it is fine
};

// Takes `line` (without CRLF, not empty) apart.
FieldLine splitField(std::string_view line);

// True for what Host may hold: a name or IPv4 address, or an IPv6 address in brackets, and an
// optional port.
bool isHost(std::string_view text);

// True when `element` is on the comma-separated `list`, whatever its case; `element` is lower-case.
bool listHas(std::string_view list, std::string_view element);

}  // namespace cf::http
