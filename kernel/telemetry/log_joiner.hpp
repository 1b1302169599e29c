// Puts the lines of one function's log together from the pieces that its calls print: a line ends
// where the function ended it, not where a write or a pipe did. Used by FunctionLogs; one thread at
// a time.
//
// Pieces of one call and stream are joined until their line end comes. A line without one is kept
// back until its call is over, it is too long, or it has waited for the patience: whoever follows a
// log sees a prompt or a row of dots after about a second.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/log_line.hpp"

namespace cf::telemetry {

class LogJoiner {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr size_t most = 64;  // lines kept back at once; beyond it the oldest goes

    // Appends what became complete to `out`, as lines of the log. What the platform says is
    // complete.
    void add(std::string& out, Clock::time_point now, int64_t unixMs, std::string_view invocationId,
             LogStream stream, std::string_view text);
    // The call prints no more.
    void finish(std::string& out, std::string_view invocationId);
    // What was kept back before `until`.
    void expire(std::string& out, Clock::time_point until);
    // All that is kept back, as lines, which stay kept back.
    std::string peek() const;

    bool empty() const { return open_.empty(); }
    size_t bytes() const;

private:
    struct Open {
        Clock::time_point since{};
        int64_t unixMs = 0;
        std::string invocationId{};
        LogStream stream = LogStream::output;
        std::string text{};
    };
    static void append(std::string& out, const Open& open);

    std::vector<Open> open_;  // the oldest first
};

}  // namespace cf::telemetry
