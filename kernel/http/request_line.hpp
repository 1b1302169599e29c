// The first line of a request (RFC 9112 section 3): method, target and version, checked and taken
// apart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cf::http {

// Those that are taken (RFC 9110 section 9, RFC 5789).
constexpr std::array<std::string_view, 7> methods{"GET",   "HEAD",   "POST",   "PUT",
                                                  "PATCH", "DELETE", "OPTIONS"};

struct RequestLine {
    std::string_view method{};
    std::string_view target{};
    std::string_view path{};  // "/" for an absolute target without one
    std::string_view query{};
    std::string_view authority{};  // of an absolute target; otherwise empty
    bool http10 = false;
    int status = 0;               // 0: fine; else 400, 414, 501 or 505
    const char* error = nullptr;  // a sentence's predicate
};

// `line` is without its CRLF. Only origin-form, absolute-form, and "*" for OPTIONS are taken.
RequestLine parseRequestLine(std::string_view line, size_t maxTarget);

}  // namespace cf::http
