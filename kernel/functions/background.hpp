// A few threads with a queue in two ranks, and work that begins later. What still waits at the end
// is dropped, never run: its destructors are what tells whoever waits for it. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/log.hpp"

namespace cf::functions {

class Background {
public:
    using Work = std::function<void()>;
    using Clock = std::chrono::steady_clock;

    explicit Background(size_t threads) {
        for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
    }
    ~Background() { stop(); }
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

    // Waits for what runs. From then on everything that is added is dropped at once.
    void stop() {
        std::deque<Work> first, last;
        std::multimap<Clock::time_point, Work> later;
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            first.swap(first_);
            last.swap(last_);
            later.swap(later_);
        }
        // Who waits is told now, not when the longest of those that run has ended.
        first.clear();
        last.clear();
        later.clear();
        wake_.notify_all();
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }

    void add(Work work) { push(first_, std::move(work)); }
    // Begins when nothing that was add()ed waits.
    void addLast(Work work) { push(last_, std::move(work)); }
    void after(std::chrono::milliseconds delay, Work work) {
        {
            const std::lock_guard lock(mutex_);
            if (stopping_) return;
            later_.emplace(Clock::now() + delay, std::move(work));
        }
        // Whichever of them gets other work meanwhile, another one knows the time.
        wake_.notify_all();
    }
    // How much of what was add()ed waits; callers bound it.
    size_t waiting() const {
        const std::lock_guard lock(mutex_);
        return first_.size();
    }
    // Whether what is added now finds no free thread.
    bool busy() const {
        const std::lock_guard lock(mutex_);
        return running_ + first_.size() >= threads_.size();
    }

private:
    void push(std::deque<Work>& queue, Work work) {
        {
            const std::lock_guard lock(mutex_);
            if (stopping_) return;
            queue.push_back(std::move(work));
        }
        wake_.notify_one();
    }

    // Under the mutex: what to do now, or nothing after a wait.
    Work next(std::unique_lock<std::mutex>& lock) {
        Work work;
        if (!later_.empty() && later_.begin()->first <= Clock::now()) {
            work = std::move(later_.begin()->second);
            later_.erase(later_.begin());
        } else if (auto& queue = first_.empty() ? last_ : first_; !queue.empty()) {
            work = std::move(queue.front());
            queue.pop_front();
        } else if (later_.empty()) {
            wake_.wait(lock);
        } else {
            const auto until = later_.begin()->first;
            wake_.wait_until(lock, until);
        }
        return work;
    }

    void run() {
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            auto work = next(lock);
            if (!work) continue;
            ++running_;
            lock.unlock();
            try {
                work();
            } catch (const std::exception& exception) {
                base::logError("functions",
                               std::string("a save ended by an exception: ") + exception.what());
            }
            // What the work holds (locks of functions) is let go before the next one begins.
            work = nullptr;
            lock.lock();
            --running_;
        }
    }

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Work> first_, last_;
    std::multimap<Clock::time_point, Work> later_;
    size_t running_ = 0;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace cf::functions
