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

uint64_t thisThread() { return std::hash<std::thread::id>{}(std::this_thread::get_id()) | 1; }

}  // namespace

EventLoop::EventLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!epoll_) fault("epoll_create1");
    if (!wake_) fault("eventfd");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) fault("epoll_ctl");
}

EventLoop::~EventLoop() = default;

bool EventLoop::isLoopThread() const { return threadId_.load(std::memory_order_relaxed) == thisThread(); }

void EventLoop::watch(int fd, uint32_t events, Watcher* watcher) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = watcher;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) fault("epoll_ctl add");
}

void EventLoop::rewatch(int fd, uint32_t events, Watcher* watcher) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = watcher;
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
        for (int i = 0; i < count; ++i) {
            auto* watcher = static_cast<Watcher*>(events[static_cast<size_t>(i)].data.ptr);
            if (watcher == nullptr) {
                posted = true;
                continue;
            }
            // A watcher that an earlier event of this round removed may be gone already. A new watcher can have the
            // address of a removed one; it then waits for the next round, which level triggering makes harmless.
            if (!unwatched_.empty() &&
                std::find(unwatched_.begin(), unwatched_.end(), watcher) != unwatched_.end())
                continue;
            watcher->onEvents(events[static_cast<size_t>(i)].events);
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
