#include "base/json_fault.hpp"

#include <simdjson.h>

#include <algorithm>
#include <optional>

namespace cf::base {

namespace {

struct Fault {
    size_t at = 0;
    std::string what{};
};

class FaultFinder {
public:
    explicit FaultFinder(std::string_view text) : text_(text) {}

    std::optional<Fault> find() {
        if (!document()) return fault_;
        return loneSurrogate_;
    }

private:
    bool document() {
        bool mayClose = false;  // nothing stands yet in the innermost list or object
        while (true) {
            skipSpace();
            if (!(mayClose && takes(closing()))) {
                if (inObject() && !member()) return false;
                if (peek() == '{' || peek() == '[') {
                    open_ += text_[at_++];
                    mayClose = true;
                    continue;
                }
                if (!scalar()) return false;
            } else {
                open_.pop_back();
            }
            while (true) {
                skipSpace();
                if (open_.empty())
                    return at_ == text_.size() ||
                           fail("nothing more is expected behind the end of the document");
                if (takes(',')) break;
                if (!takes(closing()))
                    return fail(inObject() ? "\",\" or \"}\" is expected"
                                           : "\",\" or \"]\" is expected");
                open_.pop_back();
            }
            mayClose = false;
        }
    }

    // The name of a member and the colon behind it.
    bool member() {
        if (peek() != '"') return fail("a name in double quotes is expected");
        if (!string()) return false;
        skipSpace();
        if (!takes(':')) return fail("\":\" is expected behind a name");
        skipSpace();
        return true;
    }

    bool scalar() {
        if (peek() == '"') return string();
        const size_t end = std::min(text_.find_first_of(" \t\r\n,:[]{}\"", at_), text_.size());
        const std::string_view word = text_.substr(at_, end - at_);
        if (word == "true" || word == "false" || word == "null" || isJsonNumber(word))
            return at_ = end, true;
        const bool meansNumber = !word.empty() && std::string_view("+-.0123456789").find(word[0]) !=
                                                      std::string_view::npos;
        return fail(meansNumber ? "this is no number as JSON writes them" : "a value is expected");
    }

    bool string() {
        const size_t begin = at_++;
        while (at_ < text_.size() && text_[at_] != '"') {
            const auto byte = static_cast<unsigned char>(text_[at_]);
            if (byte < 0x20)
                return fail(
                    "line ends, tabs and other control characters must be escaped inside of a text "
                    "(\\n, \\t)");
            if (byte == '\\') {
                if (!escape()) return false;
            } else if (byte >= 0x80) {
                size_t end = at_;
                while (end < text_.size() && (text_[end] & 0x80) != 0) ++end;
                if (!simdjson::validate_utf8(text_.data() + at_, end - at_))
                    return fail("these bytes are not UTF-8");
                at_ = end;
            } else {
                ++at_;
            }
        }
        if (takes('"')) return true;
        at_ = begin;
        return fail("this text has no end");
    }

    bool escape() {
        const size_t begin = at_;
        if (at_ + 1 < text_.size() &&
            std::string_view("\"\\/bfnrt").find(text_[at_ + 1]) != std::string_view::npos)
            return at_ += 2, true;
        const auto unit = escapedUnit();
        if (unit < 0) return fail("there is no such escape");
        const bool high = unit >> 10 == 0x36, low = unit >> 10 == 0x37;
        const bool paired = high && escapedUnit() >> 10 == 0x37;
        if (paired || low) at_ += 6;
        if ((low || (high && !paired)) && !loneSurrogate_)
            loneSurrogate_ =
                Fault{begin, "this is half of a surrogate pair, which is no character"};
        return true;
    }

    // The number of the \uXXXX ahead, behind which it goes unless that is the second half of a
    // pair; -1: there is none.
    int escapedUnit() {
        const std::string_view word = text_.substr(at_, 6);
        if (word.size() < 6 || word[0] != '\\' || word[1] != 'u') return -1;
        int unit = 0;
        for (const char c : word.substr(2)) {
            const size_t digit = std::string_view("0123456789abcdef")
                                     .find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
            if (digit == std::string_view::npos) return -1;
            unit = unit * 16 + static_cast<int>(digit);
        }
        if (unit >> 10 != 0x37) at_ += 6;
        return unit;
    }

    bool inObject() const { return !open_.empty() && open_.back() == '{'; }
    char closing() const { return inObject() ? '}' : ']'; }
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool takes(char c) { return at_ < text_.size() && text_[at_] == c && ++at_ > 0; }
    void skipSpace() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }
    bool fail(std::string what) {
        fault_ = Fault{at_, (at_ == text_.size() ? "it ends too early, " : "") + std::move(what)};
        return false;
    }

    std::string_view text_;
    size_t at_ = 0;
    std::string open_;  // the lists and objects around, as they were opened
    std::optional<Fault> fault_;
    std::optional<Fault> loneSurrogate_;
};

}  // namespace

bool isJsonNumber(std::string_view text) {
    const auto takesOneOf = [&](std::string_view chars) {
        if (text.empty() || chars.find(text[0]) == std::string_view::npos) return false;
        text.remove_prefix(1);
        return true;
    };
    const auto takesDigits = [&] {
        const size_t count = std::min(text.find_first_not_of("0123456789"), text.size());
        text.remove_prefix(count);
        return count > 0;
    };
    takesOneOf("-");
    if (!takesOneOf("0") && !takesDigits()) return false;
    if (takesOneOf(".") && !takesDigits()) return false;
    if (takesOneOf("eE")) {
        takesOneOf("+-");
        if (!takesDigits()) return false;
    }
    return text.empty();
}

std::string findJsonFault(std::string_view text) {
    const auto fault = FaultFinder(text).find();
    if (!fault) return {};
    const std::string_view before = text.substr(0, fault->at);
    const size_t lineBegin = before.rfind('\n') + 1;  // npos + 1 is 0
    const auto isBegin = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
    const auto column = 1 + std::count_if(before.begin() + static_cast<ptrdiff_t>(lineBegin),
                                          before.end(), isBegin);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    return "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " +
           fault->what;
}

}  // namespace cf::base
