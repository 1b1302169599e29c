// The control plane's threads. A request leaves its loop, is answered by a resource on one of a few
// threads, and the answer goes back to the loop. What takes longer, as saves that build, keeps no
// thread: it leaves with a Reply and answers when it is done. Saves have threads of their own all
// the same, so that reading (health above all) never waits for archives and the store. Queues are
// bounded: beyond that callers are told to come back (503, Retry-After).
#pragma once

#include <atomic>
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

struct Response;

// The way back to a request that is answered later. Copies are one and the same: the first call
// answers, any thread may make it, and it may outlive the pool. When all copies are gone without a
// call the client gets a 503 (the platform is stopping) or a 500 (a fault).
class Reply {
public:
    Reply(base::EventLoop& loop, std::shared_ptr<http::Exchange> exchange,
          std::shared_ptr<const std::atomic<bool>> stopping);
    void operator()(Response response) const;
    // What was asked is read: the request's body is not needed for the answer.
    void dropBody() const;

private:
    struct Pending;
    std::shared_ptr<Pending> pending_;
};

// An answer made off the loop. `headers` holds whole lines with CRLF, Content-Type among them.
struct Response {
    int status = 200;
    std::string headers{};
    std::string body{};
    // Set instead of all that: called on the exchange's loop, answers by itself, mostly by a stream.
    std::function<void(http::Exchange&)> answer{};
    // Or this: called on the control thread, which must not wait; the answer is given to the Reply.
    std::function<void(Reply)> later{};
};

struct ControlOptions {
    size_t threads = 4;  // for saves, up to the queue of builds
    size_t readers = 2;  // for everything else
    size_t queue = 256;  // waiting requests of each kind
};

enum class Lane {
    loop,  // never waits: on the request's own loop, whatever the control plane has to do
    read,
    save
};

class ControlPool {
public:
    using Resource = std::function<Response()>;

    explicit ControlPool(ControlOptions options = {});
    // After stop(), when no loop can ask it any more.
    ~ControlPool();
    // Finishes what runs; what waits, and whatever comes later, is answered with 503. Loops may go on
    // asking; one thread calls it, as often as it likes, and none of the pool's.
    void stop();

    // Loop thread of `loop`: runs `resource` on a control thread and answers `exchange` on its
    // loop; 503 when the queue is full. An exception becomes a 500 and a line in the platform's
    // log.
    void answer(base::EventLoop& loop, std::shared_ptr<http::Exchange> exchange, Lane lane,
                Resource resource);

    // Any thread: runs `work` among what reads. False, and `work` is gone, when too much of it waits
    // already or the pool is stopping.
    bool run(std::function<void()> work);

private:
    struct Queue {
        std::condition_variable wake{};
        std::deque<std::function<void()>> work{};
    };
    bool submit(Queue& queue, std::function<void()> work);
    void work(Queue& queue);

    ControlOptions options_;
    std::mutex mutex_;
    Queue reads_;
    Queue saves_;
    bool stopping_ = false;
    // What outlives the pool asks this one.
    std::shared_ptr<std::atomic<bool>> stopped_ = std::make_shared<std::atomic<bool>>(false);
    std::vector<std::thread> threads_;
};

}  // namespace cf::api
