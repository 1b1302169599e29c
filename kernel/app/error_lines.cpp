#include "app/error_lines.hpp"

#include <string_view>

namespace cf::app {

namespace {

constexpr size_t most = 8192;

std::string_view textAt(simdjson::dom::element document, const char* key) {
    std::string_view value;
    return document[key].get(value) ? std::string_view{} : value;
}

void addLine(std::string& out, std::string_view line) {
    if (out.size() + line.size() + 1 > most) return;
    (out += line) += '\n';
}

}  // namespace

std::string errorLines(simdjson::dom::element document) {
    std::string first(textAt(document, "type"));
    first.append(": ").append(textAt(document, "message").substr(0, most / 2));
    if (const auto file = textAt(document, "file"); !file.empty()) {
        first.append(" (").append(file);
        uint64_t line = 0;
        if (!document["line"].get(line)) first.append(":").append(std::to_string(line));
        first += ')';
    }
    std::string out;
    addLine(out, first);
    simdjson::dom::array stack;
    if (document["stack"].get(stack)) return out;
    for (const auto entry : stack) {
        std::string_view frame;
        if (!entry.get(frame)) addLine(out, "    " + std::string(frame));
    }
    return out;
}

}  // namespace cf::app
