#include "base/ulid.hpp"

#include <sys/random.h>

#include <cstring>
#include <stdexcept>

namespace cf::base {

namespace {

constexpr char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void fillRandom(void* target, size_t size) {
    auto* at = static_cast<char*>(target);
    while (size > 0) {
        const ssize_t got = ::getrandom(at, size, 0);
        if (got < 0) throw std::runtime_error("getrandom failed");
        at += got;
        size -= static_cast<size_t>(got);
    }
}

}  // namespace

uint64_t randomBits() {
    thread_local uint64_t buffer[64];
    thread_local size_t left = 0;
    if (left == 0) {
        fillRandom(buffer, sizeof buffer);
        left = 64;
    }
    return buffer[--left];
}

void UlidGenerator::next(int64_t unixMs, char (&text)[ulidSize]) {
    if (unixMs <= lastMs_) {
        // Same millisecond, or a clock that stepped back: count up, so that ids keep their order.
        for (size_t i = random_.size(); i-- > 0 && ++random_[i] == 0;) {
        }
    } else {
        lastMs_ = unixMs;
        const uint64_t high = randomBits(), low = randomBits();
        std::memcpy(random_.data(), &high, 8);
        std::memcpy(random_.data() + 8, &low, 2);
        random_[0] &= 0x7f;  // room to count up
    }
    auto time = static_cast<uint64_t>(lastMs_);
    for (size_t i = 10; i-- > 0; time >>= 5) text[i] = alphabet[time & 31];
    uint32_t bits = 0;
    int have = 0;
    size_t at = 10;
    for (const uint8_t byte : random_) {
        bits = bits << 8 | byte;
        for (have += 8; have >= 5; have -= 5) text[at++] = alphabet[bits >> (have - 5) & 31];
    }
}

std::string UlidGenerator::next(int64_t unixMs) {
    char text[ulidSize];
    next(unixMs, text);
    return {text, ulidSize};
}

bool isUlid(std::string_view text) {
    if (text.size() != ulidSize || text[0] > '7') return false;
    for (const char c : text)
        if (c == '\0' || std::strchr(alphabet, c) == nullptr) return false;
    return true;
}

}  // namespace cf::base
