// Processor time that a worker takes while it has no call: a function that leaves threads or
// processes behind would otherwise compute at its neighbours' cost until keep_alive is over.
// Measured where a worker is idle anyway, never on the way of a call that follows another at once.
// Kernel process, one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include "base/unique_fd.hpp"

namespace cf::sandbox {

// What one idle worker may take: a share for good, in cores, and so much at once on top of it.
struct IdleLimit {
    double share = 0;
    std::chrono::microseconds burst{0};
};

// What all idle workers together may take. While they keep to it, each has its whole limit; beyond
// that, those that compute at all divide it: on a machine that many of them keep busy, none of them
// would get far enough to be noticed.
class IdleBudget {
public:
    // For collecting garbage, compiling what was just run, a timer that refreshes a cache now and
    // then.
    static constexpr std::chrono::microseconds burst = std::chrono::seconds(2);

    // `share` of one worker, `together` of all; in cores. A share of 0 is no limit.
    IdleBudget(double share, double together) : share_(share), together_(together) {}
    bool limited() const { return share_ > 0; }
    IdleLimit limit() const { return limit_; }
    // What a worker took in the second that is over.
    void note(double cores);
    // All have been looked at.
    void endRound();

private:
    double share_, together_;
    IdleLimit limit_{share_, burst};
    double sum_ = 0;
    size_t busy_ = 0;
};

class IdleWork {
public:
    using Clock = std::chrono::steady_clock;

    // `file` is WorkerLauncher::Worker::processorTime; without one nothing is ever too much.
    void watch(base::UniqueFd file) { file_ = std::move(file); }
    // The worker has no call, and had none since the last begins(). True when it took more than its
    // share and the burst.
    bool isTooMuch(Clock::time_point now, const IdleLimit& limit);
    // A call begins: what follows is its own.
    void begins(Clock::time_point now, const IdleLimit& limit);
    // What it took between the last two looks, in cores.
    double rate() const { return rate_; }
    // What it took since its allowance was last unspent.
    std::chrono::microseconds used() const { return used_; }

private:
    void count(Clock::time_point now, const IdleLimit& limit);
    std::optional<std::chrono::microseconds> total() const;

    base::UniqueFd file_{};
    bool counting_ = false;
    double rate_ = 0;
    Clock::time_point since_{};
    std::chrono::microseconds totalThen_{0};
    std::chrono::microseconds used_{0};
    std::chrono::duration<double, std::micro> over_{0};  // beyond its share
};

}  // namespace cf::sandbox
