// Turns a version with sources into a ready or failed one, and shows builds while they run. Used by
// FunctionService on its threads; thread-safe.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "functions/artifacts.hpp"
#include "functions/build_log.hpp"
#include "functions/function.hpp"
#include "functions/ports.hpp"
#include "functions/store.hpp"

namespace cf::functions {

class Builds {
public:
    // `lockAge`: how old the locks of other functions may be. All outlive it.
    Builds(Artifacts& artifacts, Builder& builder, Store& store, std::chrono::seconds lockAge)
        : artifacts_(artifacts), builder_(builder), store_(store), lockAge_(lockAge) {}
    Builds(const Builds&) = delete;
    Builds& operator=(const Builds&) = delete;

    struct Subject {
        const std::string& functionName;
        const Settings& settings;
        const RuntimeInfo& runtime;
    };
    class Log;
    // A build that waits, runs, or is over but not stored and served yet. As long as it is there,
    // readers find the build among those that run: none of them looks between the two places and
    // sees nothing, or takes for ready what calls do not reach yet.
    class Shown {
    public:
        Shown(Builds& builds, std::string functionId, uint64_t number, std::shared_ptr<Log> log)
            : builds_(&builds), id_(std::move(functionId), number), log_(std::move(log)) {}
        Shown(Shown&& other) noexcept
            : builds_(std::exchange(other.builds_, nullptr)),
              id_(std::move(other.id_)),
              log_(std::move(other.log_)) {}
        Shown& operator=(Shown&&) = delete;
        ~Shown();
        void log(std::string_view line) const;
        std::string text() const;
        std::string tail() const;  // for Failure::buildLog

    private:
        friend class Builds;
        Builds* builds_;
        std::pair<std::string, uint64_t> id_;
        std::shared_ptr<Log> log_;
    };
    struct Outcome {
        Version version{};  // ready with its key, or failed with its failure
        Shown shown;        // to be kept until the version is stored, and served if it is ready
        std::shared_ptr<void> leftovers{};  // of the build; best let go behind the answer
    };

    // The executor's cheap look before anything is stored. Failure invalid_function names a refused
    // handler; whatever it says about places in files is left to run().
    base::Result<void> checkHandler(const Subject& subject, const Version& version);
    // Shows a version that waits for its turn to be built.
    Shown announce(const Version& version);
    // `shown` is what announce() gave for it. `version.locks` are those to begin with.
    // `forgetLocks`: resolve dependencies anew.
    Outcome run(const Subject& subject, Version version, Shown shown, bool forgetLocks = false);

    // Of a function that was not made because its first version failed: those who follow that build
    // still learn how it ended. The last few only.
    struct Refused {
        std::shared_ptr<const Version> version{};  // without its sources
        std::string log{};
    };
    void keepRefused(const Outcome& outcome);
    std::optional<Refused> refused(const std::string& functionId, uint64_t number) const;

    // Versions of a function whose first build waits, runs, or is over but not served yet; without
    // locks.
    std::vector<std::shared_ptr<const Version>> building(const std::string& functionId) const;
    std::optional<std::string> runningLog(const std::string& functionId, uint64_t number) const;
    // See FunctionService::followBuildLog.
    LogSubscription follow(const std::string& functionId, uint64_t number,
                           std::function<void()> changed);

private:
    struct Running {
        std::shared_ptr<const Version> version{};
        std::shared_ptr<Log> log{};
    };

    Artifacts& artifacts_;
    Builder& builder_;
    Store& store_;
    const std::chrono::seconds lockAge_;
    LogFollowers followers_;
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, uint64_t>, Running> running_;
    std::deque<Refused> refused_;
};

}  // namespace cf::functions
