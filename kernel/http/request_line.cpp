#include "http/request_line.hpp"

#include <algorithm>

#include "http/ascii.hpp"
#include "http/field.hpp"

namespace cf::http {

namespace {

RequestLine refused(RequestLine line, int status, const char* error) {
    line.status = status;
    line.error = error;
    return line;
}

// 0, 400 or 505.
int checkVersion(std::string_view version, bool& http10) {
    if (version.size() != 8 || !version.starts_with("HTTP/") || !isDigit(version[5]) ||
        version[6] != '.' || !isDigit(version[7]))
        return 400;
    if (version[5] != '1' || version[7] > '1') return 505;
    http10 = version[7] == '0';
    return 0;
}

void splitPath(RequestLine& line, std::string_view pathAndQuery) {
    const size_t mark = pathAndQuery.find('?');
    line.path = pathAndQuery.substr(0, mark);
    if (mark != std::string_view::npos) line.query = pathAndQuery.substr(mark + 1);
}

// Takes "http://authority/path?query" apart; false when it is nothing of that kind.
bool splitAbsolute(RequestLine& line) {
    const size_t colon = line.target.find(':');
    if (colon == std::string_view::npos || line.target.substr(colon, 3) != "://") return false;
    const std::string_view scheme = line.target.substr(0, colon);
    if (!equalsLower(scheme, "http") && !equalsLower(scheme, "https")) return false;
    const std::string_view rest = line.target.substr(colon + 3);
    const size_t end = std::min(rest.find_first_of("/?"), rest.size());
    line.authority = rest.substr(0, end);
    if (!isHost(line.authority)) return false;
    splitPath(line, rest.substr(end));
    if (line.path.empty()) line.path = "/";
    return true;
}

}  // namespace

RequestLine parseRequestLine(std::string_view text, size_t maxTarget) {
    RequestLine line;
    const size_t first = text.find(' ');
    if (first == std::string_view::npos) return refused(line, 400, "has no request target");
    line.method = text.substr(0, first);
    if (line.method.empty() || !all(line.method, ascii::token))
        return refused(line, 400, "has a method that is not a token");

    const std::string_view behind = text.substr(first + 1);
    const size_t second = behind.find(' ');
    if (second == std::string_view::npos) return refused(line, 400, "has no HTTP version");
    line.target = behind.substr(0, second);
    if (line.target.size() > maxTarget) return refused(line, 414, "has too long a target");
    if (line.target.empty() || !all(line.target, ascii::target))
        return refused(
            line, 400,
            "has a target with a character that must be percent-encoded, or none at all");

    const int version = checkVersion(behind.substr(second + 1), line.http10);
    if (version == 400)
        return refused(line, 400, "has something else than HTTP/1.0 or HTTP/1.1 behind its target");
    if (version == 505)
        return refused(line, 505, "wants a version of HTTP that is not spoken here");
    if (std::find(methods.begin(), methods.end(), line.method) == methods.end())
        return refused(line, 501, "has a method that is not known here");

    if (line.target.front() == '/') {
        splitPath(line, line.target);
    } else if (line.target == "*") {
        if (line.method != "OPTIONS")
            return refused(line, 400, "has the target \"*\", which is for OPTIONS alone");
        line.path = line.target;
    } else if (!splitAbsolute(line)) {
        return refused(line, 400, "has a target that is neither a path nor an http address");
    }
    return line;
}

}  // namespace cf::http
