#include "functions/dependencies.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "functions/artifacts.hpp"

namespace cf::functions {

Dependencies::Dependencies(std::string functionId, LockSearch search,
                           const std::string& layerIdentity, Store& store, Layers& layers)
    : functionId_(std::move(functionId)),
      search_(std::move(search)),
      layerIdentity_(layerIdentity),
      store_(store),
      layers_(layers) {}

std::optional<std::string> Dependencies::recallLock(std::string_view name,
                                                    std::string_view madeFrom, bool anyAge) {
    const std::string hash = sha256(madeFrom);
    const auto matches = [&](const Lock& lock) {
        return lock.name == name && lock.madeFrom == hash;
    };
    if (const auto used = std::ranges::find_if(locks_, matches); used != locks_.end())
        return used->content;
    if (!search_.forget)
        if (const auto own = std::ranges::find_if(search_.own, matches); own != search_.own.end()) {
            use(*own);
            return own->content;
        }
    if (search_.forget && !anyAge) return std::nullopt;
    const int64_t oldest =
        base::unixMs(base::WallClock::now()) - std::chrono::milliseconds(search_.age).count();
    auto found = store_.findLock(functionId_, std::string(name), hash, anyAge ? 0 : oldest);
    if (!found || !*found) return std::nullopt;
    use(**found);
    return std::move((*found)->content);
}

void Dependencies::keepLock(std::string_view name, std::string_view madeFrom,
                            std::string_view content) {
    Lock lock{.name = std::string(name),
              .madeFrom = sha256(madeFrom),
              .content = std::string(content),
              .madeAtMs = base::unixMs(base::WallClock::now())};
    // Nobody was asked about what was recalled and is kept as it was: it is as old as before.
    for (const Lock& recalled : locks_)
        if (recalled.name == lock.name && recalled.madeFrom == lock.madeFrom &&
            recalled.content == lock.content)
            lock.madeAtMs = recalled.madeAtMs;
    use(std::move(lock));
}

void Dependencies::use(Lock lock) {
    std::erase_if(locks_, [&](const Lock& other) { return other.name == lock.name; });
    locks_.insert(std::ranges::upper_bound(locks_, lock.name, {}, &Lock::name), std::move(lock));
}

base::Result<base::BuildDependencies::Layer> Dependencies::layer(
    std::string_view text, bool buildOnly, const Fill& fill, const std::function<bool()>& stopped) {
    const std::string key = Layers::keyOf(layerIdentity_, text);
    bool filled = false;
    auto use = layers_.make(key, jobFolder_ + "/layer-" + std::to_string(uses_.size()), fill,
                            stopped, filled, [this] {
                                if (listener_ != nullptr)
                                    listener_->log(
                                        "waiting for another build of the same dependencies");
                            });
    if (!use) return std::move(use).failure();
    uses_.emplace_back(std::move(*use), buildOnly);
    return Layer{layers_.directory(key), Layers::link(key)};
}

std::vector<Dependencies::Used> Dependencies::layers() const {
    std::vector<Used> used;
    for (const auto& [use, buildOnly] : uses_) used.push_back({use.key(), buildOnly});
    return used;
}

}  // namespace cf::functions
