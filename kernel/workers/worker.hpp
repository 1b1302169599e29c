// One worker process as the kernel sees it: its socket, its life from HELLO to its end, what it is
// working on. Reference: docs/worker-protocol.md. The worker is hostile: whatever it says is
// checked here.
//
// Loop thread only. A worker is owned by a WorkerOwner (first a prewarmed pool, later a version's
// pool), which must not destroy it inside one of its callbacks but with retire() below.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/frame.hpp"
#include "sandbox/idle_work.hpp"
#include "workers/context.hpp"
#include "workers/invocation.hpp"
#include "workers/refusal_lines.hpp"
#include "workers/watch.hpp"

namespace cf::workers {

class Worker;

inline std::chrono::microseconds microsecondsSince(Clock::time_point start, Clock::time_point now) {
    return std::chrono::duration_cast<std::chrono::microseconds>(now - start);
}

// Why a worker is gone, and what it leaves behind.
struct WorkerEnd {
    enum class Cause {
        stopped,
        crashed,
        timedOut,
        outOfMemory,
        protocolError,
        responseTooLarge,
        loadTimedOut,
        loadFailed,
        notStarted,
        killed
    };
    Cause cause = Cause::crashed;
    std::string detail{};  // a sentence
    std::string hint{};
    std::string loadError{};  // the error document of a LOAD_FAILED
    std::string printed{};    // the end of what it printed, of one that was never ready
    uint64_t memoryPeakBytes = 0;
    std::vector<InvocationPtr> begun{};     // in its hands when it ended
    std::vector<InvocationPtr> notBegun{};  // only waiting in its socket
    std::vector<InvocationPtr> unknown{};   // one or the other: behind an answer that came too late
};

class WorkerOwner {
public:
    virtual ~WorkerOwner() = default;
    virtual void workerWaits(Worker&) {}  // said HELLO
    virtual void workerReady(Worker&) {}  // said READY
    virtual void workerChecked(Worker&, std::string_view /*remarks*/) {}
    // An answer came; the worker has room again. `outcome` is complete but for queue time.
    virtual void workerAnswered(Worker&, InvocationPtr, Outcome&) {}
    // Calls that it has not begun and never will: they waited behind another one for too long.
    virtual void workerReturned(Worker&, std::vector<InvocationPtr>) {}
    // The last call about this worker; give it to retire().
    virtual void workerGone(Worker&, WorkerEnd&&) = 0;
    // Its turn to start has come; false: nobody waits for it any more.
    virtual bool wantsStart(const Worker&) const { return true; }
};

class Worker {
public:
    enum class State { starting, waiting, binding, loading, ready, dying };

    // How a worker comes into being.
    struct Birth {
        uint32_t memoryMb = 128;                         // its limit until it is bound
        std::chrono::milliseconds startTimeout{10'000};  // from its process's start to HELLO
        Urgency urgency = Urgency::called;
        uint64_t memorySeen = 0;  // the most that a worker of its version used; 0: unknown
    };
    // Takes a place and asks for its start. It has no target yet.
    Worker(Context& context, WorkerOwner& owner, const LaunchPlan& plan, const Birth& birth);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void setOwner(WorkerOwner& owner) { owner_ = &owner; }
    // Asks the launcher to start its process; called once, by Starts.
    void launch();
    const WorkerOwner* owner() const { return owner_; }
    // Binds it to a version for life: attach and LOAD follow as soon as it has said HELLO.
    // `memorySeen` as in Birth.
    void bind(TargetPtr target, uint64_t memorySeen = 0);
    // Takes new settings of the same version; they count from the next invocation on.
    void retarget(TargetPtr target) { target_ = std::move(target); }
    // Hands over an invocation; ready workers only. It is written at the end of the loop's round.
    // `now`: the time, which the caller mostly knows already. Behind others it is taken back when
    // it was not begun within `patience`, where the worker will not begin it later
    // (returnsCalls()).
    void send(InvocationPtr invocation, Clock::time_point now, Clock::duration patience);
    // Ends the worker of an invocation that nobody waits for, or tells it where others run beside.
    // With others behind it in the socket it is given a moment to end by itself; one that waits
    // there may have begun already: the worker ends only once all that it has is of this kind.
    // False: not here.
    bool cancel(Invocation& invocation);
    // Asks it to parse a source (CHECK); waiting workers only, never bound afterwards.
    void check(std::string_view file, std::string_view source);
    // Somebody waits for one that was started in the background: until now it gave way to all
    // others.
    void hurry();
    // It computes as one of `parts` of its function.
    void share(uint32_t parts);
    // Lets it leave when what it has is done.
    void stop();
    void kill(WorkerEnd::Cause cause, std::string detail);
    // The calls in its hands, for whoever ends it and answers them.
    std::deque<InvocationPtr> surrender() { return std::exchange(inFlight_, {}); }
    // Ends it when it computes too much between its calls. Called about once a second.
    void checkIdleWork(Clock::time_point now);

