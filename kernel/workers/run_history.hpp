// What a function's latest answers tell about its next call: whether it is a short one, and how many
// calls may wait in the socket of a busy worker. A share of long answers and not a mean of all: one
// call that lost its core for 20 ms says nothing about the others. Loop thread only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace cf::workers {

class RunHistory {
public:
    struct Answer {
        std::chrono::microseconds run{};  // of the handler
        bool first = false;     // of its worker: it loads what later ones find loaded
        bool crowded = false;   // others waited behind it in the socket
        bool native = false;    // it printed past its shim
        bool parallel = false;  // it may have run beside others on the worker: none waited behind it
    };
    // `perCore()`: how many processes want each core, at least 1; asked about long runs only.
    template <typename PerCore>
    void add(const Answer& answer, PerCore&& perCore) {
        noteNative(answer.native);
        if (addRun(answer) && !answer.parallel && answer.run >= outlier &&
            answer.run >= outlier * perCore())
            blame(answer.crowded);
    }

    // Both are false before the first answer.
    bool isShort() const { return samples_ > 0 && longShare_ < mostLong; }
    bool isLong() const { return samples_ > 0 && longShare_ >= mostLong; }
    // Calls that a worker may have at once, the one that it runs included: 1 to 32.
    size_t depth() const;

private:
    static constexpr double mostLong = 0.25;
    // A run that no lost core explains, for each process that wants the core: what waited behind it
    // was harmed by it.
    static constexpr std::chrono::duration<double, std::micro> outlier{10'000};
    static constexpr size_t leastCallsPerDepth = 4;  // of a function that was never caught being long

    void noteNative(bool native);
    bool addRun(const Answer& answer);
    void blame(bool crowded);

    double meanUs_ = 0;       // moving mean, long ones cut
    double longShare_ = 0;    // of the latest answers: how many were not short
    size_t samples_ = 0;      // answers in both, up to a window's length
    size_t shortInARow_ = 0;  // answers since the last one that was not short
    size_t sinceNative_ = SIZE_MAX;  // answers since a call printed natively
    // Short answers in a row that allow one more waiting call.
    size_t callsPerDepth_ = leastCallsPerDepth;
};

}  // namespace cf::workers
