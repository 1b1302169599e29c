// Shares a bounded amount of work a tick among tasks, in turn: where every task is looked at again
// and again, a few that are much work must not delay what else their thread does. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace cf::sandbox {

class Turns {
public:
    explicit Turns(int64_t unitsOfTick) : unitsOfTick_(unitsOfTick) {}

    // What a look took, and whether it is to be continued before anybody else's.
    struct Look {
        int64_t units = 0;
        bool unfinished = false;
    };
    // Calls `look(task, units left)` for `tasks`, which are sorted, beginning after the one that was
    // last: each once at most, until a tick's units are used up. What a look took beyond them, the
    // next ticks lack.
    template <typename Function>
    void tick(const std::vector<uint64_t>& tasks, Function look) {
        left_ = std::min(unitsOfTick_, left_ + unitsOfTick_);
        for (size_t i = 0; i < tasks.size() && left_ > 0; ++i) {
            auto next = std::lower_bound(tasks.begin(), tasks.end(), next_);
            if (next == tasks.end()) next = tasks.begin();
            const Look taken = look(*next, left_);
            left_ -= taken.units;
            next_ = *next + (taken.unfinished ? 0 : 1);
            if (taken.unfinished) return;
        }
    }

private:
    const int64_t unitsOfTick_;
    int64_t left_ = 0;
    uint64_t next_ = 0;
};

}  // namespace cf::sandbox
