// Locks and layers of one build: what it finds, what it uses. Made by Builds for each build, used
// by its thread alone.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/build_dependencies.hpp"
#include "functions/function.hpp"
#include "functions/layers.hpp"
#include "functions/ports.hpp"
#include "functions/store.hpp"

namespace cf::functions {

// How the locks of a build are found.
struct LockSearch {
    std::vector<Lock> own{};  // of the version itself, or of the one before it: these go first
    // The user wants what is newest now: older locks are taken only where there is no other way.
    bool forget = false;
    std::chrono::seconds age{86'400};  // of locks that other functions made
};

class Dependencies final : public base::BuildDependencies {
public:
    // Everything passed in outlives it.
    Dependencies(std::string functionId, LockSearch search, const std::string& layerIdentity,
                 Store& store, Layers& layers);

    // Before the build: where its layers may be filled, and who hears what it waits for.
    void begin(std::string jobFolder, BuildListener& listener) {
        jobFolder_ = std::move(jobFolder);
        listener_ = &listener;
    }
    std::optional<std::string> recallLock(std::string_view name, std::string_view madeFrom,
                                          bool anyAge) override;
    void keepLock(std::string_view name, std::string_view madeFrom,
                  std::string_view content) override;
    base::Result<Layer> layer(std::string_view key, bool buildOnly, const Fill& fill,
                              const std::function<bool()>& stopped) override;

    // What the artifact's key is computed over before the build is run.
    const std::vector<Lock>& candidates() const { return search_.own; }
    // What the build has recalled or kept, by name.
    const std::vector<Lock>& locks() const { return locks_; }
    struct Used {
        std::string key{};
        bool buildOnly = false;
    };
    std::vector<Used> layers() const;

private:
    void use(Lock lock);

    const std::string functionId_;
    const LockSearch search_;
    const std::string& layerIdentity_;
    Store& store_;
    Layers& layers_;
    std::string jobFolder_;
    BuildListener* listener_ = nullptr;
    std::vector<Lock> locks_;
    std::vector<std::pair<Layers::Use, bool>> uses_;  // with buildOnly
};

}  // namespace cf::functions
