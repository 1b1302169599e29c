// What one call printed, for its record. Its lines stay whole, however the writes of its two
// streams interleave. Loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace cf::workers {

enum class Stream : uint8_t { output = 1, errors = 2 };

class Printed {
public:
    static constexpr size_t most = 16 * 1024;  // bytes that are kept

    void add(Stream stream, std::string_view text) {
        if (stream != last_) {
            // The line that the other stream has begun waits for its end.
            last_ = stream;
            const size_t begin = text_.rfind('\n') + 1;  // npos + 1 is 0
            std::string begun = text_.substr(begin);
            text_.resize(begin);
            text_ += waiting_;
            waiting_ = std::move(begun);
        }
        const size_t room = most - text_.size() - waiting_.size();
        text_.append(text.substr(0, room));
        if (text.size() > room) dropped_ += text.size() - room;
    }

    std::string text() const {
        const bool isBegun = !text_.empty() && text_.back() != '\n';
        return text_ + (isBegun && !waiting_.empty() ? "\n" : "") + waiting_;
    }
    // Of either stream a line was begun and not ended.
    bool hasOpenLine() const {
        return !waiting_.empty() || (!text_.empty() && text_.back() != '\n');
    }
    size_t dropped() const { return dropped_; }  // bytes that did not fit

private:
    std::string text_;
    std::string waiting_;  // the begun line of the stream that did not print last
    Stream last_ = Stream::output;
    size_t dropped_ = 0;
};

}  // namespace cf::workers
