#include "base/event_loop.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log.hpp"

namespace cf::base {

namespace {

[[noreturn]] void fault(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

// What epoll keeps for us: the watcher, and in the lowest bit of its address whether it is told first.
constexpr uintptr_t firstBit = 1;

constexpr int eventsOfRound = 256;
// The bits that mean the same to poll(2).
constexpr uint32_t pollEvents = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP;
constexpr auto addPause = std::chrono::seconds(1);
constexpr auto complainPause = std::chrono::minutes(1);

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
    watch(wake_.get(), EPOLLIN, nullptr);
}

EventLoop::~EventLoop() = default;

bool EventLoop::isLoopThread() const { return threadId_.load(std::memory_order_relaxed) == thisThread(); }

void EventLoop::watch(int fd, uint32_t events, Watcher* watcher, Turn turn) {
    const epoll_event event = eventOf(events, watcher, turn);
    if (add(fd, event)) return;
    polled_.push_back({fd, event});
    const auto now = Clock::now();
    if (now < complainAgain_) return;
    complainAgain_ = now + complainPause;
    logWarning("loop", "Linux watches nothing more for this user (fs.epoll.max_user_watches), perhaps because of a function; "
                       "the platform goes on, more slowly");
}

// False when Linux has no room for it.
bool EventLoop::add(int fd, epoll_event event) {
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return true;
    if (errno != ENOSPC && errno != ENOMEM) fault("epoll_ctl add");
    return false;
}

EventLoop::Polled* EventLoop::polled(int fd) {
    const auto at = std::find_if(polled_.begin(), polled_.end(), [fd](const Polled& one) { return one.fd == fd; });
    return at == polled_.end() ? nullptr : &*at;
}

void EventLoop::rewatch(int fd, uint32_t events, Watcher* watcher, Turn turn) {
    epoll_event event = eventOf(events, watcher, turn);
    if (Polled* const one = polled(fd)) {
        one->event = event;
        return;
    }
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) fault("epoll_ctl mod");
}

void EventLoop::unwatch(int fd, Watcher* watcher) {
    if (Polled* const one = polled(fd))
        polled_.erase(polled_.begin() + (one - polled_.data()));
    else
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

size_t EventLoop::wait(Events& events) {
    int timeoutMs = timers_.waitMs(Clock::now());
    size_t found = 0;
    if (!polled_.empty()) {
        poll(events, found, timeoutMs);
        timeoutMs = 0;
    }
    const int count = ::epoll_wait(epoll_.get(), events.data() + found, eventsOfRound, timeoutMs);
    if (count < 0 && errno != EINTR) fault("epoll_wait");
    return found + static_cast<size_t>(std::max(count, 0));
}

// Waits for them and for what epoll watches.
void EventLoop::poll(Events& events, size_t& count, int timeoutMs) {
    if (const auto now = Clock::now(); now >= addAgain_) {
        std::erase_if(polled_, [this](const Polled& one) { return add(one.fd, one.event); });
        addAgain_ = now + addPause;
    }
    std::vector<pollfd> all;
    for (const Polled& one : polled_) all.push_back({one.fd, static_cast<short>(one.event.events & pollEvents), 0});
    all.push_back({epoll_.get(), POLLIN, 0});
    if (::poll(all.data(), all.size(), timeoutMs) < 0 && errno != EINTR) fault("poll");
    events.resize(polled_.size() + eventsOfRound);
    for (size_t i = 0; i < polled_.size(); ++i) {
        if (all[i].revents == 0) continue;
        events[count] = polled_[i].event;
        events[count++].events = static_cast<uint32_t>(all[i].revents);
    }
}

void EventLoop::run() {
    threadId_ = thisThread();
    Events events(eventsOfRound);
    while (!stopping_) {
        const size_t count = wait(events);
        now_ = Clock::now();
        unwatched_.clear();
        bool posted = false;
        const auto begin = events.begin(), end = begin + static_cast<std::ptrdiff_t>(count);
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
