// Functions of one runtime mostly start their workers in the same way: thousands of them share one
// plan in memory instead of each having a copy.
#pragma once

#include <array>
#include <memory>
#include <mutex>

#include "workers/target.hpp"

namespace cf::workers {

// Any thread.
class SharedPlans {
public:
    // A plan equal to this one, often one that others have already.
    std::shared_ptr<const LaunchPlan> share(LaunchPlan plan) {
        const std::scoped_lock lock(mutex_);
        for (const auto& kept : latest_)
            if (kept && *kept == plan) return kept;
        // The oldest makes room: plans that functions change with variables of their own.
        auto& place = latest_[next_++ % latest_.size()];
        return place = std::make_shared<const LaunchPlan>(std::move(plan));
    }

private:
    std::mutex mutex_;
    std::array<std::shared_ptr<const LaunchPlan>, 16> latest_{};
    size_t next_ = 0;
};

}  // namespace cf::workers
