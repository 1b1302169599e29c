#include "workers/worker.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "base/clock.hpp"

namespace cf::workers {

using namespace std::chrono_literals;
using protocol::FrameType;
using protocol::Tag;

namespace {

// What may stand around an answer's document.
constexpr size_t frameSlack = 64 * 1024;
// As the worker's clock has it.
uint64_t beginByUs(const Invocation& call) {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(call.beginBy.time_since_epoch())
            .count());
}

// What runs on for a moment after an answer is the call's.
constexpr auto idleAfter = 100ms;
// For a call that nobody waits for, while others wait behind it.
constexpr auto cancelledMoment = 50ms;
// Of a worker that nobody waits for. Not less: it has to come up beside a machine full of calls
// that compute.
constexpr uint32_t backgroundParts = 16;
// A start that takes longer keeps no other from its turn.
constexpr auto longestTurn = 1s;

}  // namespace

Worker::Worker(Context& context, WorkerOwner& owner, const LaunchPlan& plan, const Birth& birth)
    : context_(context),
      owner_(&owner),
      place_(context.places,
             context.places.expected(uint64_t{birth.memoryMb} << 20, birth.memorySeen)),
      spec_(plan.spec),
      memoryMb_(birth.memoryMb),
      startTimeout_(birth.startTimeout),
      parts_(birth.urgency == Urgency::background ? backgroundParts : 1),
      decoder_(static_cast<uint32_t>(
          std::min<size_t>(protocol::maxPayload, context.options.maxResponseBytes + frameSlack))),
      lastUsed_(Clock::now()) {
    ++context_.workers;
    spec_.limits = context_.options.limits;
    spec_.limits.memoryBytes = uint64_t{birth.memoryMb} << 20;
    context_.starts.request(*this, birth.urgency);
}

void Worker::launch() {
    launched_ = true;
    armLife();
    armTurn();
    const sandbox::WorkerSpec spec = std::exchange(spec_, {});
    std::weak_ptr<bool> alive = alive_;
    context_.launcher.startWorker(
        spec,
        [this, alive, &launcher = context_.launcher](auto worker) {
            if (!alive.expired())
                started(std::move(worker));
            else if (worker)  // given up meanwhile, and nobody else would end it
                launcher.kill(worker->task);
        },
        [this, alive](const sandbox::Ended& end) {
            if (!alive.expired()) ended(end);
        });
}

// Programs that a function's variables make load before HELLO run for as long as they like, and
// others wait for their turn to start.
void Worker::armTurn() {
    context_.loop.cancel(turn_);
    turn_ = context_.loop.after(longestTurn, [this] {
        turn_ = 0;
        context_.starts.overdue(*this);
    });
}

// Its time runs only while it is at work itself: not while it waits for its turn to start.
void Worker::armLife() {
    context_.loop.cancel(life_);
    if (target_)
        life_ = context_.loop.after(target_->initTimeout, [this] {
            life_ = 0;
            kill(WorkerEnd::Cause::loadTimedOut,
                 "loading the function took longer than init_timeout (" +
                     std::to_string(target_->initTimeout.count()) + " ms)");
        });
    else
        life_ = context_.loop.after(startTimeout_, [this] {
            life_ = 0;
            kill(saidHello_ ? WorkerEnd::Cause::loadTimedOut : WorkerEnd::Cause::notStarted,
                 "the worker did not start in time");
        });
}

Worker::~Worker() {
    for (const auto timer : {deadline_, life_, dying_, turn_, silence_})
        context_.loop.cancel(timer);
    if (flushQueued_) std::erase(context_.unflushed, this);
    context_.starts.done(*this);
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
    idleWork_.watch(std::move(worker->processorTime));
    if (!memoryPeak_) {
        context_.places.unmeasured = true;
        place_.charge(uint64_t{target_ ? target_->memoryMb : memoryMb_} << 20);
    }
    std::weak_ptr<bool> alive = alive_;
    context_.launcher.onRefused(task_, [this, alive](std::string_view line) {
        if (!alive.expired()) onRefused(line);
    });
    if (state_ == State::dying) {  // given up while it was being started
        context_.launcher.kill(task_);
        return;
    }
    if (parts_ != 1) context_.launcher.share(task_, parts_);
    socketWatch_ = std::make_unique<Watch>(context_.loop, socket_.get(), EPOLLIN,
                                           [this](uint32_t e) { onSocket(e); });
    // What a call printed was written before its answer.
    outputWatch_ = std::make_unique<Watch>(
        context_.loop, output_.get(), EPOLLIN, [this](uint32_t) { onPipe(Stream::output); },
        Watch::Turn::first);
    errorsWatch_ = std::make_unique<Watch>(
        context_.loop, errors_.get(), EPOLLIN, [this](uint32_t) { onPipe(Stream::errors); },
        Watch::Turn::first);
}

void Worker::bind(TargetPtr target, uint64_t memorySeen) {
    target_ = std::move(target);
    bound_ = Clock::now();
    place_.charge(std::max(
        place_.bytes(), context_.places.expected(uint64_t{target_->memoryMb} << 20, memorySeen)));
    if (launched_) armLife();
    hurry();
    if (state_ == State::waiting) attach();
}

void Worker::hurry() {
    share(1);
    if (state_ != State::starting) return;
    context_.starts.hurry(*this);
    if (launched_ && !saidHello_) armTurn();
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
        if (done)
            sendLoad();
        else
            kill(WorkerEnd::Cause::notStarted, done.failure().detail);
    });
}

void Worker::share(uint32_t parts) {
    if (parts == parts_) return;
    parts_ = parts;
    if (task_ != 0) context_.launcher.share(task_, parts_);
}

