// Folders that builds leave behind (artifacts and layers): written, measured, sealed, removed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/failure.hpp"
#include "functions/function.hpp"

namespace cf::functions {

// What stands behind errno.
std::error_code lastError();
// disk_full when that is what `error` says, else store_failed: "<what>: <error>".
base::Failure diskFailure(const std::string& what, const std::error_code& error);

// Whether the file system that holds the folder has room for nothing that matters: less than 1 MiB,
// or no file more.
bool isFull(const std::string& directory);
// Replaces the file's content. Failures: disk_full, store_failed.
base::Result<void> writeFile(const std::string& path, std::string_view bytes);
base::Result<void> writeSources(const std::string& directory,
                                const std::vector<SourceFile>& sources);

// Regular files of a tree; symbolic links are not followed.
struct Extent {
    uint64_t files = 0;
    uint64_t bytes = 0;
    bool operator==(const Extent&) const = default;
};
Extent measureTree(const std::string& directory, std::error_code& error);
// Takes every write permission away as well, but for the top folder: that must be writable to be
// moved to another parent (moveSealed).
Extent sealTree(const std::string& directory, std::error_code& error);
// Moves a sealed tree to where nothing is yet, and seals its top.
base::Result<void> moveSealed(const std::string& from, const std::string& to);

// Returns when everything that was written on the disk of `directory` would survive a power cut.
// Takes 10 ms on an idle disk, longer on a busy one. Failures: disk_full, store_failed.
base::Result<void> syncDisk(const std::string& directory);

// Also what is sealed: read-only folders refuse to lose their files to anybody but root. A tree may
// be of any depth. Logs what could not be removed.
void removeTree(const std::string& directory);

}  // namespace cf::functions
