#include "http/chunk_decoder.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "http/ascii.hpp"
#include "http/field.hpp"

namespace cf::http {

namespace {

constexpr size_t maxSizeDigits = 16;
constexpr size_t maxLine = 4096;
constexpr size_t maxExtra = 16 * 1024;
constexpr size_t npos = std::string_view::npos;

// *( ";" name [ "=" ( token / quoted-string ) ] ) without the "bad whitespace" that RFC 9112 lets a
// server refuse: implementations disagree about it, which makes it a vehicle for smuggling.
bool validExtensions(std::string_view text) {
    size_t at = 0;
    const auto token = [&] {
        const size_t begin = at;
        while (at < text.size() && is(text[at], ascii::token)) ++at;
        return at > begin;
    };
    while (at < text.size()) {
        if (text[at++] != ';' || !token()) return false;
        if (at == text.size() || text[at] != '=') continue;
        if (++at == text.size() || text[at] != '"') {
            if (!token()) return false;
            continue;
        }
        for (++at; at < text.size() && text[at] != '"'; ++at) {
            if (text[at] == '\\') ++at;
            if (at >= text.size() || !is(text[at], ascii::value)) return false;
        }
        if (at++ >= text.size()) return false;
    }
    return true;
}

}  // namespace

void ChunkDecoder::begin(size_t start) {
    *this = ChunkDecoder{};
    start_ = write_ = read_ = scanned_ = start;
}

size_t ChunkDecoder::wholeLine(const char* data, size_t size, size_t limit) {
    scanned_ = std::max(scanned_, read_);
    const void* found =
        size > scanned_ ? std::memchr(data + scanned_, '\n', size - scanned_) : nullptr;
    scanned_ = size;
    if (found == nullptr) {
        if (size - read_ > limit) error_ = "has too long a line in its chunked body";
        return npos;
    }
    const auto end = static_cast<size_t>(static_cast<const char*>(found) - data);
    scanned_ = end + 1;
    if (end - read_ > limit)
        error_ = "has too long a line in its chunked body";
    else if (end == read_ || data[end - 1] != '\r')
        error_ = "has a line feed without a carriage return in its chunked body";
    return error_ != nullptr ? npos : end - 1 - read_;
}

bool ChunkDecoder::takeSizeLine(const char* text, size_t length) {
    const std::string_view line(text, length);
    size_t digits = 0;
    left_ = 0;
    while (digits < line.size() && hexDigit(line[digits]) >= 0) {
        if (digits == maxSizeDigits) return false;
        left_ = left_ << 4 | static_cast<uint64_t>(hexDigit(line[digits++]));
    }
    extra_ += line.size() - digits;
    return digits > 0 && extra_ <= maxExtra && validExtensions(line.substr(digits));
}

ChunkDecoder::State ChunkDecoder::compact(char* data, size_t& size) {
    const size_t gap = read_ - write_;
    if (gap > 0) {
        std::memmove(data + write_, data + read_, size - read_);
        size -= gap;
        read_ -= gap;
        scanned_ = std::max(scanned_, read_ + gap) - gap;
    }
    return State::needMore;
}

ChunkDecoder::State ChunkDecoder::decode(char* data, size_t& size, size_t maxBody) {
    for (;;) {
        if (phase_ == Phase::data) {
            const size_t count = std::min<uint64_t>(left_, size - read_);
            std::memmove(data + write_, data + read_, count);
            write_ += count;
            read_ += count;
            left_ -= count;
            if (left_ > 0) return compact(data, size);
            phase_ = Phase::dataEnd;
        }
        if (phase_ == Phase::dataEnd) {
            const size_t have = std::min<size_t>(size - read_, 2);
            if (std::memcmp(data + read_, "\r\n", have) != 0)
                return fail("has a chunk that does not end where its size says");
            if (have < 2) return compact(data, size);
            read_ += 2;
            phase_ = Phase::size;
        }
        const size_t length = wholeLine(data, size, maxLine);
        if (error_ != nullptr) return State::failed;
        if (length == npos) return compact(data, size);
        const char* line = data + read_;
        read_ += length + 2;
        if (phase_ == Phase::size) {
            if (!takeSizeLine(line, length)) return fail("has a malformed chunk size");
            if (left_ > maxBody || maxBody - left_ < bodySize()) return State::tooLarge;
            phase_ = left_ == 0 ? Phase::trailer : Phase::data;
        } else {
            if (length == 0) return State::complete;
            extra_ += length;
            if (extra_ > maxExtra) return fail("has too long a trailer section");
            if (splitField({line, length}).error != nullptr)
                return fail("has a malformed trailer line");
        }
    }
}

}  // namespace cf::http
