// The ports of executors/ over plain child processes: what the launcher does on the platform,
// without a sandbox.
#pragma once

#include <functional>
#include <mutex>

#include "executors/ports.hpp"

namespace cf::test {

// Runs probes.
class PlainProcessRunner : public executors::ProcessRunner {
public:
    base::Result<Outcome> run(const std::vector<std::string>& argv, std::string_view input,
                              std::chrono::milliseconds timeout) override;
};

// Runs tools where they are, and keeps the last specification for a look at it.
class PlainToolRunner : public executors::ToolRunner {
public:
    base::Result<Outcome> run(const sandbox::ToolSpec& spec, std::string_view input,
                              const Receive& receive, executors::Clock::time_point deadline,
                              const std::atomic<bool>& cancel,
                              const Excess& excess = {}) override;
    sandbox::ToolSpec last{};
    int runs = 0;
};

// Answers every check with `answer`.
class FixedChecker : public executors::SourceChecker {
public:
    base::Result<std::string> check(const std::string& executorId, std::string_view file,
                                    std::string_view source,
                                    executors::Clock::time_point) override {
        asked = executorId + "|" + std::string(file) + "|" + std::string(source);
        return answer;
    }
    std::string answer = "[]";
    std::string asked{};
};

}  // namespace cf::test
