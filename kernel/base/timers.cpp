#include "base/timers.hpp"

#include <algorithm>

namespace cf::base {

TimerId Timers::add(Clock::time_point when, Task task) {
    const TimerId id = next_++;
    heap_.push({when, id});
    tasks_.emplace(id, std::move(task));
    return id;
}

void Timers::cancel(TimerId id) {
    if (id == 0 || tasks_.erase(id) == 0) return;
    // Deadlines of calls that were answered long ago would pile up until they are due: rebuild when most are dead.
    if (heap_.size() > 64 && heap_.size() > 4 * tasks_.size()) {
        std::vector<Entry> alive;
        alive.reserve(tasks_.size());
        for (; !heap_.empty(); heap_.pop())
            if (tasks_.contains(heap_.top().id)) alive.push_back(heap_.top());
        heap_ = decltype(heap_)(std::greater<>{}, std::move(alive));
    }
}

void Timers::dropCancelled() {
    while (!heap_.empty() && !tasks_.contains(heap_.top().id)) heap_.pop();
}

void Timers::run(Clock::time_point now) {
    for (dropCancelled(); !heap_.empty() && heap_.top().when <= now; dropCancelled()) {
        const TimerId id = heap_.top().id;
        heap_.pop();
        auto node = tasks_.extract(id);
        node.mapped()();
    }
}

int Timers::waitMs(Clock::time_point now) {
    dropCancelled();
    if (heap_.empty()) return -1;
    const auto left = heap_.top().when - now;
    if (left <= Clock::duration::zero()) return 0;
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    return static_cast<int>(std::min<decltype(ms)>(ms, 60'000));
}

}  // namespace cf::base
