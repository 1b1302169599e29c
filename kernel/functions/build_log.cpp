#include "functions/build_log.hpp"

namespace cf::functions {

// Under the lock, so that a subscription that ends waits for its callback.
void LogFollowers::tell(const Id& id) const {
    const std::lock_guard lock(state_->mutex);
    for (const Follower& follower : state_->followers)
        if (follower.id == id) follower.changed();
}

LogSubscription::LogSubscription(const LogFollowers& followers, LogFollowers::Id id,
                                 std::function<void()> changed)
    : state_(followers.state_) {
    const std::lock_guard lock(state_->mutex);
    at_ = state_->followers.insert(state_->followers.end(), {std::move(id), std::move(changed)});
}

LogSubscription::~LogSubscription() {
    if (!state_) return;
    const std::lock_guard lock(state_->mutex);
    state_->followers.erase(at_);
}

}  // namespace cf::functions
