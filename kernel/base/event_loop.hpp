// One thread's wait for many things: descriptors (epoll(7), level-triggered), timers, and work posted by other threads.
// http/ and workers/ stand on it. A loop owns nothing but its own descriptors; watchers are owned by their users.
//
// Linux counts what a user watches with epoll (fs.epoll.max_user_watches), and processes that are nothing of ours may use it up.
// What it refuses to watch is asked about with poll(2) each round, until there is room again: slower, but nobody is lost.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/timers.hpp"
#include "base/unique_fd.hpp"

namespace cf::base {

// Told about a descriptor. Must outlive its registration; may unwatch and delete itself, or others, in onEvents.
class Watcher {
public:
    virtual ~Watcher() = default;
    // Loop thread. `events` is a mask of EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR, EPOLLRDHUP.
    virtual void onEvents(uint32_t events) = 0;
};

class EventLoop {
public:
    using Clock = std::chrono::steady_clock;
    using Task = std::function<void()>;

    EventLoop();  // throws std::system_error when Linux refuses an epoll or eventfd
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    // Runs until stop(), also one called before; may be run again then. The calling thread becomes the loop thread.
    void run();
    // Any thread.
    void stop();
    // Any thread: `task` runs on the loop thread soon, in the order of the posts. Tasks posted after the loop ended
    // are dropped with the loop.
    void post(Task task);
    // After run() returned: drops posted tasks with whatever they hold, until none is left.
    void discardPosted();
    bool isLoopThread() const;

    // Whose turn it is in a round. What lies in two descriptors was written in an order that epoll does not tell:
    // the one whose bytes come before the other's is told first.
    enum class Turn : uint8_t { usual, first };

    // Loop thread (or before run): starts, changes, ends watching `fd`. A descriptor has one watcher. Throws std::system_error for
    // what cannot be watched at all.
    void watch(int fd, uint32_t events, Watcher* watcher, Turn turn = Turn::usual);
    void rewatch(int fd, uint32_t events, Watcher* watcher, Turn turn = Turn::usual);
    // After it no event of this round reaches the watcher any more.
    void unwatch(int fd, Watcher* watcher);

    // Loop thread: calls `task` once at or after `when`, unless cancelled. Cancelling a done timer does nothing.
    TimerId at(Clock::time_point when, Task task) { return timers_.add(when, std::move(task)); }
    TimerId after(Clock::duration delay, Task task) { return at(Clock::now() + delay, std::move(task)); }
    void cancel(TimerId id) { timers_.cancel(id); }

    // Loop thread: `task` runs once after the events of the present round, before the loop sleeps: where output that a
    // round produced is gathered into one write.
    void atRoundEnd(Task task) { roundEnds_.push_back(std::move(task)); }

    // Loop thread: the time at the start of the present round; cheaper than asking the clock.
    Clock::time_point now() const { return now_; }

private:
    // What epoll had no room for.
    struct Polled {
        int fd;
        epoll_event event;
    };
    using Events = std::vector<epoll_event>;

    bool add(int fd, epoll_event event);
    Polled* polled(int fd);
    size_t wait(Events& events);
    void poll(Events& events, size_t& count, int timeoutMs);
    void runPosted();
    void tell(Watcher* watcher, uint32_t events);

    UniqueFd epoll_;
    UniqueFd wake_;
    std::vector<Polled> polled_;  // usually none
    Clock::time_point addAgain_{};
    Clock::time_point complainAgain_{};
    Timers timers_;
    std::vector<Task> roundEnds_;
    std::vector<Watcher*> unwatched_;
    Clock::time_point now_ = Clock::now();
    std::mutex postedMutex_;
    std::vector<Task> posted_;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> wakePending_{false};
    std::atomic<uint64_t> threadId_{0};
};

}  // namespace cf::base
