// Plugins as files: finding them, refusing what strangers could have put there, and copying them. A
// plugin is never mapped where the operator put it, because overwriting that file in place would
// change code that runs.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "base/failure.hpp"

namespace cf::executors {

// The *.so files of `folder`, sorted by name, absolute. Failure plugin_refused: the folder cannot
// be read, or everybody may write to it.
base::Result<std::vector<std::string>> findPlugins(const std::string& folder);

// Copies `file` to <directory>/<sha256>.so and gives that path. Failure plugin_refused: not a
// regular file, writable by everybody, larger than 512 MB, or the copy could not be made.
// `directory` must exist.
base::Result<std::string> copyPlugin(const std::string& file, const std::string& directory);

// Deletes copies in `directory` that are not in `used`. Ones that are mapped stay mapped.
void removeOtherCopies(const std::string& directory, const std::unordered_set<std::string>& used);

}  // namespace cf::executors
