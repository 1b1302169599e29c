#include "functions/sources.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/json.hpp"

namespace cf::functions {

namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> values = [] {
    std::array<int8_t, 256> table{};
    table.fill(-1);
    for (size_t i = 0; i < alphabet.size(); ++i)
        table[static_cast<unsigned char>(alphabet[i])] = static_cast<int8_t>(i);
    return table;
}();

}  // namespace

std::string whyUnsafeFileName(std::string_view name, size_t maxBytes) {
    if (name.empty()) return "a file needs a name";
    if (name.size() > maxBytes)
        return "the file name is " + std::to_string(name.size()) + " bytes long, the limit is " +
               std::to_string(maxBytes);
    if (name.front() == '/') return "the file name must be relative, it begins with '/'";
    if (!isValidUtf8(name)) return "the file name is not UTF-8";
    for (const char c : name)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\')
            return "the file name holds a control character or a backslash";
    if (const auto parts = 1 + std::ranges::count(name, '/');
        static_cast<size_t>(parts) > mostNameParts)
        return "the file name has " + std::to_string(parts) + " parts, the limit is " +
               std::to_string(mostNameParts);
    for (size_t begin = 0; begin <= name.size();) {
        const size_t end = std::min(name.find('/', begin), name.size());
        const std::string_view part = name.substr(begin, end - begin);
        if (part.empty()) return "the file name has an empty part";
        if (part == "." || part == "..")
            return "the file name has a \"" + std::string(part) + "\" part";
        if (part.size() > 255) return "a part of the file name is longer than 255 bytes";
        begin = end + 1;
    }
    return {};
}

bool isValidUtf8(std::string_view text) {
    return simdjson::validate_utf8(text.data(), text.size());
}

std::optional<std::string> decodeBase64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string out;
    out.reserve(text.size() / 4 * 3);
    for (size_t at = 0; at < text.size(); at += 4) {
        const bool last = at + 4 == text.size();
        const size_t padding = !last ? 0 : text[at + 3] != '=' ? 0 : text[at + 2] != '=' ? 1 : 2;
        uint32_t bits = 0;
        for (size_t i = 0; i < 4; ++i) {
            const int value =
                i >= 4 - padding ? 0 : values[static_cast<unsigned char>(text[at + i])];
            if (value < 0) return std::nullopt;
            bits = bits << 6 | static_cast<uint32_t>(value);
        }
        for (size_t i = 0; i < 3 - padding; ++i)
            out += static_cast<char>(bits >> (16 - 8 * i) & 0xff);
    }
    return out;
}

std::string encodeBase64(std::string_view bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t at = 0; at < bytes.size(); at += 3) {
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; ++i)
            bits = bits << 8 |
                   (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u);
        for (size_t i = 0; i < 4; ++i)
            out += at + i <= bytes.size() ? alphabet[bits >> (18 - 6 * i) & 63] : '=';
    }
    return out;
}

}  // namespace cf::functions
