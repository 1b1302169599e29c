#include "base/event_loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <system_error>
#include <thread>
#include <utility>

namespace cf::base {

namespace {

[[noreturn]] void fault(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

// What epoll keeps for us: the watcher, and in the lowest bit of its address whether it is told first.
constexpr uintptr_t firstBit = 1;

epoll_event eventOf(uint32_t events, Watcher* watcher, EventLoop::Turn turn) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = reinterpret_cast<uintptr_t>(watcher) | (turn == EventLoop::Turn::first ? firstBit : 0);
    return event;
}

uint64_t thisThread() { return std::hash<std::thread::id>{}(std::this_thread::get_id()) | 1; }

}  // namespace

EventLoop::EventLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!epoll_) fault("epoll_create1");
    if (!wake_) fault("eventfd");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 0;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) fault("epoll_ctl");
}

EventLoop::~EventLoop() = default;

bool EventLoop::isLoopThread() const { return threadId_.load(std::memory_order_relaxed) == thisThread(); }

void EventLoop::watch(int fd, uint32_t events, Watcher* watcher, Turn turn) {
    epoll_event event = eventOf(events, watcher, turn);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) fault("epoll_ctl add");
}

void EventLoop::rewatch(int fd, uint32_t events, Watcher* watcher, Turn turn) {
    epoll_event event = eventOf(events, watcher, turn);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) fault("epoll_ctl mod");
}

void EventLoop::unwatch(int fd, Watcher* watcher) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    unwatched_.push_back(watcher);
}

void EventLoop::post(Task task) {
    {
        const std::lock_guard lock(postedMutex_);
        posted_.push_back(std::move(task));
    }
    if (!wakePending_.exchange(true)) {
        const uint64_t one = 1;
        [[maybe_unused]] const ssize_t put = ::write(wake_.get(), &one, sizeof one);
    }
}

void EventLoop::discardPosted() {
    for (;;) {
        std::vector<Task> tasks;
        const std::lock_guard lock(postedMutex_);
        tasks.swap(posted_);
        if (tasks.empty()) return;
    }
}

void EventLoop::stop() {
    stopping_ = true;
    post([] {});
}

void EventLoop::runPosted() {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
    wakePending_ = false;
    std::vector<Task> tasks;
    {
        const std::lock_guard lock(postedMutex_);
        tasks.swap(posted_);
    }
    for (auto& task : tasks) task();
}

void EventLoop::tell(Watcher* watcher, uint32_t events) {
    // A watcher that an earlier event of this round removed may be gone already. A new watcher can have the
    // address of a removed one; it then waits for the next round, which level triggering makes harmless.
    if (!unwatched_.empty() && std::find(unwatched_.begin(), unwatched_.end(), watcher) != unwatched_.end()) return;
    watcher->onEvents(events);
}

void EventLoop::run() {
    threadId_ = thisThread();
    std::array<epoll_event, 256> events;
    while (!stopping_) {
        const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                       timers_.waitMs(Clock::now()));
        if (count < 0 && errno != EINTR) fault("epoll_wait");
        now_ = Clock::now();
        unwatched_.clear();
        bool posted = false;
        const auto begin = events.begin(), end = begin + std::max(count, 0);
        for (auto at = begin; at != end; ++at)
            if ((at->data.u64 & firstBit) != 0) tell(reinterpret_cast<Watcher*>(at->data.u64 & ~firstBit), at->events);
        for (auto at = begin; at != end; ++at) {
            if ((at->data.u64 & firstBit) != 0) continue;
            if (at->data.u64 == 0)
                posted = true;
            else
                tell(reinterpret_cast<Watcher*>(at->data.u64), at->events);
        }
        if (posted) runPosted();
        timers_.run(now_);
        // By index: a task may add another one for this same round.
        for (size_t i = 0; i < roundEnds_.size(); ++i) std::exchange(roundEnds_[i], nullptr)();
        roundEnds_.clear();
    }
    stopping_ = false;
}

}  // namespace cf::base
