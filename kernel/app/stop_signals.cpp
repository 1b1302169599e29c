#include "app/stop_signals.hpp"

#include <pthread.h>
#include <unistd.h>

namespace cf::app {

StopSignals::StopSignals(const sigset_t& signals) : signals_(signals), thread_([this] { hear(); }) {}

StopSignals::~StopSignals() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    ::pthread_kill(thread_.native_handle(), SIGHUP);  // nothing but a reason to look
    thread_.join();
}

void StopSignals::hear() {
    for (;;) {
        int signal = 0;
        if (::sigwait(&signals_, &signal) != 0) continue;
        const std::lock_guard lock(mutex_);
        if (ending_) return;
        if (signal != SIGTERM && signal != SIGINT) continue;
        // As the first process of a container it would outlive a signal's default action.
        if (asked_) ::_exit(128 + signal);
        asked_ = true;
        changed_.notify_all();
    }
}

bool StopSignals::asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
}

bool StopSignals::waitFor(std::chrono::seconds interval) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, interval, [this] { return asked_; });
}

}  // namespace cf::app
