// Deadlines of thousands of connections at the price of one timer: a wheel of coarse slots. Moving
// a deadline further away, which every request does, is an assignment; the entry is looked at again
// when its old slot comes up. Deadlines run up to one tick late, never early. Loop thread only.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "base/event_loop.hpp"

namespace cf::http {

// Base of what has a deadline; in at most one wheel. Its owner removes it before it dies.
class DeadlineEntry {
public:
    using Clock = std::chrono::steady_clock;

    DeadlineEntry() = default;
    DeadlineEntry(const DeadlineEntry&) = delete;
    DeadlineEntry& operator=(const DeadlineEntry&) = delete;
    // The deadline has passed and is no more. May remove or delete itself and others.
    virtual void onDeadline() = 0;

protected:
    ~DeadlineEntry() = default;

private:
    friend class Deadlines;
    DeadlineEntry* previous_ = nullptr;
    DeadlineEntry* next_ = nullptr;
    uint64_t tick_ = 0;  // of the slot it stands in; meaningless without one
    Clock::time_point due_ = Clock::time_point::max();
    bool linked_ = false;
};

class Deadlines {
public:
    using Clock = DeadlineEntry::Clock;
    static constexpr std::chrono::milliseconds tick{50};
    static constexpr uint64_t slots = 1024;  // 51 s ahead; later deadlines go round more than once

    explicit Deadlines(base::EventLoop& loop) : loop_(loop), start_(Clock::now()) {}
    ~Deadlines() { loop_.cancel(timer_); }

    void set(DeadlineEntry& entry, Clock::time_point due);
    void clear(DeadlineEntry& entry) { entry.due_ = Clock::time_point::max(); }
    void remove(DeadlineEntry& entry);

private:
    struct Slot {
        DeadlineEntry* first = nullptr;
    };
    uint64_t tickOf(Clock::time_point time) const;
    void link(DeadlineEntry& entry, uint64_t tick);
    void unlink(DeadlineEntry& entry);
    void arm(uint64_t tick);
    void turn();

    base::EventLoop& loop_;
    Clock::time_point start_;
    std::array<Slot, slots> wheel_{};
    uint64_t turned_ = 0;  // slots up to this tick are done
    uint64_t armed_ = 0;   // tick of the timer; 0 without one
    base::TimerId timer_ = 0;
    size_t linked_ = 0;
    bool turning_ = false;
};

}  // namespace cf::http
