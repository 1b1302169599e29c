// What the fuzz targets share. A target is LLVMFuzzerTestOneInput in a file of its own: it gives
// the input to one reader of strangers' bytes and checks what must hold of every outcome. Who
// drives it, libFuzzer or replay.cpp, it does not know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace cf::fuzz {

inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "violated: %s\n", what);
    std::abort();
}

// A copy on the heap with exactly `padding` bytes behind it, so that the address sanitizer sees
// every byte read beyond; they are not zero, so that nobody comes to rely on what stands there.
class Padded {
public:
    Padded(std::string_view text, size_t padding)
        : bytes_(new char[text.size() + padding + 1]), size_(text.size()) {
        if (size_ > 0) std::memcpy(bytes_.get(), text.data(), size_);
        std::memset(bytes_.get() + size_, 0x5d, padding);
    }
    char* data() { return bytes_.get(); }
    std::string_view text() const { return {bytes_.get(), size_}; }

private:
    std::unique_ptr<char[]> bytes_;
    size_t size_;
};

// True when `part` lies in `whole`, or is empty.
inline bool within(std::string_view part, std::string_view whole) {
    return part.empty() ||
           (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

inline std::string_view textOf(const uint8_t* data, size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

}  // namespace cf::fuzz
