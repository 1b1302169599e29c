#include "base/printable.hpp"

#include "base/json.hpp"

namespace cf::base {

std::string printable(std::string_view text) {
    static constexpr char hex[] = "0123456789abcdef";
    bool plain = true;
    for (const char c : text) plain = plain && c >= 0x20 && c < 0x7f;
    if (plain) return std::string(text);

    const std::string valid = toValidUtf8(text);
    std::string out;
    out.reserve(valid.size());
    for (size_t at = 0; at < valid.size(); ++at) {
        auto byte = static_cast<unsigned char>(valid[at]);
        if (byte == 0xC2 && static_cast<unsigned char>(valid[at + 1]) < 0xA0)
            byte = static_cast<unsigned char>(valid[++at]);
        else if ((byte >= 0x20 && byte != 0x7f) || byte == '\t') {
            out += valid[at];
            continue;
        }
        ((out += "\\x") += hex[byte >> 4]) += hex[byte & 15];
    }
    return out;
}

}  // namespace cf::base
