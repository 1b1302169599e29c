// Following the log of a build while it runs: what FunctionService gives to readers (api/ makes
// events of it), and the list of those who want to hear of new lines.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "functions/function.hpp"

namespace cf::functions {

// A piece of a build log. Offsets are bytes from the log's beginning and stay the same when the
// build has ended and the log is read from the store.
struct LogTail {
    std::string text{};                           // whole lines, from the offset that was asked for
    uint64_t next = 0;                            // the offset behind `text`
    bool ended = false;                           // nothing follows `text`
    VersionState state = VersionState::building;  // final when `ended`
};

// Who wants to hear of new lines, by build. Thread-safe.
class LogFollowers {
public:
    using Id = std::pair<std::string, uint64_t>;  // function, version

    LogFollowers() : state_(std::make_shared<State>()) {}
    // Calls everybody who follows this build, on this thread.
    void tell(const Id& id) const;

private:
    friend class LogSubscription;
    struct Follower {
        Id id{};
        std::function<void()> changed{};
    };
    struct State {
        std::mutex mutex{};
        std::list<Follower> followers{};
    };
    std::shared_ptr<State> state_;
};

// Ends with its object: once the destructor has returned, the callback neither runs nor is called
// again. May outlive the service.
class LogSubscription {
public:
    LogSubscription() = default;
    LogSubscription(const LogFollowers& followers, LogFollowers::Id id,
                    std::function<void()> changed);
    LogSubscription(LogSubscription&& other) noexcept { *this = std::move(other); }
    LogSubscription& operator=(LogSubscription&& other) noexcept {
        std::swap(state_, other.state_);
        std::swap(at_, other.at_);
        return *this;
    }
    ~LogSubscription();

private:
    std::shared_ptr<LogFollowers::State> state_{};
    std::list<LogFollowers::Follower>::iterator at_{};
};

}  // namespace cf::functions
