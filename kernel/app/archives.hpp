// Uploaded archives become sources: each is unpacked by a process of its own in the build sandbox
// (no network, a user of its own, little memory and time), and what it says is checked again.
// Nothing is written to the disk. Used by api/ on control-plane threads; thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "app/archive_frames.hpp"
#include "executors/ports.hpp"

namespace cf::app {

struct ArchivesOptions {
    ArchiveLimits limits{};
    std::string program{};             // the platform's own executable
    size_t atOnce = 2;                 // each may hold all its limits allow in memory
    std::chrono::seconds patience{10}; // for a turn
    std::chrono::seconds timeout{30};  // for the unpacking
};

class Archives {
public:
    // `tools` outlives it.
    Archives(ArchivesOptions options, executors::ToolRunner& tools)
        : options_(std::move(options)), tools_(tools) {}

    // The files of an archive, by name. Blocks. Failures: invalid_archive, unpacking_busy,
    // sandbox_failed.
    base::Result<std::vector<functions::SourceFile>> unpack(std::string_view archive);

    const ArchiveLimits& limits() const { return options_.limits; }

private:
    class Turn;
    sandbox::ToolSpec tool(size_t archiveBytes) const;

    const ArchivesOptions options_;
    executors::ToolRunner& tools_;
    std::mutex mutex_;
    std::condition_variable freed_;
    size_t running_ = 0;
};

}  // namespace cf::app
