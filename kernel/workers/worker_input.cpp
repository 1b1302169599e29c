// What a worker says: frames on its socket, text on its standard output and error. Everything is
// checked here.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.hpp"
#include "workers/worker.hpp"

namespace cf::workers {

using protocol::Frame;
using protocol::FrameType;
using protocol::Tag;

namespace {

constexpr size_t keptErrors = 8 * 1024;
constexpr size_t keptPrinted = 2 * 1024;
constexpr size_t keptOut = 64 * 1024;  // a large event must not keep its memory for ever
constexpr size_t maxErrorDocument = 64 * 1024;
constexpr std::chrono::milliseconds lateRefusal{200};
// How far a worker's idea of CLOCK_MONOTONIC may be ahead: it found out when it started, perhaps on
// a full machine.
constexpr std::chrono::milliseconds clockTolerance{10};
constexpr std::chrono::microseconds chatterCost{20};        // 50 000 a second
constexpr uint32_t chatterBurst = 8192, leastBurst = 1024;  // of a function, of a worker
constexpr size_t pipeRead = 16 * 1024;
constexpr int pipeReads = 4;  // as much as a pipe holds (pipe(7))

void keepEnd(std::string& kept, std::string_view text, size_t most) {
    kept.append(text.substr(text.size() > most ? text.size() - most : 0));
    if (kept.size() > most) kept.erase(0, kept.size() - most);
}

}  // namespace

// Output of one round goes out in one write, so that a worker is woken once for a batch of
// invocations.
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
    const ssize_t put = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put > 0) {
        sent_ += static_cast<size_t>(put);
        if (sent_ == out_.size()) {
            if (out_.capacity() > keptOut)
                std::string().swap(out_);
            else
                out_.clear();
            sent_ = 0;
        } else if (sent_ > keptOut && sent_ > out_.size() / 2) {
            out_.erase(0,
                       sent_);  // a socket that never drains must not keep all that went through it
            sent_ = 0;
        }
    } else if (put < 0 && errno != EAGAIN && errno != EINTR) {
        return;  // it is gone; the end of the socket tells the rest
    }
    const bool wants = !out_.empty();
    if (wants != wantsWrite_) {
        wantsWrite_ = wants;
        socketWatch_->change(wantedEvents());
    }
}

uint32_t Worker::wantedEvents() const {
    uint32_t events = 0;
    if (silence_ == 0) events |= EPOLLIN;
    if (wantsWrite_) events |= EPOLLOUT;
    return events;
}

// Every frame costs the loop that all functions share. The workers of a function may send so many
// a second together that are no answers, a burst of them ahead; what is more waits in the socket,
// and the worker with it.
void Worker::listenLess() {
    const auto now = context_.loop.now();
    const auto each = chatterCost * parts_;
    const auto ahead = each * std::max(chatterBurst / parts_, leastBurst);
    chattersUntil_ = std::max(chattersUntil_, now - ahead) + each * chatter_;
    chatter_ = 0;
    if (chattersUntil_ <= now || silence_ != 0 || !socketWatch_) return;
    silence_ = context_.loop.at(chattersUntil_, [this] {
        silence_ = 0;
        if (socketWatch_) socketWatch_->change(wantedEvents());
    });
    socketWatch_->change(wantedEvents());
}

void Worker::onSocket(uint32_t events) {
    if ((events & EPOLLOUT) != 0) flush();
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || state_ == State::dying) return;
    char* space = decoder_.space();
    const ssize_t got = ::recv(socket_.get(), space, decoder_.room(), MSG_DONTWAIT);
    if (got > 0) {
        decoder_.filled(static_cast<size_t>(got));
        readFrames();
        if (chatter_ > 0 && state_ != State::dying) listenLess();
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        emptyPipes();
        const bool asked = leaving_ && inFlight_.empty();
        beginDying(state_ == State::starting ? WorkerEnd::Cause::notStarted
                   : asked                   ? WorkerEnd::Cause::stopped
                                             : WorkerEnd::Cause::crashed,
                   "the worker closed its socket");
    }
}

// All that lies there; one that goes on to write is not listened to for ever.
void Worker::readSocket() {
    for (int reads = 0; reads < lastReads && state_ != State::dying && socket_; ++reads) {
        char* space = decoder_.space();
        const ssize_t got = ::recv(socket_.get(), space, decoder_.room(), MSG_DONTWAIT);
        if (got <= 0) break;
        decoder_.filled(static_cast<size_t>(got));
        readFrames();
    }
}

