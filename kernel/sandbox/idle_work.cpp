#include "sandbox/idle_work.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace cf::sandbox {

namespace {

constexpr double hardlyAnything = 0.01;  // cores
// What is left to each however many there are: honest timers take less.
constexpr double leastShare = 0.03;

}  // namespace

void IdleBudget::note(double cores) {
    if (cores < hardlyAnything) return;
    sum_ += cores;
    ++busy_;
}

void IdleBudget::endRound() {
    const double share =
        sum_ > together_
            ? std::min(share_, std::max(leastShare, together_ / static_cast<double>(busy_)))
            : share_;
    limit_ = {share, share_ > 0 ? std::chrono::duration_cast<std::chrono::microseconds>(
                                      burst * (share / share_))
                                : burst};
    sum_ = 0;
    busy_ = 0;
}

bool IdleWork::isTooMuch(Clock::time_point now, const IdleLimit& limit) {
    rate_ = 0;
    count(now, limit);
    const auto read = total();
    counting_ = read.has_value();
    since_ = now;
    totalThen_ = read.value_or(std::chrono::microseconds(0));
    return over_ > limit.burst;
}

void IdleWork::begins(Clock::time_point now, const IdleLimit& limit) {
    count(now, limit);
    counting_ = false;
}

void IdleWork::count(Clock::time_point now, const IdleLimit& limit) {
    if (!counting_) return;
    const auto read = total();
    if (!read) return;
    const auto took = std::max(*read - totalThen_, std::chrono::microseconds(0));
    const std::chrono::duration<double, std::micro> time = now - since_;
    over_ += took - limit.share * time;
    used_ += took;
    if (time.count() > 0) rate_ = static_cast<double>(took.count()) / time.count();
    if (over_.count() > 0) return;
    over_ = over_.zero();
    used_ = used_.zero();
}

std::optional<std::chrono::microseconds> IdleWork::total() const {
    // cpu.stat of cgroup v2 begins with "usage_usec 123"; cpuacct.usage of v1 is nanoseconds alone.
    char text[64];
    const ssize_t got = file_ ? ::pread(file_.get(), text, sizeof text, 0) : -1;
    if (got <= 0) return {};
    constexpr std::string_view name = "usage_usec ";
    const bool isStat = std::string_view(text, static_cast<size_t>(got)).starts_with(name);
    uint64_t number = 0;
    if (std::from_chars(text + (isStat ? name.size() : 0), text + got, number).ec != std::errc{})
        return {};
    return std::chrono::microseconds(isStat ? number : number / 1000);
}

}  // namespace cf::sandbox
