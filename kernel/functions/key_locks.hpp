// Locks by name, for work that must not overlap on one function. Nobody keeps a thread while
// waiting for one: who waits is called when it is their turn. A lock may be released by another
// thread than took it (a save hands it to its build). Thread-safe.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "functions/background.hpp"

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
    // What waiting came to: the lock, or why there is none.
    struct Turn {
        std::optional<Guard> lock{};
        bool crowded = false;  // too many wait already; otherwise it took too long
    };
    using Then = std::function<void(Turn)>;

    // Who has waited is called on a thread of `waiters`, which outlives the locks' use. At most
    // `most` wait for one key.
    KeyLocks(Background& waiters, size_t most) : waiters_(waiters), most_(most) {}

    std::optional<Guard> tryTake(const std::string& key) {
        const std::lock_guard lock(mutex_);
        if (!taken_.try_emplace(key).second) return std::nullopt;
        return Guard(*this, key);
    }

    // Calls `then` with the lock: at once and on this thread when it is free, otherwise in the
    // order of coming; without it after `wait`, and at once when too many wait.
    void take(const std::string& key, std::chrono::milliseconds wait, const Then& then) {
        Turn turn;
        {
            const std::lock_guard lock(mutex_);
            const auto [at, free] = taken_.try_emplace(key);
            if (free) {
                turn.lock.emplace(*this, key);
            } else if (at->second.size() >= most_) {
                turn.crowded = true;
            } else {
                const uint64_t id = ++lastId_;
                at->second.push_back({id, then});
                waiters_.after(wait, [this, key, id] { expire(key, id); });
                return;
            }
        }
        then(std::move(turn));
    }

private:
    struct Waiter {
        uint64_t id = 0;
        Then then{};
    };

    void release(const std::string& key) {
        Then next;
        {
            const std::lock_guard lock(mutex_);
            const auto at = taken_.find(key);
            if (at->second.empty()) {
                taken_.erase(at);
                return;
            }
            next = std::move(at->second.front().then);
            at->second.pop_front();
        }
        // Its lock from here on, also when the call is dropped.
        auto guard = std::make_shared<Guard>(*this, key);
        waiters_.add([guard = std::move(guard), next = std::move(next)] {
            next({.lock = std::move(*guard)});
        });
    }

    void expire(const std::string& key, uint64_t id) {
        Then then;
        {
            const std::lock_guard lock(mutex_);
            const auto at = taken_.find(key);
            if (at == taken_.end()) return;
            auto& queue = at->second;
            for (auto one = queue.begin(); one != queue.end(); ++one) {
                if (one->id != id) continue;
                then = std::move(one->then);
                queue.erase(one);
                break;
            }
        }
        if (then) then({});
    }

    Background& waiters_;
    const size_t most_;
    std::mutex mutex_;
    uint64_t lastId_ = 0;
    std::unordered_map<std::string, std::deque<Waiter>> taken_;  // with those who wait
};

}  // namespace cf::functions
