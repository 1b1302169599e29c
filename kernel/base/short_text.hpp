// Text of at most N bytes that is put together where it stands, without memory from the heap: heads and frames around
// what every call carries. What does not fit is a fault of the program: std::length_error.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace cf::base {

template <size_t N>
class ShortText {
public:
    ShortText& operator+=(std::string_view text) {
        std::memcpy(room(text.size()), text.data(), text.size());
        size_ += text.size();
        return *this;
    }
    ShortText& operator+=(char c) {
        *room(1) = c;
        ++size_;
        return *this;
    }
    // In decimal digits.
    ShortText& number(uint64_t value) {
        char* const at = room(20);
        size_ += static_cast<size_t>(std::to_chars(at, at + 20, value).ptr - at);
        return *this;
    }
    std::string_view text() const { return {text_, size_}; }

private:
    char* room(size_t size) {
        if (size > N - size_) throw std::length_error("a text that was to be short");
        return text_ + size_;
    }

    char text_[N];
    size_t size_ = 0;
};

}  // namespace cf::base
