// Artifacts on disk, addressed by the hash of what they were made of: <data>/artifacts/<key>/,
// read-only, moved into place by rename so that a half-made one is never seen. A cache: everything
// here can be built again from the store. Thread-safe. Equal requests build once, also when they
// come at the same time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/failure.hpp"
#include "functions/function.hpp"
#include "functions/ports.hpp"

namespace cf::functions {

// SHA-256 in lower-case hex.
std::string sha256(std::string_view bytes);
// Over names and contents, unambiguous whatever they hold.
std::string hashSources(const std::vector<SourceFile>& sources);
// Key of what `spec` and its sources become with a toolchain (RuntimeInfo::buildIdentity).
std::string artifactKey(const VersionSpec& spec, std::string_view sourcesHash,
                        std::string_view buildIdentity);

class Artifacts {
public:
    // Failure: store_failed when the folders cannot be made. Leftovers of interrupted builds are
    // removed.
    static base::Result<std::unique_ptr<Artifacts>> open(const std::string& dataDir);

    // The folder of an artifact, absolute.
    std::string directory(std::string_view key) const;
    // Whether it is there and complete.
    bool contains(std::string_view key) const;

    struct Made {
        std::vector<base::SourceRemark> remarks{};
        bool reused = false;
    };
    // Makes sure that the artifact exists: builds it with `builder` unless it is there. `request`
    // comes without its folders. Failures: those of Builder::build, and disk_full, store_failed.
    base::Result<Made> make(const std::string& key, BuildRequest request, Builder& builder,
                            BuildListener& listener);

    struct Removed {
        std::string runtime{};
        std::string key{};
    };
    // Deletes artifacts that are neither in `used` nor were made or used during the last `grace`.
    std::vector<Removed> collect(const std::unordered_set<std::string>& used,
                                 std::chrono::milliseconds grace);

private:
    explicit Artifacts(std::string dataDir);
    std::string artifactsDir_;
    std::string buildDir_;
    std::mutex mutex_;
    std::condition_variable done_;
    std::unordered_set<std::string> making_;
    std::unordered_map<std::string, std::chrono::steady_clock::time_point> unusedSince_;
};

}  // namespace cf::functions
