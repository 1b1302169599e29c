// Memory for the sources of saves, from their arrival to the end of their builds: what waits for
// an earlier save or for a place to build, and what is being built. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

namespace cf::functions {

class SourcesInWork {
public:
    explicit SourcesInWork(uint64_t most) : most_(most) {}
    SourcesInWork(const SourcesInWork&) = delete;
    SourcesInWork& operator=(const SourcesInWork&) = delete;

    // Given back when its last copy goes, before this does.
    using Share = std::shared_ptr<void>;
    // Null when there is no room. There always is for a single save, and for small ones, which are
    // bounded by the number of saves that may wait.
    Share take(uint64_t bytes) {
        constexpr uint64_t small = 8192;
        if (bytes <= small) bytes = 0;
        const std::lock_guard lock(mutex_);
        if (bytes != 0 && taken_ != 0 && taken_ + bytes > most_) return nullptr;
        taken_ += bytes;
        return {static_cast<void*>(this), [this, bytes](void*) {
                    const std::lock_guard giving(mutex_);
                    taken_ -= bytes;
                }};
    }
    uint64_t most() const { return most_; }

private:
    const uint64_t most_;
    std::mutex mutex_;
    uint64_t taken_ = 0;
};

}  // namespace cf::functions
