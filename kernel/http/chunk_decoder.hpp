// Chunked bodies (RFC 9112 section 7.1), decoded in place: the decoded bytes move up against the
// head, so that a whole body lies in one piece without a second buffer. Extensions and trailers are
// checked, bounded and thrown away.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cf::http {

class ChunkDecoder {
public:
    enum class State { needMore, complete, failed, tooLarge };

    // Begins with the raw body at `start` of the message.
    void begin(size_t start);

    // `data` is the whole message, `size` the bytes received so far. Decodes what is there. With
    // needMore the bytes not yet decoded were moved behind the decoded ones and `size` shrank
    // accordingly. Not to be called after an end.
    State decode(char* data, size_t& size, size_t maxBody);

    size_t bodySize() const { return write_ - start_; }
    // Where the next message begins, when complete.
    size_t consumed() const { return read_; }
    const char* error() const { return error_; }

private:
    enum class Phase { size, data, dataEnd, trailer };

    // The next line's length without CRLF, or npos when it is not whole yet or `error_` was set.
    size_t wholeLine(const char* data, size_t size, size_t maxLine);
    bool takeSizeLine(const char* line, size_t length);
    State compact(char* data, size_t& size);
    State fail(const char* error) { return error_ = error, State::failed; }

    size_t start_ = 0;
    size_t write_ = 0;    // end of the decoded body
    size_t read_ = 0;     // first byte not decoded yet
    size_t scanned_ = 0;  // no LF between read_ and here
    uint64_t left_ = 0;   // of the present chunk
    size_t extra_ = 0;    // bytes of extensions and trailers so far
    Phase phase_ = Phase::size;
    const char* error_ = nullptr;
};

}  // namespace cf::http
