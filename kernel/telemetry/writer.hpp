// The one thread that writes what telemetry collects: records and function logs register their
// drains here, so that event loops only ever put something into a queue and no disk is waited for
// anywhere else.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace cf::telemetry {

class Writer {
public:
    explicit Writer(std::chrono::milliseconds interval = std::chrono::milliseconds(200))
        : interval_(interval) {}
    // Stops. What the drains belong to must still be there.
    ~Writer() { stop(); }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    // Before start(): `drain` is called on the writer's thread every interval and once more at the
    // end.
    void add(std::function<void()> drain) { drains_.push_back(std::move(drain)); }
    void start();
    // Writes what is queued, ends the thread. Again or without start(): nothing.
    void stop();

    // Any thread but an event loop's: waits until everything queued before the call is written, at
    // most `limit`.
    void flush(std::chrono::milliseconds limit = std::chrono::milliseconds(2000));

    // On the writer's thread, between two pieces of a drain: sleeps for a millisecond, so that a call
    // waits for the core at most as long as one piece takes. A low priority alone does not do that:
    // it counts only among the threads of one group (sched(7), autogroup; cpu control groups).
    // Does not sleep while somebody waits in flush() or stop().
    void giveWay();

private:
    void run();

    static constexpr int niceness = 10;

    std::chrono::milliseconds interval_;
    std::vector<std::function<void()>> drains_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    uint64_t asked_ = 0;   // flushes asked for
    uint64_t served_ = 0;  // of these, how many are done
    bool stopping_ = false;
    bool running_ = false;
    std::thread thread_;
};

}  // namespace cf::telemetry
