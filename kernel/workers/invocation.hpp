// One call of a function on its way through the workers. It has a source and a sink, and is not a
// connection: HTTP calls, function URLs and whatever comes later derive from Invocation and say
// what happens with the outcome.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/failure.hpp"
#include "base/ulid.hpp"
#include "workers/printed.hpp"
#include "workers/target.hpp"

namespace cf::workers {

using Clock = std::chrono::steady_clock;

struct Outcome {
    enum class Kind {
        result,   // `document` is the handler's result
        error,    // `document` is the error document of an exception
        failure,  // `failure` says why there is no answer of the function
    };
    Kind kind = Kind::failure;
    std::string_view document{};  // valid JSON; lives as long as the call of finished()
    base::Failure failure{};
    std::chrono::microseconds queued{0};
    std::chrono::microseconds init{0};  // what a cold start cost; 0 when warm
    std::chrono::microseconds run{0};
    // What the worker says the handler took: without its wait for a core. A lie costs only the
    // function that tells it.
    std::chrono::microseconds handler{0};
    bool cold = false;
    uint64_t memoryPeakBytes = 0;  // of the worker so far; 0 when unknown
};

// Loop thread only. Whoever makes it fills the first block; event and context must stay valid until
// finished().
class Invocation {
public:
    virtual ~Invocation() = default;
    // Called exactly once, last; the invocation is destroyed afterwards.
    virtual void finished(const Outcome& outcome) = 0;

    TargetPtr target{};
    char id[base::ulidSize]{};
    std::string_view requestId{};
    std::string_view event{};
    std::string_view context{};
    Clock::time_point received{};

    std::string_view idText() const { return {id, base::ulidSize}; }

    // Used by workers/.
    uint64_t frameId = 0;
    Clock::time_point begun{};  // when its worker could begin with it
    Clock::time_point beginBy{};  // later its worker will not; never set for one that waits for nobody
    std::chrono::milliseconds timeout{0};  // as its worker was told: later settings are not for it
    std::chrono::microseconds init{0};
    bool cold = false;
    bool retried = false;    // was given to a worker that died before it began
    bool abandoned = false;  // the caller is gone; dropped if it has not begun
    bool cancelled = false;  // and wants it ended
    Printed printed{};
};

using InvocationPtr = std::unique_ptr<Invocation>;

}  // namespace cf::workers
