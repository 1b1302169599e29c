#include "http/deadlines.hpp"

#include <algorithm>

namespace cf::http {

// The first tick at or after `time`.
uint64_t Deadlines::tickOf(Clock::time_point time) const {
    const auto since = std::chrono::ceil<std::chrono::milliseconds>(time - start_);
    return static_cast<uint64_t>(std::max<int64_t>(since.count() + tick.count() - 1, 0) /
                                 tick.count());
}

void Deadlines::set(DeadlineEntry& entry, Clock::time_point due) {
    entry.due_ = due;
    if (entry.linked_ && start_ + tick * static_cast<int64_t>(entry.tick_) <= due) return;
    if (entry.linked_) unlink(entry);
    link(entry, tickOf(due));
}

void Deadlines::remove(DeadlineEntry& entry) {
    clear(entry);
    if (entry.linked_) unlink(entry);
}

void Deadlines::link(DeadlineEntry& entry, uint64_t at) {
    // An empty wheel need not be turned; one that is being turned stays where it is, or an entry
    // that goes round once more could come back to the very slot that is being emptied.
    if (linked_ == 0 && !turning_)
        turned_ =
            std::max(turned_, tickOf(loop_.now()) - std::min<uint64_t>(tickOf(loop_.now()), 1));
    at = std::clamp(at, turned_ + 1, turned_ + slots - 1);
    Slot& slot = wheel_[at % slots];
    entry.tick_ = at;
    entry.previous_ = nullptr;
    entry.next_ = slot.first;
    if (slot.first != nullptr) slot.first->previous_ = &entry;
    slot.first = &entry;
    entry.linked_ = true;
    ++linked_;
    if (armed_ == 0 || at < armed_) arm(at);
}

void Deadlines::unlink(DeadlineEntry& entry) {
    if (entry.previous_ != nullptr)
        entry.previous_->next_ = entry.next_;
    else
        wheel_[entry.tick_ % slots].first = entry.next_;
    if (entry.next_ != nullptr) entry.next_->previous_ = entry.previous_;
    entry.linked_ = false;
    --linked_;
}

void Deadlines::arm(uint64_t at) {
    loop_.cancel(timer_);
    armed_ = at;
    timer_ = loop_.at(start_ + tick * static_cast<int64_t>(at), [this] { turn(); });
}

void Deadlines::turn() {
    const auto now = Clock::now();
    armed_ = 0;
    timer_ = 0;
    const auto past = static_cast<uint64_t>((now - start_) / tick);
    // Entries that stay go to slots behind `turned_`, so that each slot is emptied.
    turning_ = true;
    for (; turned_ < past && linked_ > 0;) {
        Slot& slot = wheel_[++turned_ % slots];
        while (slot.first != nullptr) {
            DeadlineEntry& entry = *slot.first;
            unlink(entry);
            if (entry.due_ == Clock::time_point::max()) continue;
            if (entry.due_ > now) {
                link(entry, tickOf(entry.due_));
                continue;
            }
            clear(entry);
            entry.onDeadline();
        }
    }
    turning_ = false;
    if (linked_ == 0) return;
    for (uint64_t at = turned_ + 1; at < turned_ + slots; ++at)
        if (wheel_[at % slots].first != nullptr) return arm(at);
}

}  // namespace cf::http
