// What to start and how to fence it in: the data that the kernel hands to the launcher. Plain
// values; the recipe that turns them into processes stands in the other files of this folder, one
// mechanism a file.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cf::sandbox {

enum class MountKind : uint8_t {
    readOnly,
    writable,  // tools only: owned by the tool's user while it runs, given back to the kernel's
               // user afterwards
    overlay,  // tools only: readable as it is; writes go to a scratch layer that goes away with the
              // tool
};

// A part of the machine that a sandbox sees. Both paths are absolute.
struct Mount {
    std::string source{};
    std::string target{};
    MountKind kind = MountKind::readOnly;
    bool optional = false;  // a missing source is skipped instead of failing the start
    bool operator==(const Mount&) const = default;
};

struct Limits {
    uint64_t memoryBytes = 128ull << 20;
    uint32_t processes = 64;  // processes and threads together
    uint32_t openFiles = 1024;
    uint64_t fileBytes = 64ull << 20;  // largest file it may write (RLIMIT_FSIZE)
    uint64_t tmpBytes = 64ull << 20;   // size of its /tmp; counts as memory too
    uint64_t tmpInodes = 16384;
    double cpus = 0;  // quota in cores; 0: all cores
    // Of a tool: what its writable mounts may hold together, at least 4096 bytes for each entry; looked at
    // some times a second. 0: no limit.
    uint64_t diskBytes = 0;
    bool operator==(const Limits&) const = default;
};

enum class Network : uint8_t {
    none,      // an empty network namespace with lo
    host,      // the machine's own network, where the properties file allows it
    outbound,  // its own network namespace with a way out: never to the machine itself, to private
               // ranges or to other sandboxes, but for what the properties file allows
};

// What a sandbox can reach.
struct NetworkPolicy {
    Network mode = Network::none;
    // With `outbound`: only these, each "host", "host:port", "address" or "address/prefix:port";
    // empty: whatever the platform allows.
    std::vector<std::string> allow{};
    bool operator==(const NetworkPolicy&) const = default;
};

// What a prewarmed worker gets when it is bound to a version.
struct Attachment {
    std::string artifactDir{};          // absolute; appears read-only at /function
    std::vector<std::string> layers{};  // absolute; each appears read-only at /layers/<its name>
    Limits limits{};
    NetworkPolicy network{};
};

using Environment = std::vector<std::pair<std::string, std::string>>;

// A worker to start. With `execStub` argv[0] is a path inside the artifact: the launcher starts the
// stub, which waits for LOAD and executes <artifact>/<argv[0]>.
struct WorkerSpec {
    std::vector<std::string> argv{};
    Environment environment{};  // the whole environment
    std::vector<Mount> mounts{};
    Limits limits{};
    NetworkPolicy network{};
    bool execStub = false;
    bool operator==(const WorkerSpec&) const = default;
};

// A build tool to run to its end.
struct ToolSpec {
    std::vector<std::string> argv{};
    Environment environment{};
    std::vector<Mount> mounts{};
    std::string directory{};  // where it starts, a path inside its sandbox
    Limits limits{};
    NetworkPolicy network{};
};

// How a worker, tool or probe ended.
struct Ended {
    int exitCode = -1;  // -1 when a signal ended it or nobody could tell
    int signal = 0;
    bool outOfMemory = false;
    bool outOfDisk = false;        // its writable mounts held more than limits.diskBytes
    uint64_t memoryPeakBytes = 0;  // 0 when unknown
};

// One protection and whether it is in place on this machine; shown by health and at start-up.
struct Layer {
    std::string name{};  // "pid_namespace", "mount_namespace", "cgroup", "seccomp", ...
    bool active = false;
    std::string detail{};  // how it is done ("cgroup v1"), or why it is missing and how to get it
};

}  // namespace cf::sandbox
