#include "workers/worker.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "workers/worker_end.hpp"

namespace cf::workers {

using namespace std::chrono_literals;
using protocol::Frame;
using protocol::FrameType;
using protocol::Tag;

namespace {

constexpr size_t keptErrors = 8 * 1024;
constexpr size_t maxErrorDocument = 64 * 1024;
constexpr size_t frameSlack = 64 * 1024;      // what may stand around an answer's document
constexpr auto exitWait = 50ms;
constexpr auto deathWait = 100ms;             // how long an answer waits for the proof of death
constexpr auto memorySampleInterval = 50ms;

std::chrono::microseconds since(Clock::time_point start, Clock::time_point now) {
    return std::chrono::duration_cast<std::chrono::microseconds>(now - start);
}

}  // namespace

Worker::Worker(Context& context, WorkerOwner& owner, const LaunchPlan& plan, uint32_t memoryMb,
               std::chrono::milliseconds startTimeout)
    : context_(context), owner_(&owner),
      decoder_(static_cast<uint32_t>(std::min<size_t>(protocol::maxPayload, context.options.maxResponseBytes + frameSlack))),
      lastUsed_(Clock::now()) {
    ++context_.workers;
    sandbox::WorkerSpec spec = plan.spec;
    spec.limits = context_.options.limits;
    spec.limits.memoryBytes = uint64_t{memoryMb} << 20;
    life_ = context_.loop.after(startTimeout, [this] {
        life_ = 0;
        kill(saidHello_ ? WorkerEnd::Cause::loadTimedOut : WorkerEnd::Cause::notStarted, "the worker did not start in time");
    });
    std::weak_ptr<bool> alive = alive_;
    context_.launcher.startWorker(
        spec,
        [this, alive](base::Result<sandbox::WorkerLauncher::Worker> worker) {
            if (!alive.expired()) started(std::move(worker));
        },
        [this, alive](const sandbox::Ended& end) {
            if (!alive.expired()) ended(end);
        });
}

Worker::~Worker() {
    context_.loop.cancel(deadline_);
    context_.loop.cancel(life_);
    context_.loop.cancel(dying_);
    if (flushQueued_) std::erase(context_.unflushed, this);
    --context_.workers;
}

void Worker::started(base::Result<sandbox::WorkerLauncher::Worker> worker) {
    if (!worker) {
        hasEnded_ = true;
        beginDying(WorkerEnd::Cause::notStarted, worker.failure().detail);
        return;
    }
    task_ = worker->task;
    socket_ = std::move(worker->socket);
    output_ = std::move(worker->output);
    errors_ = std::move(worker->errors);
    pidfd_ = std::move(worker->pidfd);
    memoryPeak_ = std::move(worker->memoryPeak);
    if (state_ == State::dying) {  // given up while it was being started
        context_.launcher.kill(task_);
        return;
    }
    socketWatch_ = std::make_unique<Watch>(context_.loop, socket_.get(), EPOLLIN, [this](uint32_t e) { onSocket(e); });
    outputWatch_ = std::make_unique<Watch>(context_.loop, output_.get(), EPOLLIN, [this](uint32_t) { onPipe(Stream::output); });
    errorsWatch_ = std::make_unique<Watch>(context_.loop, errors_.get(), EPOLLIN, [this](uint32_t) { onPipe(Stream::errors); });
}

void Worker::bind(TargetPtr target) {
    target_ = std::move(target);
    bound_ = Clock::now();
    context_.loop.cancel(life_);
    life_ = context_.loop.after(target_->initTimeout, [this] {
        life_ = 0;
        kill(WorkerEnd::Cause::loadTimedOut, "loading the function took longer than init_timeout (" +
                                                 std::to_string(target_->initTimeout.count()) + " ms)");
    });
    if (state_ == State::waiting) attach();
}

void Worker::attach() {
    state_ = State::binding;
    sandbox::Attachment attachment{.artifactDir = target_->artifactDir,
                                   .layers = target_->layers,
                                   .limits = context_.options.limits,
                                   .network = target_->network};
    attachment.limits.memoryBytes = uint64_t{target_->memoryMb} << 20;
    std::weak_ptr<bool> alive = alive_;
    context_.launcher.attach(task_, attachment, [this, alive](base::Result<void> done) {
        if (alive.expired() || state_ != State::binding) return;
        if (done) sendLoad();
        else kill(WorkerEnd::Cause::notStarted, done.failure().detail);
    });
}

void Worker::sendLoad() {
    state_ = State::loading;
    const size_t start = protocol::beginFrame(out_, FrameType::load, 0);
    protocol::putItem(out_, Tag::artifact, context_.launcher.artifactPath(task_));
    protocol::putItem(out_, Tag::handler, target_->handler);
    for (const auto& [name, value] : target_->environment) protocol::putItem(out_, Tag::environment, name + "=" + value);
    protocol::putItem(out_, Tag::functionName, target_->functionName);
    protocol::putItem(out_, Tag::functionVersion, target_->version);
    protocol::putItem(out_, Tag::memoryMb, uint64_t{target_->memoryMb});
    protocol::putItem(out_, Tag::timeoutMs, static_cast<uint64_t>(target_->timeout.count()));
    protocol::putItem(out_, Tag::concurrency, uint64_t{target_->concurrency});
    protocol::endFrame(out_, start);
    flush();
}

void Worker::send(InvocationPtr invocation) {
    const auto now = Clock::now();
    Invocation& call = *invocation;
    call.frameId = base::randomBits() | 1;
    if (!answeredOnce_ && inFlight_.empty()) {
        call.cold = true;
        call.init = initTime_;
    }
    const bool begins = target_->concurrency > 1 || inFlight_.empty();
    if (begins) call.begun = now;
    const auto timeout = target_->timeout;
    const auto wall = base::unixMs(base::WallClock::now());
    protocol::putInvoke(out_, call.frameId, call.event, call.context,
                        {static_cast<uint64_t>(timeout.count()), call.idText(), call.requestId,
                         static_cast<uint64_t>(wall + timeout.count())});
    inFlight_.push_back(std::move(invocation));
    armDeadline();
    flushSoon();
}

bool Worker::cancel(Invocation& invocation) {
    const auto at = std::find_if(inFlight_.begin(), inFlight_.end(), [&](const auto& call) { return call.get() == &invocation; });
    if (at == inFlight_.end()) return false;
    if (inFlight_.size() == 1) {
        kill(WorkerEnd::Cause::killed, "the caller went away");
    } else if (target_->concurrency > 1) {
        const size_t start = protocol::beginFrame(out_, FrameType::cancel, invocation.frameId);
        protocol::endFrame(out_, start);
        flushSoon();
    } else if (at == inFlight_.begin()) {
        kill(WorkerEnd::Cause::killed, "the caller went away");
    }
    return true;
}

void Worker::check(std::string_view file, std::string_view source) {
    const size_t start = protocol::beginFrame(out_, FrameType::check, 0);
    protocol::putItem(out_, Tag::file, file);
    protocol::putItem(out_, Tag::source, source);
    protocol::endFrame(out_, start);
    flush();
}

void Worker::stop() {
    leaving_ = true;
    if (state_ == State::dying) return;
    if (state_ != State::ready && state_ != State::waiting) return kill(WorkerEnd::Cause::stopped, "no longer needed");
    const size_t start = protocol::beginFrame(out_, FrameType::stop, 0);
    protocol::endFrame(out_, start);
    flush();
    // One that was asked to leave and does not is killed; its running invocations have deadlines of their own.
    if (inFlight_.empty() && life_ == 0)
        life_ = context_.loop.after(1s, [this] {
            life_ = 0;
            kill(WorkerEnd::Cause::stopped, "did not leave when asked to");
        });
}

void Worker::kill(WorkerEnd::Cause cause, std::string detail) {
    if (state_ == State::dying) return;
    beginDying(cause, std::move(detail));
}

// Output of one round goes out in one write, so that a worker is woken once for a batch of invocations.
void Worker::flushSoon() {
    if (flushQueued_ || wantsWrite_) return;
    flushQueued_ = true;
    if (context_.unflushed.empty())
        context_.loop.atRoundEnd([&context = context_] {
            for (size_t i = 0; i < context.unflushed.size(); ++i) {
                context.unflushed[i]->flushQueued_ = false;
                context.unflushed[i]->flush();
            }
            context.unflushed.clear();
        });
    context_.unflushed.push_back(this);
}

void Worker::flush() {
    if (state_ == State::dying || out_.empty() || !socket_) return;
    const ssize_t put = ::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put > 0) {
        if (static_cast<size_t>(put) == out_.size()) out_.clear();
        else out_.erase(0, static_cast<size_t>(put));
    } else if (put < 0 && errno != EAGAIN && errno != EINTR) {
        return;  // it is gone; the end of the socket tells the rest
    }
    const bool wants = !out_.empty();
    if (wants != wantsWrite_) {
        wantsWrite_ = wants;
        socketWatch_->change(wants ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

void Worker::onSocket(uint32_t events) {
    if ((events & EPOLLOUT) != 0) flush();
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || state_ == State::dying) return;
    char* space = decoder_.space();
    const ssize_t got = ::recv(socket_.get(), space, decoder_.room(), MSG_DONTWAIT);
    if (got > 0) {
        decoder_.filled(static_cast<size_t>(got));
        readFrames();
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        onPipe(Stream::output);
        onPipe(Stream::errors);
        const bool asked = leaving_ && inFlight_.empty();
        beginDying(state_ == State::starting ? WorkerEnd::Cause::notStarted : asked ? WorkerEnd::Cause::stopped : WorkerEnd::Cause::crashed,
                   "the worker closed its socket");
    }
}

void Worker::readFrames() {
    Frame frame{};
    while (state_ != State::dying) {
        switch (decoder_.next(frame)) {
            case protocol::FrameDecoder::State::needMore: return;
            case protocol::FrameDecoder::State::broken:
                if (decoder_.tooLarge() && !inFlight_.empty())
                    return kill(WorkerEnd::Cause::responseTooLarge, "the result is larger than the " +
                                    std::to_string(context_.options.maxResponseBytes) + " bytes that a response may have");
                broken(decoder_.brokenWhy());
                return;
            case protocol::FrameDecoder::State::frame:
                if (!onFrame(frame)) return;
        }
    }
}

bool Worker::onFrame(const Frame& frame) {
    switch (frame.type) {
        case FrameType::result:
        case FrameType::error: return onAnswer(frame);
        case FrameType::log: return onLogFrame(frame);
        case FrameType::hello: return onHello(frame.payload);
        case FrameType::ready:
            if (state_ != State::loading || !saidHello_) return broken("READY without LOAD");
            state_ = State::ready;
            initTime_ = since(bound_, Clock::now());
            context_.loop.cancel(life_);
            life_ = 0;
            owner_->workerReady(*this);
            return true;
        case FrameType::loadFailed: {
            if (state_ != State::loading) return broken("LOAD_FAILED without LOAD");
            const auto document = context_.validator.parse(frame.payload);
            if (!document || !document->is_object() || frame.payload.size() > maxErrorDocument)
                return broken("LOAD_FAILED without an error document");
            loadError_ = frame.payload;
            kill(WorkerEnd::Cause::loadFailed, "the function could not be loaded");
            return false;
        }
        case FrameType::checked:
            if (state_ != State::waiting) return broken("CHECKED without CHECK");
            if (!context_.validator.parse(frame.payload)) return broken("CHECKED without JSON");
            owner_->workerChecked(*this, frame.payload);
            return true;
        case FrameType::cache: return true;
        default: return broken("a frame that a worker may not send");
    }
}

bool Worker::onHello(std::string_view payload) {
    uint64_t version = 0;
    protocol::ItemReader items(payload);
    while (items.next())
        if (items.tag() == Tag::version) version = items.number();
    if (items.malformed() || version == 0 || version > protocol::protocolVersion) return broken("HELLO with an unknown protocol version");
    if (state_ == State::loading) return true;  // an executed artifact introduces itself once more
    if (state_ != State::starting || saidHello_) return broken("a second HELLO");
    saidHello_ = true;
    state_ = State::waiting;
    if (target_) {
        attach();
    } else {
        context_.loop.cancel(life_);
        life_ = 0;
        owner_->workerWaits(*this);
    }
    return true;
}

bool Worker::onAnswer(const Frame& frame) {
    auto at = inFlight_.begin();
    if (target_ && target_->concurrency > 1)
        at = std::find_if(inFlight_.begin(), inFlight_.end(), [&](const auto& call) { return call->frameId == frame.id; });
    if (at == inFlight_.end() || (*at)->frameId != frame.id) {
        const auto late = std::find(cancelled_.begin(), cancelled_.end(), frame.id);
        if (late == cancelled_.end()) return broken("an answer to what was not asked");
        cancelled_.erase(late);
        return true;
    }
    const auto answer = protocol::readAnswer(frame.payload);
    if (!answer.ok) return broken("an answer whose sizes do not fit");
    Outcome outcome;
    outcome.document = answer.document;
    if (answer.document.size() > context_.options.maxResponseBytes) {
        outcome.kind = Outcome::Kind::failure;
        outcome.failure = {.reason = "response_too_large",
                           .detail = "the result is larger than the " + std::to_string(context_.options.maxResponseBytes) +
                                     " bytes that a response may have",
                           .hint = "return less, or a reference to where the data is",
                           .limit = std::to_string(context_.options.maxResponseBytes) + " bytes",
                           .observed = std::to_string(answer.document.size()) + " bytes"};
    } else {
        const auto document = context_.validator.parse(answer.document);
        const bool tooDeep = !document && document.failure().reason == "json_too_deep";
        if (!document && !tooDeep) return broken("an answer that is not JSON: " + document.failure().detail);
        outcome.kind = tooDeep ? Outcome::Kind::failure : Outcome::Kind::result;
        if (tooDeep) {
            outcome.failure = {.reason = "invalid_response",
                               .detail = "the result is nested too deeply",
                               .hint = "return a flatter value",
                               .limit = std::to_string(base::invokeJsonDepth) + " levels"};
        } else if (frame.type == FrameType::error) {
            std::string_view type, message;
            if (!document->is_object() || (*document)["type"].get(type) || (*document)["message"].get(message))
                return broken("an ERROR without type and message");
            outcome.kind = Outcome::Kind::error;
        }
    }
    const auto now = Clock::now();
    InvocationPtr call = std::move(*at);
    inFlight_.erase(at);
    outcome.run = since(call->begun, now);
    outcome.handler = outcome.run;
    if (answer.runNs > 0) outcome.handler = std::min(outcome.run, std::chrono::microseconds(answer.runNs / 1000));
    outcome.cold = call->cold;
    outcome.init = call->init;
    sampleMemory(!answeredOnce_);
    outcome.memoryPeakBytes = memoryPeakBytes_;
    answeredOnce_ = true;
    lastUsed_ = now;
    if (target_->concurrency <= 1 && !inFlight_.empty()) inFlight_.front()->begun = now;
    owner_->workerAnswered(*this, std::move(call), outcome);
    if (leaving_ && inFlight_.empty() && state_ == State::ready) stop();
    return state_ != State::dying;
}

Invocation* Worker::printing() { return inFlight_.empty() ? nullptr : inFlight_.front().get(); }

bool Worker::onLogFrame(const Frame& frame) {
    Stream stream = Stream::output;
    std::string_view text;
    protocol::ItemReader items(frame.payload);
    while (items.next()) {
        if (items.tag() == Tag::stream) stream = items.number() == 2 ? Stream::errors : Stream::output;
        else if (items.tag() == Tag::text) text = items.value();
    }
    if (items.malformed()) return broken("a malformed LOG frame");
    Invocation* call = nullptr;
    if (frame.id != 0) {
        const auto at = std::find_if(inFlight_.begin(), inFlight_.end(), [&](const auto& c) { return c->frameId == frame.id; });
        if (at != inFlight_.end()) call = at->get();
    }
    print(stream, call, text);
    return true;
}

void Worker::print(Stream stream, Invocation* invocation, std::string_view text) {
    if (text.empty()) return;
    if (stream == Stream::errors) {
        lastErrors_.append(text.substr(text.size() > keptErrors ? text.size() - keptErrors : 0));
        if (lastErrors_.size() > keptErrors) lastErrors_.erase(0, lastErrors_.size() - keptErrors);
    }
    if (!target_) return;
    if (invocation != nullptr) {
        const size_t room = Invocation::maxLogBytes - std::min(Invocation::maxLogBytes, invocation->log.size());
        invocation->log.append(text.substr(0, room));
        if (text.size() > room) invocation->logDropped += text.size() - room;
    }
    if (context_.options.onLog)
        context_.options.onLog(*target_, invocation != nullptr ? invocation->idText() : std::string_view{}, stream, text);
}

// Native output. One read an event keeps a flood from holding the loop; the pipe's own limit slows the writer down.
void Worker::onPipe(Stream stream) {
    auto& pipe = stream == Stream::output ? output_ : errors_;
    auto& watch = stream == Stream::output ? outputWatch_ : errorsWatch_;
    if (!pipe || !watch) return;
    char buffer[16 * 1024];
    const ssize_t got = ::read(pipe.get(), buffer, sizeof buffer);
    if (got > 0) return print(stream, printing(), {buffer, static_cast<size_t>(got)});
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) retire(context_.loop, std::move(watch));
}

bool Worker::broken(std::string detail) {
    base::logWarning("workers", "a worker" + (target_ ? " of " + target_->functionName : std::string{}) + " broke the protocol: " + detail);
    kill(WorkerEnd::Cause::protocolError, std::move(detail));
    return false;
}

void Worker::armDeadline() {
    // One lazy timer: it is left where it is and looks again when it rings.
    if (deadline_ != 0 || inFlight_.empty()) return;
    const auto start = inFlight_.front()->begun == Clock::time_point{} ? Clock::now() : inFlight_.front()->begun;
    deadline_ = context_.loop.at(start + target_->timeout, [this] {
        deadline_ = 0;
        onDeadline();
    });
}

void Worker::onDeadline() {
    if (state_ != State::ready || inFlight_.empty()) return;
    const auto now = Clock::now();
    if (target_->concurrency <= 1) {
        if (now >= inFlight_.front()->begun + target_->timeout)
            return kill(WorkerEnd::Cause::timedOut, "the handler ran longer than its timeout");
    } else {
        for (size_t i = 0; i < inFlight_.size();) {
            if (now >= inFlight_[i]->begun + target_->timeout) expire(i);
            else ++i;
        }
        if (inFlight_.empty()) return kill(WorkerEnd::Cause::stopped, "an invocation ran out of time");
    }
    armDeadline();
}

// With several invocations on one worker a late one cannot be killed alone: it is told, answered for, and the worker
// takes no new work and goes when the others are done.
void Worker::expire(size_t index) {
    InvocationPtr call = std::move(inFlight_[index]);
    inFlight_.erase(inFlight_.begin() + static_cast<std::ptrdiff_t>(index));
    const size_t start = protocol::beginFrame(out_, FrameType::cancel, call->frameId);
    protocol::endFrame(out_, start);
    flushSoon();
    cancelled_.push_back(call->frameId);
    leaving_ = true;
    WorkerEnd end{.cause = WorkerEnd::Cause::timedOut, .detail = "the handler ran longer than its timeout"};
    Outcome outcome;
    outcome.run = since(call->begun, Clock::now());
    outcome.cold = call->cold;
    outcome.init = call->init;
    outcome.failure = failureOf(end, *target_);
    owner_->workerAnswered(*this, std::move(call), outcome);
}

void Worker::sampleMemory(bool now) {
    if (!memoryPeak_ || (!now && context_.loop.now() - memorySampled_ < memorySampleInterval)) return;
    memorySampled_ = context_.loop.now();
    char text[32];
    const ssize_t got = ::pread(memoryPeak_.get(), text, sizeof text - 1, 0);
    if (got <= 0) return;
    text[got] = '\0';
    memoryPeakBytes_ = std::max<uint64_t>(memoryPeakBytes_, std::strtoull(text, nullptr, 10));
}

void Worker::beginDying(WorkerEnd::Cause cause, std::string detail) {
    state_ = State::dying;
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
    // One that ends by itself is given a moment to do so: killed at once, its own exit code would be lost.
    if (cause == WorkerEnd::Cause::crashed || cause == WorkerEnd::Cause::notStarted || cause == WorkerEnd::Cause::stopped)
        dying_ = context_.loop.after(exitWait, [this] { killTree(); });
    else
        killTree();
}

// Whoever waits for an answer gets it when the whole tree is known to be dead, or soon after in any case.
void Worker::killTree() {
    if (task_ != 0) context_.launcher.kill(task_);
    dying_ = context_.loop.after(deathWait, [this] {
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
    // Its last answers may still lie in the socket: read them before it counts as dead.
    while (state_ != State::dying && socket_) {
        char* space = decoder_.space();
        const ssize_t got = ::recv(socket_.get(), space, decoder_.room(), MSG_DONTWAIT);
        if (got <= 0) break;
        decoder_.filled(static_cast<size_t>(got));
        readFrames();
    }
    onPipe(Stream::output);
    onPipe(Stream::errors);
    if (state_ == State::dying) return;
    beginDying(leaving_ && inFlight_.empty() ? WorkerEnd::Cause::stopped
               : state_ == State::starting   ? WorkerEnd::Cause::notStarted
                                             : WorkerEnd::Cause::crashed,
               "the worker's process ended");
}

void Worker::finishDying() {
    context_.loop.cancel(dying_);
    dying_ = 0;
    onPipe(Stream::output);
    onPipe(Stream::errors);
    retire(context_.loop, std::move(outputWatch_));
    retire(context_.loop, std::move(errorsWatch_));
    WorkerEnd end;
    end.cause = cause_;
    end.detail = causeDetail_;
    end.loadError = std::move(loadError_);
    end.memoryPeakBytes = std::max(memoryPeakBytes_, ended_.memoryPeakBytes);
    const bool unexplained = cause_ == WorkerEnd::Cause::crashed || cause_ == WorkerEnd::Cause::notStarted;
    if (hasEnded_ && ended_.outOfMemory && cause_ != WorkerEnd::Cause::timedOut && cause_ != WorkerEnd::Cause::stopped)
        end.cause = WorkerEnd::Cause::outOfMemory;
    else if (unexplained && hasEnded_)
        describeEnd(context_, target_, ended_, lastErrors_, end);
    const bool parallel = target_ && target_->concurrency > 1;
    for (auto& call : inFlight_) {
        const bool begun = parallel || &call == &inFlight_.front();
        (begun ? end.begun : end.notBegun).push_back(std::move(call));
    }
    inFlight_.clear();
    owner_->workerGone(*this, std::move(end));
}

}  // namespace cf::workers
