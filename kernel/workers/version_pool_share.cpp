// A function computes as one, however many workers it has: each of those at work gets a part of one
// function's weight (docs/decisions/fair-share-of-the-processor.md).
#include <algorithm>
#include <bit>

#include "workers/version_pool.hpp"

namespace cf::workers {

using namespace std::chrono_literals;

namespace {

// Whoever had something to do so shortly ago will have again.
constexpr auto recently = 1s;

// 1, 2, 3, 4, 6, 8, 12, 16, ...: few steps, so that few workers are told, and none off by half.
uint32_t partsFor(size_t workers) {
    const size_t power = std::bit_ceil(std::max<size_t>(workers, 1));
    return static_cast<uint32_t>(workers <= power / 4 * 3 ? power / 4 * 3 : power);
}

}  // namespace

size_t VersionPool::workersAtWork() const {
    return static_cast<size_t>(
        std::count_if(workers_.begin(), workers_.end(), [](const auto& w) { return w->atWork(); }));
}

// Those that have nothing to do are told when they get a call.
void VersionPool::setParts(uint32_t parts) {
    parts_ = parts;
    for (const auto& worker : workers_)
        if (worker->atWork()) worker->share(parts);
}

void VersionPool::share(size_t atWork) {
    if (const uint32_t parts = partsFor(atWork); parts > parts_) setParts(parts);
}

void VersionPool::settleShare(Clock::time_point now) {
    if (parts_ == 1) return;
    const auto needed = std::count_if(workers_.begin(), workers_.end(), [&](const auto& worker) {
        return worker->atWork() || now - worker->lastUsed() < recently;
    });
    const uint32_t parts = partsFor(static_cast<size_t>(needed));
    if (parts < parts_) setParts(parts);
}

}  // namespace cf::workers
