#include "http/response_head.hpp"

#include <charconv>
#include <cstdio>
#include <cstring>

#include "http/refusal.hpp"

namespace cf::http {

namespace {

constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

char* put(char* at, std::string_view text) {
    std::memcpy(at, text.data(), text.size());
    return at + text.size();
}

}  // namespace

std::string_view ResponseHead::dateLine() {
    const std::time_t now = std::time(nullptr);
    if (now != second_) {
        second_ = now;
        std::tm parts{};
        ::gmtime_r(&now, &parts);
        // IMF-fixdate (RFC 9110 section 5.6.7) by hand: strftime would follow the locale.
        const int size =
            std::snprintf(date_, sizeof date_, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                          days[parts.tm_wday], parts.tm_mday, months[parts.tm_mon],
                          parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
        dateSize_ = static_cast<size_t>(size);
    }
    return {date_, dateSize_};
}

void ResponseHead::append(Buffer& out, int status, std::string_view headers, Framing framing,
                          ConnectionLine connection) {
    const std::string_view phrase = reasonPhrase(status);
    const size_t most = 256 + phrase.size() + headers.size();
    if (out.room() < most) out.reserve(out.size() + most);
    char* const begin = out.data() + out.size();
    char* at = begin;
    if (status == 200) {
        at = put(at, "HTTP/1.1 200 OK\r\n");
    } else {
        at = put(at, "HTTP/1.1 ");
        at = std::to_chars(at, at + 11, status).ptr;
        at = put(put(put(at, " "), phrase), "\r\n");
    }
    at = put(at, dateLine());
    if (!hasNoBody(status) && framing.kind == Framing::Kind::length) {
        at = put(at, "Content-Length: ");
        at = std::to_chars(at, at + 20, framing.length).ptr;
        at = put(at, "\r\n");
    } else if (!hasNoBody(status) && framing.kind == Framing::Kind::chunks) {
        at = put(at, "Transfer-Encoding: chunked\r\n");
    }
    if (connection == ConnectionLine::close)
        at = put(at, "Connection: close\r\n");
    else if (connection == ConnectionLine::keepAlive)
        at = put(at, "Connection: keep-alive\r\n");
    at = put(put(at, headers), "\r\n");
    out.setSize(out.size() + static_cast<size_t>(at - begin));
}

}  // namespace cf::http
