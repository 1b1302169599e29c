// A watched descriptor whose events go to a function. Loop thread; the descriptor stays its
// owner's.
#pragma once

#include <functional>

#include "base/event_loop.hpp"

namespace cf::sandbox {

class FdWatcher final : public base::Watcher {
public:
    using Handler = std::function<void(uint32_t events)>;

    FdWatcher(base::EventLoop& loop, int fd, uint32_t events, Handler handler)
        : loop_(loop), fd_(fd), handler_(std::move(handler)) {
        loop_.watch(fd_, events, this);
    }
    ~FdWatcher() override { loop_.unwatch(fd_, this); }
    FdWatcher(const FdWatcher&) = delete;
    FdWatcher& operator=(const FdWatcher&) = delete;

    void change(uint32_t events) { loop_.rewatch(fd_, events, this); }
    void onEvents(uint32_t events) override {
        // The handler may delete this watcher; its own state lives on the stack until it is done.
        const Handler handler = handler_;
        handler(events);
    }

private:
    base::EventLoop& loop_;
    int fd_;
    Handler handler_;
};

}  // namespace cf::sandbox
