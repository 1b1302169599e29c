// A descriptor watched on a loop for as long as the Watch lives; events go to a function.
#pragma once

#include <cstdint>
#include <functional>

#include "base/event_loop.hpp"

namespace cf::workers {

class Watch final : public base::Watcher {
public:
    using Callback = std::function<void(uint32_t events)>;

    using Turn = base::EventLoop::Turn;

    Watch(base::EventLoop& loop, int fd, uint32_t events, Callback callback, Turn turn = Turn::usual)
        : loop_(loop), fd_(fd), turn_(turn), callback_(std::move(callback)) {
        loop_.watch(fd_, events, this, turn_);
    }
    ~Watch() override { loop_.unwatch(fd_, this); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    void change(uint32_t events) { loop_.rewatch(fd_, events, this, turn_); }
    void onEvents(uint32_t events) override { callback_(events); }

private:
    base::EventLoop& loop_;
    int fd_;
    Turn turn_;
    Callback callback_;
};

}  // namespace cf::workers
