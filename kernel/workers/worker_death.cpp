// How a worker's time runs out and how it ends: deadlines of its invocations, its death, what it
// leaves behind.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "workers/worker.hpp"
#include "workers/worker_end.hpp"

namespace cf::workers {

using namespace std::chrono_literals;
using protocol::FrameType;

namespace {

constexpr auto exitWait = 50ms;
constexpr auto deathWait = 100ms;  // how long an answer waits for the proof of death
constexpr auto reasonWait = 1s;    // and for the reason of an end that nobody expected
constexpr auto memorySampleInterval = 50ms;

Clock::time_point outOfTime(const Invocation& call) { return call.begun + call.timeout; }

// From then on a worker that looks at its clock, which may have whole microseconds only, finds its
// time to be over. Of a worker whose calls cannot be taken back: never.
Clock::time_point tooLateAt(const Invocation& call) {
    return call.beginBy == Clock::time_point{} ? Clock::time_point::max() : call.beginBy + 1us;
}

}  // namespace

// One lazy timer: it is left where it is and looks again when it rings, unless that is too late.
void Worker::ringAt(Clock::time_point when) {
    if (deadline_ != 0 && ringsAt_ <= when) return;
    context_.loop.cancel(deadline_);
    ringsAt_ = when;
    deadline_ = context_.loop.at(when, [this] {
        deadline_ = 0;
        onDeadline();
    });
}

void Worker::onDeadline() {
    if (state_ != State::ready || inFlight_.empty()) return;
    const auto now = Clock::now();
    if (target_->concurrency > 1) return expireAny(now);
    const auto isLate = [&] {
        return now >= outOfTime(*inFlight_.front()) ||
               (inFlight_.size() > 1 && now >= tooLateAt(*inFlight_[1]));
    };
    if (isLate()) readSocket();  // the answer may lie there
    if (state_ != State::ready || inFlight_.empty()) return;
    if (expireFront(now)) return;
    takeBack(now);
    if (state_ != State::ready || inFlight_.empty()) return;
    ringAt(inFlight_.size() > 1 ? std::min(outOfTime(*inFlight_.front()), tooLateAt(*inFlight_[1]))
                                : outOfTime(*inFlight_.front()));
}

bool Worker::expireFront(Clock::time_point now) {
    const Invocation& front = *inFlight_.front();
    if (now < outOfTime(front)) return false;
    if (front.cancelled)
        kill(WorkerEnd::Cause::killed, "the caller went away");
    else
        kill(WorkerEnd::Cause::timedOut, "the handler ran longer than its timeout");
    return true;
}

// Nobody waits behind a long call because the one before it was short. The worker answers a call
// before it looks at the next one's BEGIN_BY. So what is not in front, after all was read that lay
// in the socket later than this BEGIN_BY, was not begun then, and is not begun any more: it runs
// elsewhere, and never twice.
void Worker::takeBack(Clock::time_point now) {
    std::vector<InvocationPtr> late;
    while (inFlight_.size() > 1 && now >= tooLateAt(*inFlight_[1])) {
        takenBack_.push_back(inFlight_[1]->frameId);
        late.push_back(std::move(inFlight_[1]));
        inFlight_.erase(inFlight_.begin() + 1);
    }
    if (late.empty()) return;
    returnedCalls_ = true;
    owner_->workerReturned(*this, std::move(late));
}

void Worker::expireAny(Clock::time_point now) {
    for (size_t i = 0; i < inFlight_.size();) {
        if (now >= outOfTime(*inFlight_[i]))
            expire(i);
        else
            ++i;
    }
    if (inFlight_.empty())
        return kill(WorkerEnd::Cause::stopped, "an invocation ran out of time");
    const auto first = std::min_element(
        inFlight_.begin(), inFlight_.end(),
        [](const auto& a, const auto& b) { return outOfTime(*a) < outOfTime(*b); });
    ringAt(outOfTime(**first));
}

bool Worker::holdsOnlyCancelled() const {
    return !inFlight_.empty() && std::all_of(inFlight_.begin(), inFlight_.end(),
                                             [](const auto& call) { return call->cancelled; });
}

// With several invocations on one worker a late one cannot be killed alone: it is told, answered
// for, and the worker takes no new work and goes when the others are done.
void Worker::expire(size_t index) {
    emptyPipes();  // what it printed while it was alone is its own
    InvocationPtr call = std::move(inFlight_[index]);
    inFlight_.erase(inFlight_.begin() + static_cast<std::ptrdiff_t>(index));
    const size_t start = protocol::beginFrame(out_, FrameType::cancel, call->frameId);
    protocol::endFrame(out_, start);
    flushSoon();
    cancelled_.push_back(call->frameId);
    leaving_ = true;
    const WorkerEnd end =
        call->cancelled ? WorkerEnd{.cause = WorkerEnd::Cause::killed,
                                    .detail = "the caller went away"}
                        : WorkerEnd{.cause = WorkerEnd::Cause::timedOut,
                                    .detail = "the handler ran longer than its timeout"};
    Outcome outcome;
    sampleMemory(true);
    outcome.memoryPeakBytes = memoryPeakBytes_;
    outcome.run = microsecondsSince(call->begun, Clock::now());
    outcome.cold = call->cold;
    outcome.init = call->init;
    outcome.failure = failureOf(end, *target_, call->timeout);
    if (!call->cancelled && !inFlight_.empty())
        outcome.failure.observed = "still running after " + std::to_string(call->timeout.count()) +
                                   " ms; its worker ends when its other invocations are done";
    owner_->workerAnswered(*this, std::move(call), outcome);
}

void Worker::sampleMemory(bool now) {
    if (!memoryPeak_ || (!now && context_.loop.now() - memorySampled_ < memorySampleInterval))
        return;
    memorySampled_ = context_.loop.now();
    char text[32];
    const ssize_t got = ::pread(memoryPeak_.get(), text, sizeof text - 1, 0);
    if (got <= 0) return;
    text[got] = '\0';
    memoryPeakBytes_ = std::max<uint64_t>(memoryPeakBytes_, std::strtoull(text, nullptr, 10));
    // Until it is ready it has not shown yet what its function needs.
    if (state_ == State::ready || (state_ == State::waiting && !target_))
        place_.charge(memoryPeakBytes_);
}

void Worker::beginDying(WorkerEnd::Cause cause, std::string detail) {
    state_ = State::dying;
    context_.starts.done(*this);
    place_.release();
    if (!launched_) hasEnded_ = true;
    cause_ = cause;
    causeDetail_ = std::move(detail);
    sampleMemory(true);
    retire(context_.loop, std::move(socketWatch_));
    context_.loop.cancel(deadline_);
    context_.loop.cancel(life_);
    deadline_ = life_ = 0;
    std::weak_ptr<bool> alive = alive_;
    if (hasEnded_)
        return context_.loop.post([this, alive] {
            if (!alive.expired()) finishDying();
        });
    // One that ends by itself is given a moment to do so: killed at once, its own exit code would
    // be lost.
    if (cause == WorkerEnd::Cause::crashed || cause == WorkerEnd::Cause::notStarted ||
        cause == WorkerEnd::Cause::stopped)
        dying_ = context_.loop.after(exitWait, [this] { killTree(); });
    else
        killTree();
}

// Whoever waits for an answer gets it when the whole tree is known to be dead, or soon after in any
// case.
void Worker::killTree() {
    if (task_ != 0) context_.launcher.kill(task_);
    dying_ = context_.loop.after(isUnexplained() ? reasonWait : deathWait, [this] {
        dying_ = 0;
        finishDying();
    });
}

void Worker::ended(const sandbox::Ended& end) {
    hasEnded_ = true;
    ended_ = end;
    if (state_ == State::dying) {
        if (dying_ != 0) finishDying();
        return;
    }
    readSocket();  // its last answers may lie there
    emptyPipes();
    if (state_ == State::dying) return;
    beginDying(leaving_ && inFlight_.empty() ? WorkerEnd::Cause::stopped
               : state_ == State::starting   ? WorkerEnd::Cause::notStarted
                                             : WorkerEnd::Cause::crashed,
               "the worker's process ended");
}

Worker::LastWords Worker::lastWords() {
    LastWords words;
    if (!socket_ || !target_ || target_->concurrency > 1 || inFlight_.size() < 2) return words;
    protocol::Frame frame{};
    for (int reads = 0; reads < lastReads; ++reads) {
        while (decoder_.next(frame) == protocol::FrameDecoder::State::frame)
            if (words.through < inFlight_.size() &&
                frame.id == inFlight_[words.through]->frameId) {
                const bool isLate = frame.type == FrameType::notBegun;
                if (isLate) words.notBegun.push_back(frame.id);
                if (isLate || frame.type == FrameType::result || frame.type == FrameType::error)
                    ++words.through;
            }
        char* space = decoder_.space();
        const ssize_t got = ::recv(socket_.get(), space, decoder_.room(), MSG_DONTWAIT);
        if (got <= 0) break;
        decoder_.filled(static_cast<size_t>(got));
    }
    return words;
}

void Worker::finishDying() {
    context_.loop.cancel(dying_);
    dying_ = 0;
    emptyPipes();
    retire(context_.loop, std::move(outputWatch_));
    retire(context_.loop, std::move(errorsWatch_));
    WorkerEnd end;
    end.cause = cause_;
    end.detail = causeDetail_;
    end.loadError = std::move(loadError_);
    end.printed = std::move(printed_);
    end.memoryPeakBytes = std::max(memoryPeakBytes_, ended_.memoryPeakBytes);
    if (hasEnded_ && ended_.outOfMemory && cause_ != WorkerEnd::Cause::timedOut &&
        cause_ != WorkerEnd::Cause::stopped)
        end.cause = WorkerEnd::Cause::outOfMemory;
    else if (isUnexplained())
        describeEnd(context_, target_, ended_, lastErrors_, end);
    const LastWords words = lastWords();
    for (size_t i = 0; i < inFlight_.size(); ++i) {
        const auto id = inFlight_[i]->frameId;
        const bool known = std::find(words.notBegun.begin(), words.notBegun.end(), id) !=
                           words.notBegun.end();
        auto& to = known                                        ? end.notBegun
                   : inFlight_[i]->begun != Clock::time_point{} ? end.begun
                   : i <= words.through && words.through > 0    ? end.unknown
                                                                : end.notBegun;
        to.push_back(std::move(inFlight_[i]));
    }
    inFlight_.clear();
    owner_->workerGone(*this, std::move(end));
}

}  // namespace cf::workers
