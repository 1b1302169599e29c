// How many lines about refused connections a worker may add to its function's log: enough to help,
// too few to fill it. One thread.
#pragma once

#include <chrono>
#include <cstddef>

namespace cf::workers {

class RefusalLines {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr size_t maxOfSecond = 10;
    static constexpr size_t maxOfCall = 100;

    // What becomes of a line: it is written, or a last one that says that there are more, or none.
    enum class Verdict { say, sayThatThereAreMore, nothing };
    Verdict next(Clock::time_point now) {
        if (said_ > maxOfCall) return Verdict::nothing;
        if (now - second_ >= std::chrono::seconds(1)) {
            second_ = now;
            ofSecond_ = 0;
        }
        ++ofSecond_;
        if (ofSecond_ > maxOfSecond + 1) return Verdict::nothing;
        ++said_;
        return ofSecond_ > maxOfSecond || said_ > maxOfCall ? Verdict::sayThatThereAreMore
                                                            : Verdict::say;
    }
    // An invocation begins in an idle worker.
    void begin() { said_ = 0; }

private:
    Clock::time_point second_{};
    size_t ofSecond_ = 0;
    size_t said_ = 0;
};

}  // namespace cf::workers
