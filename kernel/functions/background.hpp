// A few threads for builds that run behind an answer. What still waits when the platform stops is
// dropped: the store knows it as building, and the next start says so. Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/log.hpp"

namespace cf::functions {

class Background {
public:
    explicit Background(size_t threads) {
        for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
    }
    ~Background() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            queue_.clear();
        }
        wake_.notify_all();
        for (auto& thread : threads_) thread.join();
    }
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

    void add(std::function<void()> work) {
        {
            const std::lock_guard lock(mutex_);
            if (stopping_) return;
            queue_.push_back(std::move(work));
        }
        wake_.notify_one();
    }
    // How many wait; callers bound it.
    size_t waiting() const {
        const std::lock_guard lock(mutex_);
        return queue_.size();
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        while (true) {
            wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
            if (stopping_) return;
            auto work = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            try {
                work();
            } catch (const std::exception& exception) {
                base::logError("functions",
                               std::string("a build ended by an exception: ") + exception.what());
            }
            // What the work holds (locks of functions) is let go before the next one begins.
            work = nullptr;
            lock.lock();
        }
    }

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> queue_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace cf::functions
