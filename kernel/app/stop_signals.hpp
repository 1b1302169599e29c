// SIGTERM and SIGINT: the first asks the platform to stop, a second one ends the process at once, whatever it waits
// for. A thread hears them, so it is made after root was given up. Workers end with the process: the launcher sees its
// socket close.
#pragma once

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

namespace cf::app {

class StopSignals {
public:
    // `signals`, SIGHUP among them, are blocked in every thread of the process.
    explicit StopSignals(const sigset_t& signals);
    ~StopSignals();

    // Any thread.
    bool asked() const;
    // Waits for the first one, at most `interval`; whether it came.
    bool waitFor(std::chrono::seconds interval) const;

private:
    void hear();

    const sigset_t signals_;
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    bool asked_ = false;
    bool ending_ = false;
    std::thread thread_;
};

}  // namespace cf::app
