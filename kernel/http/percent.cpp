#include "http/percent.hpp"

#include "http/ascii.hpp"

namespace cf::http {

bool percentDecode(std::string_view segment, std::string& out) {
    out.clear();
    out.reserve(segment.size());
    for (size_t at = 0; at < segment.size(); ++at) {
        if (segment[at] != '%') {
            out += segment[at];
            continue;
        }
        if (segment.size() - at < 3) return false;
        const int high = hexDigit(segment[at + 1]), low = hexDigit(segment[at + 2]);
        if (high < 0 || low < 0) return false;
        const char decoded = static_cast<char>(high << 4 | low);
        if (decoded == '\0' || decoded == '/') return false;
        out += decoded;
        at += 2;
    }
    return true;
}

}  // namespace cf::http
