// Turns a version with sources into a ready or failed one, and shows builds while they run. Used by
// FunctionService on control-plane threads; thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "functions/artifacts.hpp"
#include "functions/function.hpp"
#include "functions/ports.hpp"

namespace cf::functions {

class Builds {
public:
    Builds(Artifacts& artifacts, Builder& builder) : artifacts_(artifacts), builder_(builder) {}

    struct Subject {
        const std::string& functionName;
        const Settings& settings;
        const RuntimeInfo& runtime;
    };
    struct Outcome {
        Version version{};  // ready with its key, or failed with its failure
        std::string log{};
    };

    // The executor's cheap look before anything is stored. Failure invalid_function names a refused
    // handler; whatever it says about places in files is left to run().
    base::Result<void> checkHandler(const Subject& subject, const Version& version);
    Outcome run(const Subject& subject, Version version);

    // Versions of a function that are being built right now, without sources.
    std::vector<std::shared_ptr<const Version>> running(const std::string& functionId) const;
    std::optional<std::string> runningLog(const std::string& functionId, uint64_t number) const;

private:
    class Log;
    struct Running {
        std::shared_ptr<const Version> version{};
        std::shared_ptr<Log> log{};
    };

    Artifacts& artifacts_;
    Builder& builder_;
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, uint64_t>, Running> running_;
};

}  // namespace cf::functions
