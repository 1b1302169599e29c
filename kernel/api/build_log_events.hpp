// GET .../build-log?follow=true: a build log as Server-Sent Events (the WHATWG's HTML standard,
// section 9.2), from its beginning or from where the client was cut off. One event `log` for each
// line, whose id is the offset behind the line; one `end` with what became of the version; a comment
// now and then, so that nobody on the way takes the connection for dead.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/api.hpp"

namespace cf::api {

// Text of the log as events; `offset` is where it begins in the log.
std::string logEvents(std::string_view text, uint64_t offset);
// The last event; `failure` may be null.
std::string endEvent(functions::VersionState state, uint64_t version, const base::Failure* failure);
constexpr std::string_view endEventId = "end";

// One client that follows one build. It holds at most one piece of the log: the next one is read
// when the client has taken the last. Loop thread, but for what it has a control thread read.
class BuildLogFollower : public std::enable_shared_from_this<BuildLogFollower> {
public:
    // Takes one of the places for followers with it; null when there is none left. Any thread.
    static std::shared_ptr<BuildLogFollower> make(base::EventLoop& loop,
                                                  const Dependencies& dependencies,
                                                  functions::FunctionPtr entry, uint64_t version,
                                                  uint64_t offset);
    ~BuildLogFollower();

    // Loop thread: answers the exchange and goes on by itself until the end of build or client.
    void start(http::Exchange& exchange, std::string_view headers);

private:
    struct Piece {
        std::string events{};
        uint64_t next = 0;
        bool ended = false;
        bool busy = false;   // nobody could read it now
        bool fault = false;  // the store could not
    };
    BuildLogFollower(base::EventLoop& loop, const Dependencies& dependencies,
                     functions::FunctionPtr entry, uint64_t version, uint64_t offset);
    void changed();
    void readOn();
    Piece read() const;
    void take(Piece piece);
    void beat();
    void later(std::chrono::milliseconds delay);
    void finish();

    base::EventLoop& loop_;
    ControlPool& pool_;
    const functions::FunctionService& functions_;
    const std::shared_ptr<FollowerLimits> limits_;
    const functions::FunctionPtr entry_;
    const uint64_t version_;
    uint64_t offset_;
    std::shared_ptr<http::Stream> stream_{};
    functions::LogSubscription subscription_{};
    std::atomic<bool> told_{false};  // a task that reads on is on its way to the loop
    bool reading_ = false;
    unsigned faults_ = 0;  // in a row
    bool again_ = false;  // there was news while a piece was read
    base::TimerId heartbeat_ = 0;
    base::TimerId retry_ = 0;
};

}  // namespace cf::api