    State state() const { return state_; }
    const TargetPtr& target() const { return target_; }
    size_t load() const { return inFlight_.size(); }
    // It computes for its function: a call, or the way to its first one.
    bool atWork() const {
        return !inFlight_.empty() || (state_ != State::ready && state_ != State::dying);
    }
    // How long the invocation in front has been running.
    Clock::duration headAge(Clock::time_point now) const {
        return inFlight_.empty() ? Clock::duration{} : now - inFlight_.front()->begun;
    }
    bool takesWork() const { return state_ == State::ready && !leaving_; }
    // It counts among the workers that there may be, and will go on to.
    bool staysHere() const { return place_.held() && !leaving_; }
    const Place& place() const { return place_; }
    bool wasCold() const { return !answeredOnce_; }
    // It speaks a protocol in which what waits in its socket can be taken back.
    bool returnsCalls() const {
        return version_ >= protocol::beginByVersion && target_->concurrency <= 1;
    }
    // Calls were taken back from behind the one that it runs since the last question.
    bool returnedCalls() { return std::exchange(returnedCalls_, false); }
    // A call printed through the process's own descriptors since the last question.
    bool printedNatively() { return std::exchange(printedNatively_, false); }
    Clock::time_point lastUsed() const { return lastUsed_; }
    Clock::time_point boundAt() const { return bound_; }
    std::chrono::microseconds initTime() const { return initTime_; }

private:
    void started(base::Result<sandbox::WorkerLauncher::Worker> worker);
    void ended(const sandbox::Ended& ended);
    void armLife();
    void armTurn();
    void attach();
    void sendLoad();
    void onSocket(uint32_t events);
    void readFrames();
    static constexpr int lastReads = 64;  // more than a socket holds
    void readSocket();
    // What a worker that takes one call after the other said before it was ended.
    struct LastWords {
        size_t through = 0;  // calls that it was through with: the next one may have begun
        std::vector<uint64_t> notBegun{};
    };
    bool isUnexplained() const {
        return cause_ == WorkerEnd::Cause::crashed || cause_ == WorkerEnd::Cause::notStarted;
    }
    LastWords lastWords();
    bool onFrame(const protocol::Frame& frame);
    bool onHello(std::string_view payload);
    bool onAnswer(const protocol::Frame& frame);
    bool onNotBegun(uint64_t id);
    bool onLogFrame(const protocol::Frame& frame);
    bool broken(std::string detail);
    bool onPipe(Stream stream);
    void emptyPipes();
    void print(Stream stream, Invocation* invocation, std::string_view text);
    Invocation* printing();
    void onRefused(std::string_view line);
    void listenLess();
    uint32_t wantedEvents() const;
    void flushSoon();
    void flush();
    void begin(Invocation& call, Clock::time_point now);
    void giveMoment(Invocation& call, Clock::time_point now);
    void endCancelled(Clock::time_point now);
    void ringAt(Clock::time_point when);
    void onDeadline();
    bool expireFront(Clock::time_point now);
    void expireAny(Clock::time_point now);
    void takeBack(Clock::time_point now);
    bool holdsOnlyCancelled() const;
    void expire(size_t index);
    void beginDying(WorkerEnd::Cause cause, std::string detail);
    void killTree();
    void finishDying();
    void sampleMemory(bool now);

    Context& context_;
    WorkerOwner* owner_;
    State state_ = State::starting;
    Place place_;
    sandbox::WorkerSpec spec_;  // until it is launched
    uint32_t memoryMb_;         // until it is bound
    std::chrono::milliseconds startTimeout_;
    uint32_t parts_;  // as told to the launcher, or to be told when it has started
    bool launched_ = false;
    TargetPtr target_;
    sandbox::TaskId task_ = 0;
    base::UniqueFd socket_, output_, errors_, pidfd_, memoryPeak_;
    std::unique_ptr<Watch> socketWatch_, outputWatch_, errorsWatch_;
    protocol::FrameDecoder decoder_;
    std::string out_;  // for its socket, from sent_ on
    size_t sent_ = 0;
    uint32_t chatter_ = 0;               // frames since the last look that were no answers
    Clock::time_point chattersUntil_{};  // when its frames of no answer would have been earned
    bool flushQueued_ = false;
    bool wantsWrite_ = false;
    bool leaving_ = false;
    bool answeredOnce_ = false;
    bool saidHello_ = false;
    bool emptiesPipes_ = false;  // it has printed natively: its pipes are read before its answers
    bool printedNatively_ = false;
    bool returnedCalls_ = false;
    uint64_t version_ = 0;  // of the protocol, as its latest HELLO says
    std::deque<InvocationPtr> inFlight_;
    std::vector<uint64_t> cancelled_;  // answers that may still come, of calls that were given up
    std::vector<uint64_t> takenBack_;  // calls of which NOT_BEGUN is still to come
    Clock::time_point lastUsed_{}, bound_{};
    std::chrono::microseconds initTime_{0};
    base::TimerId deadline_ = 0, life_ = 0, dying_ = 0, turn_ = 0, silence_ = 0;
    Clock::time_point ringsAt_{};  // deadline_
    std::string lastErrors_;
    std::string loadError_;
    std::string printed_;  // until it is ready
    RefusalLines refusalLines_;
    char lastCall_[base::ulidSize]{};  // whom it answered last
    uint64_t memoryPeakBytes_ = 0;
    sandbox::IdleWork idleWork_;
    Clock::time_point memorySampled_{};
    WorkerEnd::Cause cause_ = WorkerEnd::Cause::crashed;
    std::string causeDetail_;
    bool hasEnded_ = false;
    sandbox::Ended ended_{};
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Destroys what may still be on the stack above us: after the events of this round.
template <typename T>
void retire(base::EventLoop& loop, std::unique_ptr<T> owned) {
    if (owned) loop.post([keep = std::shared_ptr<T>(std::move(owned))] {});
}

}  // namespace cf::workers
