#include "http/field.hpp"

#include "http/ascii.hpp"

namespace cf::http {

FieldLine splitField(std::string_view line) {
    FieldLine field;
    size_t colon = 0;
    while (colon < line.size() && is(line[colon], ascii::token)) ++colon;
    if (colon == line.size()) return field.error = "has a header line without a colon", field;
    if (line[colon] != ':') {
        const bool space = line[colon] == ' ' || line[colon] == '\t';
        field.error = space && colon == 0
                          ? "has a header line that begins with a space (folded lines are obsolete)"
                      : space ? "has a space in or behind a header name"
                              : "has a header name with a character that is not allowed";
        return field;
    }
    if (colon == 0) return field.error = "has a header line without a name", field;
    field.name = line.substr(0, colon);
    const std::string_view value = line.substr(colon + 1);
    if (!all(value, ascii::value))
        return field.error = "has a control character in a header value", field;
    field.value = trimmed(value);
    return field;
}

bool isHost(std::string_view text) {
    if (text.empty()) return false;
    size_t end = 0;
    if (text.front() == '[') {
        end = text.find(']');
        if (end == std::string_view::npos || end < 3) return false;
        for (const char c : text.substr(1, end - 1))
            if (hexDigit(c) < 0 && c != ':' && c != '.') return false;
        ++end;
    } else {
        while (end < text.size() && is(text[end], ascii::host)) ++end;
        if (end == 0) return false;
    }
    if (end == text.size()) return true;
    if (text[end] != ':' || text.size() - end > 6) return false;
    for (const char c : text.substr(end + 1))
        if (!isDigit(c)) return false;
    return true;
}

bool listHas(std::string_view list, std::string_view element) {
    while (!list.empty()) {
        const size_t comma = list.find(',');
        if (equalsLower(trimmed(list.substr(0, comma)), element)) return true;
        if (comma == std::string_view::npos) break;
        list.remove_prefix(comma + 1);
    }
    return false;
}

}  // namespace cf::http
