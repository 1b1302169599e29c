// Status line and header section of an answer. Keeps the Date line of the present second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string_view>

#include "http/buffer.hpp"

namespace cf::http {

enum class ConnectionLine { none, close, keepAlive };

// How the end of a body is found.
struct Framing {
    enum class Kind : uint8_t {
        length,   // Content-Length
        chunks,   // Transfer-Encoding
        unknown,  // the connection's end
    };
    Kind kind = Kind::length;
    size_t length = 0;

    Framing(size_t contentLength) : length(contentLength) {}
    explicit Framing(Kind other) : kind(other) {}
};

class ResponseHead {
public:
    // Appends the head to `out`. `headers` is whole lines with CRLF. 1xx, 204 and 304 get no
    // Content-Length (RFC 9110 section 8.6) and no Transfer-Encoding.
    void append(Buffer& out, int status, std::string_view headers, Framing framing,
                ConnectionLine connection);

private:
    std::string_view dateLine();

    std::time_t second_ = -1;
    char date_[96]{};
    size_t dateSize_ = 0;
};

// True for statuses whose answers never have a body.
constexpr bool hasNoBody(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace cf::http
