// The effective configuration: properties file, environment on top, every value checked. Read once at the start.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/launch_spec.hpp"

namespace cf::app {

struct Settings {
    std::vector<std::string> addresses{};
    uint16_t port = 8080;
    std::vector<std::string> allowedHosts{}, functionHosts{};
    uint32_t loops = 0;  // 0: as many as the machine's cores ask for
    uint32_t maxConnections = 0;
    uint32_t maxConnectionsPerAddress = 0;
    uint32_t maxFollowers = 0;
    uint32_t maxBodyBytes = 0;
    std::chrono::milliseconds headerTimeout{0};
    std::chrono::milliseconds idleTimeout{0};
    std::string authMode{};  // auto, token, none
    std::string authToken{};
    std::string dataDir{};       // absolute
    std::string executorsDir{};  // empty: beside the binary
    std::chrono::milliseconds probeTimeout{0};
    std::chrono::milliseconds timeout{0};  // of new functions
    uint32_t maxResponseBytes = 0;
    bool cancelOnDisconnect = false;
    uint64_t maxCodeBytes = 0;
    uint64_t maxArchiveBytes = 0;
    uint64_t maxUnpackedBytes = 0;
    uint32_t maxFiles = 0;
    uint32_t controlThreads = 0;
    uint32_t queueSize = 0;
    std::chrono::milliseconds queueTimeout{0};
    uint32_t maxWorkers = 0;
    std::optional<uint64_t> workerMemoryMb{};  // of all workers; empty: a part of the machine's
    uint32_t prewarmed = 0;                         // of each runtime
    std::map<std::string, uint32_t> prewarmedOf{};  // of runtimes that have another number
    std::string prewarmedSource{};                  // where workers.prewarmed stands, for people; empty: nowhere
    std::chrono::seconds keepAlive{0};
    uint32_t buildParallel = 0;
    std::chrono::milliseconds buildTimeout{0};
    uint32_t buildMemoryMb = 0;
    uint32_t buildDiskMb = 0;
    std::chrono::seconds buildLockAge{0};    // of locks that a function takes over from others
    std::chrono::seconds buildCacheAge{0};   // of dependency layers that nothing uses
    uint64_t buildCacheBytes = 0;            // of all dependency layers
    sandbox::NetworkPolicy buildNetwork{};   // of build tools that fetch
    bool strict = false;
    std::string networkRange{};              // sandbox.network.*: see sandbox::NetworkOptions
    std::vector<std::string> networkAllow{};
    std::vector<std::string> networkDeny{};
    std::optional<uint32_t> networkFlows{};  // of all sandboxes; empty: a part of the machine's table
    std::string networkUnprivileged{};       // none, host
    uint32_t uidBase = 0;
    uint32_t uidCount = 0;
    uint32_t processes = 0;
    uint32_t cpus = 0;     // of one worker; 0: all
    uint32_t idleCpu = 0;  // of an idle worker, in percent of a core; 0: no limit
    uint64_t tmpBytes = 0;
    bool records = true;
    uint32_t recordDays = 0;
    uint64_t recordBytes = 0;
    uint64_t logBytes = 0;
    uint32_t logFiles = 0;
    uint32_t logDays = 0;
    std::string logLevel{};
    std::map<std::string, std::string> companions{};  // health.services.<name> -> URL
    std::map<std::string, std::string> executorProperties{};  // "<id>.<key>" -> value
    std::map<std::string, std::string> executorSources{};     // "<id>.<key>" -> where it stands, for people
};

// Where values came from and what was wrong with them, all at once.
struct SettingsResult {
    Settings settings{};
    std::vector<std::string> errors{};              // sentences; empty when the settings can be used
    std::vector<std::pair<std::string, std::string>> effective{};  // key, value; the token is not shown
};

// Reads `file` (empty: defaults only) and CLOUDFUNCTION_* variables.
SettingsResult readSettings(const std::string& file);

// One line for each key: key, default, accepted range.
std::string describeKeys();

}  // namespace cf::app
