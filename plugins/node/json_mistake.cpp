#include "json_mistake.hpp"

#include <algorithm>
#include <vector>

namespace node_executor {

namespace {

constexpr std::string_view space = " \t\r\n";
constexpr std::string_view wordBytes =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$.+-";

class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    // The words for the mistake at `at`; empty: there is none.
    std::string scan() {
        enum class Next { value, valueOrEnd, key, keyOrEnd, colon, separator, nothing };
        Next next = Next::value;
        std::vector<char> open;
        size_t comma = 0;
        while (true) {
            at = std::min(text_.find_first_not_of(space, at), text_.size());
            if (next == Next::nothing) return at == text_.size() ? "" : unexpected();
            if (at == text_.size())
                return open.empty() ? "there is nothing"
                                    : std::string("a ") + open.back() + " is never closed";
            const char c = text_[at];
            const bool closes = !open.empty() && c == (open.back() == '{' ? '}' : ']');
            if (closes && next != Next::colon) {
                if (next == Next::key || (next == Next::value && open.back() == '[')) {
                    at = comma;
                    return "a comma with nothing behind it";
                }
                if (next == Next::value) return "a value is missing";
                open.pop_back();
                ++at;
                next = open.empty() ? Next::nothing : Next::separator;
            } else if (next == Next::colon) {
                if (c != ':') return "a colon is missing";
                ++at;
                next = Next::value;
            } else if (next == Next::separator) {
                if (c != ',')
                    return c == '"' || wordBytes.find(c) != std::string_view::npos
                               ? "a comma is missing"
                               : unexpected();
                comma = at++;
                next = open.back() == '{' ? Next::key : Next::value;
            } else if (next == Next::key || next == Next::keyOrEnd) {
                if (c != '"')
                    return c == '\'' || wordBytes.find(c) != std::string_view::npos
                               ? "a name without its double quotes"
                               : unexpected();
                if (!string()) return "a text that is never closed";
                next = Next::colon;
            } else if (c == '{' || c == '[') {
                open.push_back(c);
                ++at;
                next = c == '{' ? Next::keyOrEnd : Next::valueOrEnd;
            } else {
                if (c == '"') {
                    if (!string()) return "a text that is never closed";
                } else if (!word()) {
                    return unexpected();
                }
                next = open.empty() ? Next::nothing : Next::separator;
            }
        }
    }

    size_t at = 0;

private:
    bool string() {
        for (size_t i = at + 1; i < text_.size() && text_[i] != '\n'; ++i) {
            if (text_[i] == '\\') {
                ++i;
            } else if (text_[i] == '"') {
                at = i + 1;
                return true;
            }
        }
        return false;
    }

    bool word() {
        const size_t end = std::min(text_.find_first_not_of(wordBytes, at), text_.size());
        const std::string_view found = text_.substr(at, end - at);
        const bool number =
            !found.empty() && (found[0] == '-' || (found[0] >= '0' && found[0] <= '9'));
        if (!number && found != "true" && found != "false" && found != "null") return false;
        at = end;
        return true;
    }

    std::string unexpected() const {
        if (text_.substr(at, 2) == "//" || text_.substr(at, 2) == "/*")
            return "a comment, which JSON does not have";
        const size_t end = std::min(text_.find_first_not_of(wordBytes, at), text_.size());
        return "unexpected " + std::string(text_.substr(at, std::clamp<size_t>(end - at, 1, 20)));
    }

    const std::string_view text_;
};

}  // namespace

std::optional<JsonMistake> findJsonMistake(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    Scanner scanner(text);
    JsonMistake mistake;
    mistake.words = scanner.scan();
    if (mistake.words.empty()) return std::nullopt;
    const std::string_view before = text.substr(0, scanner.at);
    mistake.line = static_cast<uint32_t>(std::count(before.begin(), before.end(), '\n')) + 1;
    const size_t lineStart = before.rfind('\n') + 1;  // 0 without any
    // In characters: bytes that continue one do not count.
    mistake.column = static_cast<uint32_t>(std::count_if(
                         before.begin() + static_cast<std::ptrdiff_t>(lineStart), before.end(),
                         [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; })) +
                     1;
    return mistake;
}

}  // namespace node_executor
