// Artifacts on disk, addressed by the hash of what they were made of: <data>/artifacts/<key>/,
// read-only, moved into place by rename so that a half-made one is never seen. A cache: everything
// here can be built again from the store. Thread-safe. Equal requests build once, also when they
// come at the same time.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/failure.hpp"
#include "functions/function.hpp"
#include "functions/layers.hpp"
#include "functions/ports.hpp"

namespace cf::functions {

// SHA-256 in lower-case hex.
std::string sha256(std::string_view bytes);
// Over names and contents, unambiguous whatever they hold.
std::string hashSources(const std::vector<SourceFile>& sources);
// Key of what `spec` and its sources become with a toolchain (RuntimeInfo::buildIdentity) and the
// locks of their dependencies.
std::string artifactKey(const VersionSpec& spec, std::string_view sourcesHash,
                        std::string_view buildIdentity, const std::vector<Lock>& locks = {});

class Dependencies;

class Artifacts {
public:
    // Failure: store_failed when the folders cannot be made. Leftovers of interrupted builds are
    // removed.
    static base::Result<std::unique_ptr<Artifacts>> open(const std::string& dataDir,
                                                         LayerOptions layers = {});

    Layers& layers() { return *layers_; }

    // The folder of an artifact, absolute.
    std::string directory(std::string_view key) const;
    // Whether it is there and complete, with the layers that workers need.
    bool contains(std::string_view key) const;
    // Folders of the layers that a worker needs beside this artifact; none when it is not there.
    std::vector<std::string> layerDirectories(std::string_view key) const;

    struct Made {
        std::string key{};
        std::vector<base::SourceRemark> remarks{};
        std::vector<Lock> locks{};
        bool reused = false;
        // Removes the folder of the build when it goes: nobody needs to wait for that.
        std::shared_ptr<void> leftovers{};
    };
    // Makes sure that the artifact exists: builds it with `builder` unless it is there. `request`
    // comes without its folders. `dependencies` (null: the build has none): before the build its
    // candidates are part of the key; the locks that the build really used decide under which key
    // the artifact is kept. Failures: those of Builder::build, and disk_full, store_failed.
    base::Result<Made> make(std::string_view sourcesHash, std::string_view buildIdentity,
                            BuildRequest request, Builder& builder, BuildListener& listener,
                            Dependencies* dependencies = nullptr);

    struct Removed {
        std::string runtime{};
        std::string key{};
    };
    // Deletes artifacts that are neither in `used` nor were made or used during the last `grace`,
    // then layers that nothing wants.
    std::vector<Removed> collect(const std::unordered_set<std::string>& used,
                                 std::chrono::milliseconds grace);

    // Of all artifacts on the disk without their layers, without looking there.
    uint64_t bytes() const { return bytes_; }
    // Keys whose last use is remembered: after collect(), of what is on the disk or being made.
    size_t remembered() const {
        const std::lock_guard lock(mutex_);
        return unusedSince_.size();
    }

private:
    // One build that others may wait for; under the mutex.
    struct Making {
        bool done = false;
        std::optional<Made> made{};
    };

    explicit Artifacts(std::string dataDir);
    base::Result<Made> build(const std::string& key, std::string_view sourcesHash,
                             std::string_view buildIdentity, BuildRequest& request,
                             Builder& builder, BuildListener& listener, Dependencies* dependencies);
    base::Result<void> install(const std::string& key, const std::string& from,
                               const std::string& record);
    // Layers are asked for with every start, switch and collection, of every artifact: their
    // records are read once.
    struct LayerName {
        std::string key{};
        bool buildOnly = false;
    };
    std::vector<LayerName> layersOf(std::string_view key) const;
    void forgetLayersOf(const std::string& key) const;

    std::string artifactsDir_;
    std::string buildDir_;
    std::unique_ptr<Layers> layers_;
    std::atomic<uint64_t> bytes_{0};  // as the records say
    mutable std::mutex mutex_;
    std::condition_variable done_;
    std::unordered_map<std::string, std::shared_ptr<Making>> making_;
    std::unordered_map<std::string, std::chrono::steady_clock::time_point> unusedSince_;
    mutable std::mutex layersMutex_;
    mutable std::unordered_map<std::string, std::vector<LayerName>> layersOf_;
};

}  // namespace cf::functions
