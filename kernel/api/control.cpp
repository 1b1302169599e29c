#include "api/control.hpp"

#include <exception>

#include "api/problem.hpp"
#include "base/log.hpp"

namespace cf::api {

struct Reply::Pending {
    base::EventLoop& loop;
    std::shared_ptr<http::Exchange> exchange;
    std::shared_ptr<const std::atomic<bool>> stopping;
    std::atomic_flag answered{};

    // The exchange belongs to its loop: no other thread may be the last to hold it.
    void answer(Response response) {
        if (answered.test_and_set()) return;
        loop.post([exchange = std::move(exchange), response = std::move(response)] {
            if (response.answer) return response.answer(*exchange);
            exchange->respond(response.status, response.headers, {response.body});
        });
    }
    ~Pending() {
        if (!exchange) return;
        const http::Request& request = exchange->request();
        answer(*stopping ? problem({.reason = "draining",
                                    .detail = "the platform is stopping",
                                    .hint = "try again in a few seconds"},
                                   request)
                         : problem({.reason = "internal_error",
                                    .detail = "the platform could not handle this request",
                                    .hint = "the platform's log says more"},
                                   request));
    }
};

Reply::Reply(base::EventLoop& loop, std::shared_ptr<http::Exchange> exchange,
             std::shared_ptr<const std::atomic<bool>> stopping)
    : pending_(new Pending{loop, std::move(exchange), std::move(stopping)}) {}

void Reply::operator()(Response response) const { pending_->answer(std::move(response)); }

void Reply::dropBody() const {
    if (pending_->exchange) pending_->exchange->dropBody();
}

ControlPool::ControlPool(ControlOptions options) : options_(options) {
    for (size_t i = 0; i < options_.readers; ++i) threads_.emplace_back([this] { work(reads_); });
    for (size_t i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { work(saves_); });
}

ControlPool::~ControlPool() { stop(); }

void ControlPool::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    *stopped_ = true;
    reads_.wake.notify_all();
    saves_.wake.notify_all();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
}

// False when the queue is full or the pool is stopping: the work was not taken.
bool ControlPool::submit(Queue& queue, std::function<void()> work) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || queue.work.size() >= options_.queue) return false;
        queue.work.push_back(std::move(work));
    }
    queue.wake.notify_one();
    return true;
}

void ControlPool::answer(base::EventLoop& loop, std::shared_ptr<http::Exchange> exchange, Lane lane,
                         Resource resource) {
    const http::Request& request = exchange->request();
    const Reply reply(loop, std::move(exchange), stopped_);
    const bool taken = submit(
        lane == Lane::save ? saves_ : reads_,
        [this, reply, path = std::string(request.path), run = std::move(resource)] {
            // Whatever leaves without an answer is answered by the end of its Reply.
            if (*stopped_) return;
            try {
                auto response = run();
                if (response.later) return response.later(reply);
                reply(std::move(response));
            } catch (const std::exception& exception) {
                base::logError("api", path + ": " + exception.what());
            }
        });
    if (!taken && !*stopped_)
        reply(problem({.reason = "control_busy",
                       .detail = "too many requests to the control plane are waiting",
                       .hint = "try again in a second",
                       .limit = std::to_string(options_.queue) + " waiting requests"},
                      request));
}

bool ControlPool::run(std::function<void()> work) {
    return submit(reads_, [work = std::move(work)] {
        try {
            work();
        } catch (const std::exception& exception) {
            base::logError("api", std::string("reading in the background: ") + exception.what());
        }
    });
}

// Runs what was queued before the stop too: every exchange gets its answer.
void ControlPool::work(Queue& queue) {
    std::unique_lock lock(mutex_);
    while (true) {
        queue.wake.wait(lock, [&] { return stopping_ || !queue.work.empty(); });
        if (queue.work.empty()) return;
        auto next = std::move(queue.work.front());
        queue.work.pop_front();
        lock.unlock();
        next();
        next = nullptr;
        lock.lock();
    }
}

}  // namespace cf::api
