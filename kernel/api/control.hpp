// The control plane's threads. A request leaves its loop, is answered by a resource on one of a few threads, and the
// answer goes back to the loop. The queue is bounded: beyond it callers are told to come back (503, Retry-After).
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/event_loop.hpp"
#include "http/exchange.hpp"

namespace cf::api {

// An answer made off the loop. `headers` holds whole lines with CRLF, Content-Type among them.
struct Response {
    int status = 200;
    std::string headers{};
    std::string body{};
};

struct ControlOptions {
    size_t threads = 8;    // most of them wait for builds
    size_t queue = 256;    // waiting requests
};

class ControlPool {
public:
    using Resource = std::function<Response()>;

    explicit ControlPool(ControlOptions options = {});
    // Finishes what runs; what waits is answered with 503.
    ~ControlPool();

    // Any thread. False when the queue is full or the pool is stopping: the work was not taken.
    bool submit(std::function<void()> work);
    // Loop thread of `loop`: runs `resource` on a control thread and answers `exchange` on its loop; 503 when the
    // queue is full. An exception becomes a 500 and a line in the platform's log.
    void answer(base::EventLoop& loop, std::shared_ptr<http::Exchange> exchange, Resource resource);

private:
    void run();

    ControlOptions options_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> queue_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace cf::api
