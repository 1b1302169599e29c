// Installed dependencies, named by the hash of what decides them: <data>/layers/<key>/, read-only,
// moved into place by rename, complete when <key>.json lies beside it (written last, so that
// looking costs no walk through a tree of 30 000 files). Shared by every artifact that links to
// it; one that no artifact names stays for a while, because the next save may want it again.
//
// Thread-safe. Equal layers are filled once, also when they are wanted at the same time.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/build_dependencies.hpp"
#include "base/failure.hpp"

namespace cf::functions {

struct LayerOptions {
    std::chrono::seconds age{86'400};  // how long one that no artifact names stays after its use
    uint64_t bytes = 5'368'709'120;    // of all layers; unnamed ones go, oldest first, above it
};

class Layers {
public:
    // Failure: store_failed when the folder cannot be made.
    static base::Result<std::unique_ptr<Layers>> open(const std::string& dataDir,
                                                      LayerOptions options);

    // Hash of what its executor says and of the executor itself (RuntimeInfo::layerIdentity).
    static std::string keyOf(std::string_view layerIdentity, std::string_view text);
    std::string directory(std::string_view key) const;
    // From the top of an artifact. It holds in the data folder as well as in a sandbox, where the
    // artifact is /function and the layer /layers/<key>.
    static std::string link(std::string_view key);
    bool contains(std::string_view key) const;

    // Keeps a layer from being collected until an artifact names it.
    class Use {
    public:
        Use(Layers& layers, std::string key);
        Use(Use&& other) noexcept
            : layers_(std::exchange(other.layers_, nullptr)), key_(std::move(other.key_)) {}
        Use& operator=(Use&&) = delete;
        ~Use();
        const std::string& key() const { return key_; }

    private:
        Layers* layers_;
        std::string key_;
    };
    // Makes sure that the layer is there: calls `fill` with `folder`, which is made for it and must
    // be on the same disk. `filled` says whether it was called. Failures: that of `fill`,
    // build_cancelled (`stopped` said so while somebody else filled it), disk_full, store_failed.
    // `waits` (may be empty) is called once when somebody else fills it.
    base::Result<Use> make(const std::string& key, const std::string& folder,
                           const base::BuildDependencies::Fill& fill,
                           const std::function<bool()>& stopped, bool& filled,
                           const std::function<void()>& waits = {});

    // Deletes what LayerOptions do not want kept. `named`: keys that artifacts name.
    void collect(const std::unordered_set<std::string>& named);

    // Of all layers on the disk, without looking there.
    uint64_t bytes() const { return bytes_; }

private:
    Layers(std::string directory, LayerOptions options);
    std::string markerPath(std::string_view key) const;
    base::Result<void> fill(const std::string& key, const std::string& folder,
                            const base::BuildDependencies::Fill& fill);
    void remove(const std::string& key);

    const std::string directory_;
    const LayerOptions options_;
    std::atomic<uint64_t> bytes_{0};  // as the markers say
    std::mutex mutex_;
    std::condition_variable done_;
    std::unordered_set<std::string> busy_;  // being filled or removed
    std::unordered_map<std::string, size_t> uses_;
};

}  // namespace cf::functions
