#include "toml.hpp"

namespace cf::python {

namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }

bool isBare(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || isDigit(c) || c == '_' || c == '-';
}

}  // namespace

void TomlScanner::skip(size_t count) {
    for (; count > 0 && !atEnd(); --count)
        if (x_text[x_at++] == '\n') ++x_line;
}

void TomlScanner::skipBlanks() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\r') skip();
}

void TomlScanner::skipSpace() {
    while (takeLineEnd() && !atEnd()) skip();
}

bool TomlScanner::takeLineEnd() {
    skipBlanks();
    if (peek() == '#')
        while (!atEnd() && peek() != '\n') skip();
    return atEnd() || peek() == '\n';
}

bool TomlScanner::takeString(std::string& value) {
    const char quote = peek();
    if (quote != '"' && quote != '\'') return false;
    const std::string three(3, quote);
    const bool longForm = next(three);
    skip(longForm ? 3 : 1);
    if (longForm && peek() == '\n') skip();
    while (!atEnd()) {
        if (longForm ? next(three) : peek() == quote) {
            skip(longForm ? 3 : 1);
            // One or two quotes may stand right in front of the three that end it.
            for (int more = 0; longForm && more < 2 && peek() == quote; ++more) {
                value += quote;
                skip();
            }
            return true;
        }
        if (!longForm && peek() == '\n') return false;
        if (quote == '"' && peek() == '\\') {
            skip();
            value += peek() == 't' ? '\t' : peek();  // other escapes make no sense in a requirement
        } else {
            value += peek();
        }
        skip();
    }
    return false;
}

bool TomlScanner::takeKey(std::string& key) {
    while (true) {
        skipBlanks();
        std::string part;
        if (peek() == '"' || peek() == '\'') {
            if (next("\"\"\"") || next("'''") || !takeString(part)) return false;
            for (char& c : part)
                if (c == '.') c = quotedDot;
        } else {
            for (; isBare(peek()); skip()) part += peek();
            if (part.empty()) return false;
        }
        if ((key += part).size() > longestKey) return false;
        skipBlanks();
        if (peek() != '.') return true;
        key += '.';
        skip();
    }
}

bool TomlScanner::takeHeader(std::string& key, bool& array) {
    array = peek() == '[';
    if (array) skip();
    const std::string_view close = array ? "]]" : "]";
    if (!takeKey(key) || !next(close)) return false;
    skip(close.size());
    return takeLineEnd();
}

bool TomlScanner::passValue(int depth) {
    skipBlanks();
    std::string ignored;
    const char c = peek();
    if (c == '"' || c == '\'') return takeString(ignored);
    if (c != '[' && c != '{') return passWord();
    skip();
    return depth < deepest && passItems(c == '[' ? ']' : '}', depth);
}

// Of a list, or of a table in braces.
bool TomlScanner::passItems(char close, int depth) {
    while (true) {
        skipSpace();
        if (peek() == close) {
            skip();
            return true;
        }
        if (close == '}') {
            std::string ignored;
            if (!takeKey(ignored) || peek() != '=') return false;
            skip();
        }
        if (!passValue(depth + 1)) return false;
        skipSpace();
        if (peek() == ',')
            skip();
        else if (peek() != close)
            return false;
    }
}

// A number, a date, or one of four words.
bool TomlScanner::passWord() {
    const size_t begin = x_at;
    const auto skipWord = [&] {
        while (isBare(peek()) || peek() == '+' || peek() == '.' || peek() == ':') skip();
    };
    skipWord();
    auto word = x_text.substr(begin, x_at - begin);
    // A date may be followed by a blank and its time.
    const bool hasTime = x_at + 1 < x_text.size() && peek() == ' ' && isDigit(x_text[x_at + 1]);
    if (word.size() == 10 && word[4] == '-' && hasTime) {
        skip();
        skipWord();
    }
    if (word == "true" || word == "false") return true;
    if (!word.empty() && (word[0] == '+' || word[0] == '-')) word.remove_prefix(1);
    return word == "inf" || word == "nan" || (!word.empty() && isDigit(word[0]));
}

}  // namespace cf::python
