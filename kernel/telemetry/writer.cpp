#include "telemetry/writer.hpp"

#include <sys/resource.h>

namespace cf::telemetry {

void Writer::start() {
    running_ = true;
    thread_ = std::thread([this] { run(); });
}

void Writer::stop() {
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Writer::flush(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    if (!running_) return;
    const uint64_t mine = ++asked_;
    wake_.notify_all();
    done_.wait_for(lock, limit, [&] { return served_ >= mine || !running_; });
}

void Writer::giveWay() {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::milliseconds(1),
                   [&] { return stopping_ || asked_ > served_; });
}

void Writer::run() {
    // Of this thread alone, as Linux has it (setpriority(2), "C library/kernel differences"): a
    // call that needs the core goes first, records can wait. Not the lowest there is: whoever asks
    // for records shall not wait for long on a busy machine.
    ::setpriority(PRIO_PROCESS, 0, niceness);
    std::unique_lock lock(mutex_);
    for (bool last = false; !last;) {
        wake_.wait_for(lock, interval_, [&] { return stopping_ || asked_ > served_; });
        last = stopping_;
        const uint64_t asked = asked_;
        lock.unlock();
        for (const auto& drain : drains_) drain();
        lock.lock();
        served_ = asked;
        done_.notify_all();
    }
    running_ = false;
    done_.notify_all();
}

}  // namespace cf::telemetry
