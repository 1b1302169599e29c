// Uploaded archives become sources: each is unpacked by a process of its own in the build sandbox
// (no network, a user of its own, little memory and time), and what it says is checked again.
// Nothing is written to the disk. Used by api/, whose threads wait for none of it; thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "app/archive_frames.hpp"
#include "executors/ports.hpp"
#include "functions/background.hpp"

namespace cf::app {

struct ArchivesOptions {
    ArchiveLimits limits{};
    std::string program{};                  // the platform's own executable
    size_t atOnce = 2;                      // each may hold all its limits allow in memory
    size_t waiting = 32;                    // beyond those
    std::chrono::milliseconds patience{10'000};  // for a turn
    std::chrono::seconds timeout{30};       // for the unpacking
};

class Archives {
public:
    using Files = std::vector<functions::SourceFile>;
    using Then = std::function<void(base::Result<Files>)>;

    // `tools` outlives it.
    Archives(ArchivesOptions options, executors::ToolRunner& tools)
        : options_(std::move(options)), tools_(tools) {}
    ~Archives();
    // Ends what is being unpacked. What was not answered, and whatever comes later, is dropped. Loops may
    // go on asking; one thread calls it, as often as it likes.
    void stop();

    // Gives the files of an archive, by name, on a thread of its own, or refuses it at once.
    // `archive` stays until `then` was called or dropped. Failures: invalid_archive,
    // unpacking_busy, sandbox_failed.
    void unpack(std::string_view archive, Then then);

    const ArchiveLimits& limits() const { return options_.limits; }

private:
    base::Failure busy() const;
    base::Result<Files> run(std::string_view archive);
    sandbox::ToolSpec tool(size_t archiveBytes) const;

    const ArchivesOptions options_;
    executors::ToolRunner& tools_;
    std::atomic<bool> stopping_{false};
    functions::Background deadlines_{1};  // of those that wait
    functions::Background unpackers_{options_.atOnce};
};

}  // namespace cf::app
