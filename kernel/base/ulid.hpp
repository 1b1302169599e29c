// Time-ordered unique ids (the ULID specification: 48 bits of milliseconds, 80 random bits, Crockford base 32).
// Within one generator ids of the same millisecond ascend. Random bits come from getrandom(2).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace cf::base {

constexpr size_t ulidSize = 26;

// One thread's generator.
class UlidGenerator {
public:
    // Writes 26 characters for the wall clock `unixMs`.
    void next(int64_t unixMs, char (&text)[ulidSize]);
    std::string next(int64_t unixMs);

private:
    int64_t lastMs_ = -1;
    std::array<uint8_t, 10> random_{};
};

// True for 26 characters of Crockford's base 32 in upper case that fit 128 bits.
bool isUlid(std::string_view text);

// 64 unpredictable bits from getrandom(2), buffered per thread.
uint64_t randomBits();

}  // namespace cf::base
