// What the platform keeps about a function and its versions. Plain values without behaviour;
// everybody above base may read them. Once inside the registry they are immutable and shared
// (std::shared_ptr<const ...>), from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/failure.hpp"

namespace cf::functions {

// One file of a version's source. `name` is relative, '/'-separated and safe (sources.hpp); content
// is any bytes.
struct SourceFile {
    std::string name{};
    std::string content{};
    bool operator==(const SourceFile&) const = default;
};
// Sorted by name. Shared because versions that differ only in their environment have the same
// sources.
using Sources = std::shared_ptr<const std::vector<SourceFile>>;

// Variables of the handler's process, in the order the user wrote them.
using Environment = std::vector<std::pair<std::string, std::string>>;

enum class NetworkMode : uint8_t {
    none,      // no network at all
    outbound,  // may open connections, as far as the sandbox of this machine lets it
};

// What the handler may reach.
struct NetworkRules {
    NetworkMode mode = NetworkMode::outbound;
    // With `outbound`: only these (base/destination.hpp), as the user wrote them; empty: whatever
    // the platform allows.
    std::vector<std::string> allow{};
    bool operator==(const NetworkRules&) const = default;
};

// Which web pages may call a function's URL (the CORS protocol of the Fetch standard). Empty lists
// mean "any".
struct Cors {
    std::vector<std::string> origins{};  // "*" or whole origins such as "https://example.com"
    std::vector<std::string> methods{};
    std::vector<std::string> headers{};
    bool credentials = false;
    uint32_t maxAgeSeconds = 600;
    bool operator==(const Cors&) const = default;
};

struct HttpSettings {
    bool enabled = false;  // whether ANY /function/{name}/... reaches the function
    std::optional<Cors> cors{};
    bool operator==(const HttpSettings&) const = default;
};

// What changes without a new version: applied to live workers as they are.
struct Settings {
    std::chrono::milliseconds timeout{30'000};      // the handler's run
    std::chrono::milliseconds initTimeout{10'000};  // loading
    uint32_t memoryMb = 128;
    uint32_t concurrency = 1;  // invocations that one worker takes at once
    uint32_t minWorkers = 0;
    uint32_t maxWorkers = 0;              // 0: as many as the platform allows
    std::chrono::seconds keepAlive{600};  // how long an idle worker stays
    HttpSettings http{};
    bool operator==(const Settings&) const = default;
};

// What a build resolved dependencies to, kept so that building again gives the same.
struct Lock {
    std::string name{};      // as the executor calls it, often a file name
    std::string madeFrom{};  // SHA-256 in hex of what it was resolved from
    std::string content{};
    int64_t madeAtMs = 0;  // wall clock, since 1970
    bool operator==(const Lock&) const = default;
};

// What makes a version: changing any of it makes a new one.
struct VersionSpec {
    std::string runtime{};       // canonical name, what the executor is found by
    std::string runtimeAlias{};  // what answers show: the canonical name, or an alias that has its
                                 // own source file
    std::string handler{};
    bool fromCode =
        false;  // the user gave `code`: `sources` holds one file with the runtime's file name, and
                // `dependenciesFile` if there are dependencies
    Environment environment{};
    NetworkRules network{};
    // What the user listed instead of a manifest of his own, e.g. "left-pad@1", and the manifest
    // that was made of it: one more file among the sources, which the user does not see.
    std::vector<std::string> dependencies{};
    std::string dependenciesFile{};
    bool operator==(const VersionSpec&) const = default;
};

enum class VersionState : uint8_t { building, ready, failed };

// An immutable snapshot of a function.
struct Version {
    std::string functionId{};
    uint64_t number = 0;
    VersionSpec spec{};
    // Null where only metadata was asked for; inside the registry always null
    // (FunctionService::sources reads them).
    Sources sources{};
    std::string sourcesHash{};  // SHA-256 in hex over names and contents
    VersionState state = VersionState::building;
    std::string artifactKey{};                  // set when ready
    // By name; present where `sources` are, else empty.
    std::vector<Lock> locks{};
    std::vector<base::SourceRemark> remarks{};  // what the build said about places in the source
    std::optional<base::Failure> failure{};     // set when failed
    int64_t createdAtMs = 0;                    // wall clock, since 1970
    std::string createdBy{};
};

// A share of the calls. The shares of a function sum up to 100; today there is one.
struct LiveShare {
    uint64_t version = 0;
    uint32_t weight = 100;
    bool operator==(const LiveShare&) const = default;
};

struct Function {
    std::string id{};  // "fn_" + ULID
    std::string name{};
    std::string description{};
    std::map<std::string, std::string> labels{};
    std::string project{};
    std::string createdBy{};
    int64_t createdAtMs = 0;
    int64_t updatedAtMs = 0;
    // Grows with every change of any function on the platform, so changes can be followed from a
    // revision on.
    uint64_t revision = 0;
    Settings settings{};
    uint64_t lastVersion = 0;       // the highest number given out
    std::vector<LiveShare> live{};  // empty until a first version is ready
};

// A function with the metadata of its live versions: what the registry holds and the invocation
// path reads.
struct FunctionEntry {
    Function function{};
    // In the order of function.live. Without a live version: the newest one, to show its state.
    std::vector<std::shared_ptr<const Version>> versions{};

    bool callable() const { return !function.live.empty(); }
    // The version that answers show: the first live one, else the newest.
    const Version& shown() const { return *versions.front(); }
};
using FunctionPtr = std::shared_ptr<const FunctionEntry>;

// Who asks for a change.
struct Caller {
    std::string principal{"anonymous"};
    std::string project{"default"};
};

}  // namespace cf::functions
