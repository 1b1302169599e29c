// Locks by name, for work that must not overlap on one function. A lock may be released by another
// thread than took it (a save that answers early hands it to its build). Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

namespace cf::functions {

class KeyLocks {
public:
    class Guard {
    public:
        Guard(KeyLocks& locks, std::string key) : locks_(&locks), key_(std::move(key)) {}
        Guard(Guard&& other) noexcept
            : locks_(std::exchange(other.locks_, nullptr)), key_(std::move(other.key_)) {}
        Guard& operator=(Guard&& other) noexcept {
            std::swap(locks_, other.locks_);
            std::swap(key_, other.key_);
            return *this;
        }
        ~Guard() {
            if (locks_ != nullptr) locks_->release(key_);
        }

    private:
        KeyLocks* locks_;
        std::string key_;
    };

    // Nothing when the key stays taken for `wait`; a wait of zero only tries.
    std::optional<Guard> take(const std::string& key, std::chrono::milliseconds wait) {
        std::unique_lock lock(mutex_);
        if (!freed_.wait_for(lock, wait, [&] { return !taken_.contains(key); }))
            return std::nullopt;
        taken_.insert(key);
        return Guard(*this, key);
    }

private:
    void release(const std::string& key) {
        const std::lock_guard lock(mutex_);
        taken_.erase(key);
        freed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable freed_;
    std::unordered_set<std::string> taken_;
};

}  // namespace cf::functions
