// Walks over TOML (version 1.0) from one entry to the next, with the line of each. Pure; used by
// pyproject.cpp.
//
// It judges the shape: headers that close, keys, strings that end, lists and tables that close,
// values that begin like one. It builds no values: what a date or an escape means is left to
// whoever reads the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cf::python {

class TomlScanner {
public:
    static constexpr size_t longestKey = 1024;  // bytes of a key with all its parts
    static constexpr int deepest = 64;          // lists and tables in each other
    // Stands for a dot inside of a quoted part of a key, which separates nothing.
    static constexpr char quotedDot = '\x1f';

    explicit TomlScanner(std::string_view text) : x_text(text) {}

    bool atEnd() const { return x_at >= x_text.size(); }
    char peek() const { return atEnd() ? '\0' : x_text[x_at]; }
    uint32_t line() const { return x_line; }
    bool next(std::string_view what) const { return x_text.substr(x_at, what.size()) == what; }

    void skip(size_t count = 1);
    void skipBlanks();
    // Blanks, line ends and comments, as they may stand between entries and in lists.
    void skipSpace();

    // Each is false where there is none, or it does not end.
    bool takeString(std::string& value);  // of any of the four kinds
    // Such as `project` or `"project" . dependencies`: its parts joined by dots.
    bool takeKey(std::string& key);
    // The rest of a header behind its first `[`. `array`: it is one of `[[...]]`.
    bool takeHeader(std::string& key, bool& array);
    // Nothing but a comment until the line's end.
    bool takeLineEnd();
    // A value of any kind.
    bool passValue(int depth = 0);

private:
    bool passItems(char close, int depth);
    bool passWord();

    std::string_view x_text;
    size_t x_at = 0;
    uint32_t x_line = 1;
};

}  // namespace cf::python
