#include "workers/run_history.hpp"

#include <algorithm>

namespace cf::workers {

namespace {
constexpr double shortRunUs = 1000;  // calls below it may wait inside a busy worker's socket
constexpr size_t window = 32;
constexpr double socketBudgetUs = 2000;  // how much waiting work one socket may hold
constexpr size_t maxDepth = 32;
constexpr size_t mostCallsPerDepth = 1024;
constexpr double newSample = 0.1;
// Where a call prints past its shim, only one that is alone on its worker knows its own words. For
// so many answers after that nothing waits in a socket.
constexpr size_t nativeCalls = 256;
}  // namespace

size_t RunHistory::depth() const {
    if (!isShort() || sinceNative_ < nativeCalls) return 1;
    const auto affordable = static_cast<size_t>(socketBudgetUs / std::max(meanUs_, 1.0));
    return std::clamp(std::min(affordable, shortInARow_ / callsPerDepth_), size_t{1}, maxDepth);
}

void RunHistory::noteNative(bool native) {
    if (native)
        sinceNative_ = 0;
    else if (sinceNative_ < nativeCalls)
        ++sinceNative_;
}

// True for a run that was not short.
bool RunHistory::addRun(const Answer& answer) {
    const auto run = static_cast<double>(answer.run.count());
    const bool isShortRun = run < shortRunUs;
    if (answer.first && !isShortRun) return false;
    meanUs_ += (samples_ == 0 ? 1 : newSample) * (std::min(run, shortRunUs) - meanUs_);
    samples_ = std::min(samples_ + 1, window);
    longShare_ += ((isShortRun ? 0.0 : 1.0) - longShare_) / static_cast<double>(samples_);
    if (!isShortRun) {
        // One that lost its core for a moment says little; several that are long bring the depth
        // down quickly.
        shortInARow_ /= 2;
        return true;
    }
    const size_t enough = maxDepth * callsPerDepth_;
    if (++shortInARow_ < enough) return false;
    // A long row of short ones makes up for one outlier.
    shortInARow_ = enough;
    if (callsPerDepth_ > leastCallsPerDepth) {
        callsPerDepth_ /= 2;
        shortInARow_ = 0;
    }
    return false;
}

// A function that is long once in a while is found out by the calls that waited behind it: each
// time it takes a longer row of short ones until anything waits there again.
void RunHistory::blame(bool crowded) {
    shortInARow_ = 0;
    if (crowded) callsPerDepth_ = std::min(callsPerDepth_ * 4, mostCallsPerDepth);
}

}  // namespace cf::workers
