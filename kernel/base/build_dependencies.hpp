// What one build may keep and share beyond its artifact: lock files and dependency layers. The
// functions domain keeps them, executors hand them on to plugins; it stands here because neither
// of the two knows the other.
//
// Used by the build's own thread alone; gone when the build has ended.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/failure.hpp"

namespace cf::base {

class BuildDependencies {
public:
    // Where a layer is.
    struct Layer {
        std::string directory{};  // absolute, read-only
        std::string link{};       // target of a symbolic link at the top of the artifact
    };
    // Fills `directory`, which is absolute and empty.
    using Fill = std::function<Result<void>(const std::string& directory)>;

    virtual ~BuildDependencies() = default;
    // A lock file that an earlier build kept under this name and exactly this `madeFrom`. `anyAge`:
    // also one that is too old to be taken otherwise, or that this build was told to forget.
    virtual std::optional<std::string> recallLock(std::string_view name, std::string_view madeFrom,
                                                  bool anyAge) = 0;
    virtual void keepLock(std::string_view name, std::string_view madeFrom,
                          std::string_view content) = 0;
    // Calls `fill` when there is no layer for `key`; waits while another build fills it, unless
    // `stopped` says not to. What `fill` leaves in its folder becomes the layer; a failed one
    // leaves nothing. Workers see it unless `buildOnly`. Failures: that of `fill`,
    // build_cancelled, disk_full, store_failed.
    virtual Result<Layer> layer(std::string_view key, bool buildOnly, const Fill& fill,
                                const std::function<bool()>& stopped) = 0;
};

}  // namespace cf::base