void Worker::sendLoad() {
    state_ = State::loading;
    const size_t start = protocol::beginFrame(out_, FrameType::load, 0);
    protocol::putItem(out_, Tag::artifact, context_.launcher.artifactPath(task_));
    protocol::putItem(out_, Tag::handler, target_->handler);
    for (const auto& [name, value] : target_->environment)
        protocol::putItem(out_, Tag::environment, name + "=" + value);
    protocol::putItem(out_, Tag::functionName, target_->functionName);
    protocol::putItem(out_, Tag::functionVersion, target_->version);
    protocol::putItem(out_, Tag::memoryMb, uint64_t{target_->memoryMb});
    protocol::putItem(out_, Tag::timeoutMs, static_cast<uint64_t>(target_->timeout.count()));
    protocol::putItem(out_, Tag::concurrency, uint64_t{target_->concurrency});
    protocol::endFrame(out_, start);
    flush();
}

void Worker::send(InvocationPtr invocation, Clock::time_point now, Clock::duration patience) {
    Invocation& call = *invocation;
    call.frameId = base::randomBits() | 1;
    call.beginBy = {};
    if (!inFlight_.empty() && returnsCalls()) {
        // In whole microseconds, as the worker is told.
        call.beginBy = std::chrono::floor<std::chrono::microseconds>(now + patience);
        ringAt(call.beginBy);
    }
    if (inFlight_.empty()) {
        refusalLines_.begin();
        idleWork_.begins(now, context_.idleBudget.limit());
    }
    if (!answeredOnce_ && inFlight_.empty()) {
        call.cold = true;
        call.init = initTime_;
    }
    const auto timeout = call.timeout = target_->timeout;
    const auto wall = context_.wall.unixMs(now);
    protocol::putInvoke(out_, call.frameId, call.event, call.context,
                        {static_cast<uint64_t>(timeout.count()), call.idText(), call.requestId,
                         static_cast<uint64_t>(wall + timeout.count()), beginByUs(call)});
    if (target_->concurrency > 1 || inFlight_.empty()) begin(call, now);
    inFlight_.push_back(std::move(invocation));
    flushSoon();
}

// From here on it is in the function's hands.
void Worker::begin(Invocation& call, Clock::time_point now) {
    call.begun = now;
    if (call.cancelled)
        giveMoment(call, now);
    else
        ringAt(now + call.timeout);
}

// Calls wait behind others only where they are short. One that ends by itself costs no worker, and
// nobody behind it a doubt whether he was begun.
void Worker::giveMoment(Invocation& call, Clock::time_point now) {
    const auto passed = std::chrono::ceil<std::chrono::milliseconds>(now - call.begun);
    call.timeout = std::min(call.timeout, passed + cancelledMoment);
    ringAt(call.begun + call.timeout);
}

// Several at once were told; those that do not end by themselves end with the worker, once nobody
// else is there.
void Worker::endCancelled(Clock::time_point now) {
    if (!holdsOnlyCancelled()) return;
    for (const auto& call : inFlight_) giveMoment(*call, now);
}

bool Worker::cancel(Invocation& invocation) {
    const auto at = std::find_if(inFlight_.begin(), inFlight_.end(),
                                 [&](const auto& call) { return call.get() == &invocation; });
    if (at == inFlight_.end()) return false;
    invocation.abandoned = invocation.cancelled = true;
    if (target_->concurrency > 1) {
        const size_t start = protocol::beginFrame(out_, FrameType::cancel, invocation.frameId);
        protocol::endFrame(out_, start);
        flushSoon();
        endCancelled(Clock::now());
    } else {
        if (holdsOnlyCancelled())
            kill(WorkerEnd::Cause::killed, "the caller went away");
        else if (at == inFlight_.begin())
            giveMoment(invocation, Clock::now());
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
    if (state_ != State::ready && state_ != State::waiting)
        return kill(WorkerEnd::Cause::stopped, "no longer needed");
    if (inFlight_.empty()) place_.release();
    const size_t start = protocol::beginFrame(out_, FrameType::stop, 0);
    protocol::endFrame(out_, start);
    flush();
    // One that was asked to leave and does not is killed; its running invocations have deadlines of
    // their own.
    if (inFlight_.empty() && life_ == 0)
        life_ = context_.loop.after(1s, [this] {
            life_ = 0;
            kill(WorkerEnd::Cause::stopped, "did not leave when asked to");
        });
}

void Worker::checkIdleWork(Clock::time_point now) {
    if (!context_.idleBudget.limited() || state_ != State::ready || !inFlight_.empty() ||
        now - lastUsed_ < idleAfter)
        return;
    const bool isTooMuch = idleWork_.isTooMuch(now, context_.idleBudget.limit());
    context_.idleBudget.note(idleWork_.rate());
    if (!isTooMuch) return;
    const auto used = std::chrono::duration_cast<std::chrono::milliseconds>(idleWork_.used());
    const std::string what =
        "the worker used " + std::to_string(used.count()) +
        " ms of processor time between calls, more than sandbox.idle_cpu allows (" +
        std::to_string(std::lround(context_.options.idleCores * 100)) +
        " % of a core, less where many do)";
    print(
        Stream::errors, nullptr,
        "[platform] " + what +
            "; it was ended, the next call starts another one. Stop threads, timers and processes "
            "before the handler answers\n");
    kill(WorkerEnd::Cause::killed, what);
}

void Worker::kill(WorkerEnd::Cause cause, std::string detail) {
    if (state_ == State::dying) return;
    beginDying(cause, std::move(detail));
}

}  // namespace cf::workers
