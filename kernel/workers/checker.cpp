#include "workers/checker.hpp"

#include <utility>

namespace cf::workers {

using namespace std::chrono_literals;

namespace {
constexpr size_t maxWaiting = 256;
constexpr auto patience = 10s;
constexpr auto idleLife = 60s;
}  // namespace

Checker::Checker(Context& context, PrewarmedPool& pool) : context_(context), pool_(pool) {}

Checker::~Checker() {
    context_.loop.cancel(timer_);
    for (auto& request : waiting_)
        request.callback(
            base::Failure{.reason = "check_failed", .detail = "the platform is stopping"});
}

void Checker::check(std::string file, std::string source, Callback callback) {
    if (waiting_.size() >= maxWaiting)
        return callback(base::Failure{.reason = "check_failed",
                                      .detail = "too many saves are waiting for a syntax check",
                                      .hint = "try again in a moment"});
    waiting_.push_back({std::move(file), std::move(source), std::move(callback)});
    next();
}

void Checker::next() {
    if (asked_ || waiting_.empty()) return;
    if (!worker_) {
        worker_ = pool_.take();
        if (worker_) {
            worker_->setOwner(*this);
            worker_->hurry();
        } else {
            worker_ = std::make_unique<Worker>(context_, *this, pool_.plan(),
                                               Worker::Birth{.memoryMb = 512});
        }
    }
    arm();
    if (worker_->state() != Worker::State::waiting || !worker_->staysHere()) return;
    asked_ = true;
    worker_->check(waiting_.front().file, waiting_.front().source);
}

uint64_t Checker::spareBytes() const {
    return worker_ && worker_->staysHere() && waiting_.empty() ? worker_->place().bytes() : 0;
}

bool Checker::giveWay() {
    if (!worker_ || !worker_->staysHere() || !waiting_.empty()) return false;
    worker_->stop();
    return true;
}

void Checker::arm() {
    context_.loop.cancel(timer_);
    timer_ = context_.loop.after(waiting_.empty() ? std::chrono::milliseconds(idleLife)
                                                  : std::chrono::milliseconds(patience),
                                 [this] {
                                     timer_ = 0;
                                     if (!worker_) return;
                                     if (waiting_.empty())
                                         worker_->stop();
                                     else
                                         worker_->kill(WorkerEnd::Cause::loadTimedOut,
                                                       "the syntax check took too long");
                                 });
}

void Checker::workerChecked(Worker&, std::string_view remarks) {
    if (!asked_ || waiting_.empty()) return;
    Request request = std::move(waiting_.front());
    waiting_.pop_front();
    asked_ = false;
    request.callback(std::string(remarks));
    if (context_.starving > 0 && giveWay()) return;
    arm();
    next();
}

void Checker::workerGone(Worker&, WorkerEnd&& end) {
    retire(context_.loop, std::move(worker_));
    const bool asked = std::exchange(asked_, false);
    if (waiting_.empty()) return;
    // It left because it had nothing to do; this source came too late for it.
    if (!asked && end.cause == WorkerEnd::Cause::stopped) return next();
    Request request = std::move(waiting_.front());
    waiting_.pop_front();
    request.callback(base::Failure{.reason = "check_failed",
                                   .detail = "the source could not be checked: " + end.detail,
                                   .hint = end.hint});
    next();
}

}  // namespace cf::workers
