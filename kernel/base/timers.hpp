// Deadlines of one event loop, in order: a binary heap with lazy deletion. Loop thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <queue>
#include <unordered_map>
#include <vector>

namespace cf::base {

using TimerId = uint64_t;  // 0 is no timer

class Timers {
public:
    using Clock = std::chrono::steady_clock;
    using Task = std::function<void()>;

    TimerId add(Clock::time_point when, Task task);
    void cancel(TimerId id);
    // Runs what is due at `now`; tasks may add and cancel timers.
    void run(Clock::time_point now);
    // Milliseconds until the next one is due, rounded up; -1 without one, at most 60 000.
    int waitMs(Clock::time_point now);

private:
    struct Entry {
        Clock::time_point when;
        TimerId id;
        bool operator>(const Entry& other) const { return when > other.when || (when == other.when && id > other.id); }
    };
    void dropCancelled();

    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap_;
    std::unordered_map<TimerId, Task> tasks_;
    TimerId next_ = 1;
};

}  // namespace cf::base