void Worker::readFrames() {
    Frame frame{};
    while (state_ != State::dying) {
        switch (decoder_.next(frame)) {
            case protocol::FrameDecoder::State::needMore:
                return;
            case protocol::FrameDecoder::State::broken:
                if (decoder_.tooLarge() && !inFlight_.empty())
                    return kill(WorkerEnd::Cause::responseTooLarge,
                                "the result is larger than the " +
                                    std::to_string(context_.options.maxResponseBytes) +
                                    " bytes that a response may have");
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
        case FrameType::error:
            return onAnswer(frame);
        case FrameType::log:
            ++chatter_;
            return onLogFrame(frame);
        case FrameType::notBegun:
            return onNotBegun(frame.id);
        case FrameType::hello:
            return onHello(frame.payload);
        case FrameType::ready:
            if (state_ != State::loading || !saidHello_) return broken("READY without LOAD");
            state_ = State::ready;
            initTime_ = microsecondsSince(bound_, Clock::now());
            std::string().swap(printed_);
            context_.loop.cancel(life_);
            life_ = 0;
            sampleMemory(true);
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
        case FrameType::cache:
            ++chatter_;
            return true;
        default:
            return broken("a frame that a worker may not send");
    }
}

bool Worker::onHello(std::string_view payload) {
    uint64_t version = 0;
    protocol::ItemReader items(payload);
    while (items.next())
        if (items.tag() == Tag::version) version = items.number();
    if (items.malformed() || version == 0 || version > protocol::protocolVersion)
        return broken("HELLO with an unknown protocol version");
    version_ = version;
    if (state_ == State::loading) return true;  // an executed artifact introduces itself once more
    if (state_ != State::starting || saidHello_) return broken("a second HELLO");
    saidHello_ = true;
    state_ = State::waiting;
    sampleMemory(true);
    context_.starts.done(*this);
    context_.loop.cancel(std::exchange(turn_, 0));
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
    if (emptiesPipes_) emptyPipes();
    auto at = inFlight_.begin();
    if (target_ && target_->concurrency > 1)
        at = std::find_if(inFlight_.begin(), inFlight_.end(),
                          [&](const auto& call) { return call->frameId == frame.id; });
    if (at == inFlight_.end() || (*at)->frameId != frame.id) {
        const auto late = std::find(cancelled_.begin(), cancelled_.end(), frame.id);
        if (late == cancelled_.end()) return broken("an answer to what was not asked");
        cancelled_.erase(late);
        return true;
    }
    const auto answer = protocol::readAnswer(frame.payload);
    if (!answer.ok && frame.oversized == 0) return broken("an answer whose sizes do not fit");
    Outcome outcome;
    outcome.document = answer.document;
    const size_t size = std::max<size_t>(frame.oversized, answer.document.size());
    if (size > context_.options.maxResponseBytes) {
        outcome.kind = Outcome::Kind::failure;
        outcome.failure = {.reason = "response_too_large",
                           .detail = "the result is larger than the " +
                                     std::to_string(context_.options.maxResponseBytes) +
                                     " bytes that a response may have",
                           .hint = "return less, or a reference to where the data is",
                           .limit = std::to_string(context_.options.maxResponseBytes) + " bytes",
                           .observed = std::to_string(size) + " bytes"};
    } else {
        const auto document = context_.validator.check(answer.document);
        outcome.kind = document ? Outcome::Kind::result : Outcome::Kind::failure;
        if (!document && document.failure().reason == "json_too_deep") {
            outcome.failure = {.reason = "invalid_response",
                               .detail = "the result is nested too deeply",
                               .hint = "return a flatter value",
                               .limit = std::to_string(base::invokeJsonDepth) + " levels"};
        } else if (!document) {
            outcome.failure = {.reason = "invalid_response",
                               .detail = "the result is not JSON: " + document.failure().detail,
                               .hint = "return a value that the language's JSON library can write"};
        } else if (frame.type == FrameType::error) {
            std::string_view type, message;
            if (!document->is_object() || (*document)["type"].get(type) ||
                (*document)["message"].get(message))
                return broken("an ERROR without type and message");
            outcome.kind = Outcome::Kind::error;
        }
    }
    const auto now = Clock::now();
    InvocationPtr call = std::move(*at);
    inFlight_.erase(at);
    outcome.run = microsecondsSince(call->begun, now);
    outcome.handler = outcome.run;
    if (answer.runNs > 0)
        outcome.handler = std::min(outcome.run, std::chrono::microseconds(answer.runNs / 1000));
    outcome.cold = call->cold;
    outcome.init = call->init;
    sampleMemory(!answeredOnce_);
    outcome.memoryPeakBytes = memoryPeakBytes_;
    answeredOnce_ = true;
    std::copy(std::begin(call->id), std::end(call->id), lastCall_);
    lastUsed_ = now;
    if (target_->concurrency <= 1) {
        if (!inFlight_.empty()) begin(*inFlight_.front(), now);
        if (holdsOnlyCancelled()) kill(WorkerEnd::Cause::killed, "the caller went away");
    } else {
        endCancelled(now);
    }
    owner_->workerAnswered(*this, std::move(call), outcome);
    if (leaving_ && inFlight_.empty() && state_ == State::ready) stop();
    return state_ != State::dying;
}

// What was taken back already, or what it found to be too late before this process did.
bool Worker::onNotBegun(uint64_t id) {
    if (const auto known = std::find(takenBack_.begin(), takenBack_.end(), id);
        known != takenBack_.end()) {
        takenBack_.erase(known);
        return true;
    }
    const auto now = Clock::now();
    if (inFlight_.empty() || inFlight_.front()->frameId != id ||
        inFlight_.front()->beginBy == Clock::time_point{} ||
        now + clockTolerance < inFlight_.front()->beginBy)
        return broken("NOT_BEGUN of a call whose turn it was");
    std::vector<InvocationPtr> late;
    late.push_back(std::move(inFlight_.front()));
    inFlight_.pop_front();
    if (!inFlight_.empty()) begin(*inFlight_.front(), now);
    if (holdsOnlyCancelled()) kill(WorkerEnd::Cause::killed, "the caller went away");
    owner_->workerReturned(*this, std::move(late));
    if (leaving_ && inFlight_.empty() && state_ == State::ready) stop();
    return state_ != State::dying;
}

// Whose native output it is. With several calls in its hands, those that were given up and may
// still run among them, nobody knows, and it may be another caller's secret.
Invocation* Worker::printing() {
    return inFlight_.size() == 1 && cancelled_.empty() ? inFlight_.front().get() : nullptr;
}

bool Worker::onLogFrame(const Frame& frame) {
    Stream stream = Stream::output;
    std::string_view text;
    protocol::ItemReader items(frame.payload);
    while (items.next()) {
        if (items.tag() == Tag::stream)
            stream = items.number() == 2 ? Stream::errors : Stream::output;
        else if (items.tag() == Tag::text)
            text = items.value();
    }
    if (items.malformed()) return broken("a malformed LOG frame");
    Invocation* call = nullptr;
    if (frame.id != 0) {
        const auto at = std::find_if(inFlight_.begin(), inFlight_.end(),
                                     [&](const auto& c) { return c->frameId == frame.id; });
        if (at != inFlight_.end()) call = at->get();
    }
    print(stream, call, text);
    return true;
}

void Worker::print(Stream stream, Invocation* invocation, std::string_view text) {
    if (text.empty()) return;
    if (stream == Stream::errors) keepEnd(lastErrors_, text, keptErrors);
    if (!target_) return;
    if (initTime_.count() == 0) keepEnd(printed_, text, keptPrinted);
    if (invocation != nullptr) invocation->printed.add(stream, text);
    if (context_.options.onLog)
        context_.options.onLog(*target_,
                               invocation != nullptr ? invocation->idText() : std::string_view{},
                               stream, text);
}

// Native output. One read an event keeps a flood from holding the loop; the pipe's own limit slows
// the writer down. True: there may be more.
bool Worker::onPipe(Stream stream) {
    auto& pipe = stream == Stream::output ? output_ : errors_;
    auto& watch = stream == Stream::output ? outputWatch_ : errorsWatch_;
    if (!pipe || !watch) return false;
    char buffer[pipeRead];
    const ssize_t got = ::read(pipe.get(), buffer, sizeof buffer);
    if (got > 0) {
        if (!inFlight_.empty()) emptiesPipes_ = printedNatively_ = true;
        print(stream, printing(), {buffer, static_cast<size_t>(got)});
        return static_cast<size_t>(got) == sizeof buffer;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) retire(context_.loop, std::move(watch));
    return false;
}

// What was printed before an answer belongs to its call.
void Worker::emptyPipes() {
    for (const Stream stream : {Stream::output, Stream::errors})
        for (int i = 0; i < pipeReads && onPipe(stream); ++i) {
        }
}

// It comes by way of the launcher, so a short invocation may just be over: its record is written
// then, and the line goes to the log under its number.
void Worker::onRefused(std::string_view line) {
    if (state_ == State::dying || !target_) return;
    const auto now = Clock::now();
    const auto verdict = refusalLines_.next(now);
    if (verdict == RefusalLines::Verdict::nothing) return;
    std::string text(line);
    if (verdict == RefusalLines::Verdict::sayThatThereAreMore)
        text = "[platform] more connections were refused; at most " +
               std::to_string(RefusalLines::maxOfSecond) + " a second and " +
               std::to_string(RefusalLines::maxOfCall) + " of an invocation are named";
    text += '\n';
    const bool isLate = inFlight_.empty() && now - lastUsed_ < lateRefusal;
    if (isLate && answeredOnce_ && context_.options.onLog)
        return context_.options.onLog(*target_, {lastCall_, sizeof lastCall_}, Stream::errors,
                                      text);
    const bool isOne = inFlight_.size() == 1 || target_->concurrency <= 1;
    print(Stream::errors, isOne ? printing() : nullptr, text);
}

bool Worker::broken(std::string detail) {
    base::logWarning("workers", "a worker" +
                                    (target_ ? " of " + target_->functionName : std::string{}) +
                                    " broke the protocol: " + detail);
    kill(WorkerEnd::Cause::protocolError, std::move(detail));
    return false;
}

}  // namespace cf::workers
