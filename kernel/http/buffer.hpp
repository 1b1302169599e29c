// Bytes of one request while they arrive and while it is handled. Grows without zeroing; always
// keeps `slack` readable bytes behind what it can hold, for validators that load whole registers.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace cf::http {

class Buffer {
public:
    static constexpr size_t slack = 64;

    Buffer() = default;
    Buffer(Buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }
    ~Buffer() { std::free(data_); }

    char* data() { return data_; }
    const char* data() const { return data_; }
    size_t size() const { return size_; }
    size_t capacity() const { return capacity_; }
    size_t room() const { return capacity_ - size_; }
    void setSize(size_t size) { size_ = size; }

    // Room for `capacity` bytes in all; what is there stays. realloc(3) moves large blocks by
    // remapping pages.
    void reserve(size_t capacity) {
        if (capacity <= capacity_) return;
        auto* moved = static_cast<char*>(std::realloc(data_, capacity + slack));
        if (moved == nullptr) throw std::bad_alloc();
        data_ = moved;
        capacity_ = capacity;
    }
    void append(const char* bytes, size_t count) {
        if (count == 0) return;
        if (room() < count) reserve(size_ + count > 2 * capacity_ ? size_ + count : 2 * capacity_);
        std::memcpy(data_ + size_, bytes, count);
        size_ += count;
    }
    // Gives the memory back.
    void release() {
        std::free(std::exchange(data_, nullptr));
        size_ = capacity_ = 0;
    }

private:
    char* data_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

}  // namespace cf::http
