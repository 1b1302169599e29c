#include "app/archives.hpp"

#include <atomic>

#include "base/log.hpp"
#include "base/printable.hpp"

namespace cf::app {

namespace {
// The executable with its libraries, and libarchive's tables.
constexpr uint64_t memoryBeside = 192ull << 20;
}  // namespace

// One of the places for unpacking, given back at its end.
class Archives::Turn {
public:
    explicit Turn(Archives& archives) : archives_(archives) {
        std::unique_lock lock(archives_.mutex_);
        taken_ = archives_.freed_.wait_for(lock, archives_.options_.patience, [&] {
            return archives_.running_ < archives_.options_.atOnce;
        });
        archives_.running_ += taken_ ? 1 : 0;
    }
    ~Turn() {
        if (!taken_) return;
        {
            const std::lock_guard lock(archives_.mutex_);
            --archives_.running_;
        }
        archives_.freed_.notify_one();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    bool taken() const { return taken_; }

private:
    Archives& archives_;
    bool taken_ = false;
};

sandbox::ToolSpec Archives::tool(size_t archiveBytes) const {
    sandbox::ToolSpec spec;
    const ArchiveLimits& limits = options_.limits;
    spec.argv = {options_.program, "unpack", std::to_string(limits.archiveBytes),
                 std::to_string(limits.unpackedBytes), std::to_string(limits.entries)};
    // What lies below /usr every sandbox sees.
    if (!options_.program.starts_with("/usr/"))
        spec.mounts.push_back({options_.program, options_.program});
    spec.directory = "/tmp";
    // While the archive is read, the buffer that holds it is sometimes there twice.
    spec.limits.memoryBytes = 2 * archiveBytes + memoryBeside;
    spec.limits.processes = 16;
    spec.limits.tmpBytes = 1u << 20;
    spec.limits.fileBytes = 1u << 20;
    return spec;
}

base::Result<std::vector<functions::SourceFile>> Archives::unpack(std::string_view archive) {
    const ArchiveLimits& limits = options_.limits;
    if (archive.empty()) return invalidArchive("the archive is empty");
    if (archive.size() > limits.archiveBytes) {
        auto failure = invalidArchive("the archive is " + std::to_string(archive.size()) +
                                          " bytes, the limit is " +
                                          std::to_string(limits.archiveBytes),
                                      "leave out what the function does not need, or raise "
                                      "function.max_archive_bytes");
        failure.limit = std::to_string(limits.archiveBytes) + " bytes";
        failure.observed = std::to_string(archive.size()) + " bytes";
        return failure;
    }
    const Turn turn(*this);
    if (!turn.taken())
        return base::Failure{.reason = "unpacking_busy",
                             .detail = "too many archives are being unpacked",
                             .hint = "try again in a few seconds",
                             .limit = std::to_string(options_.atOnce) + " archives at once"};
    ArchiveReader reader(limits);
    std::atomic<bool> refused{false};
    std::string errors;
    const auto outcome = tools_.run(
        tool(archive.size()), archive,
        [&](executors::ToolRunner::Stream stream, std::string_view bytes) {
            if (stream == executors::ToolRunner::Stream::errors)
                errors.append(bytes.substr(0, 1000 - std::min<size_t>(1000, errors.size())));
            else if (!refused && !reader.take(bytes))
                refused = true;
        },
        executors::Clock::now() + options_.timeout, refused);
    if (refused) return reader.finish();
    if (!outcome) return outcome.failure();
    if (outcome->timedOut) {
        auto failure = invalidArchive("unpacking the archive took longer than " +
                                          std::to_string(options_.timeout.count()) + " seconds",
                                      "leave out what the function does not need");
        failure.limit = std::to_string(options_.timeout.count()) + " seconds";
        return failure;
    }
    if (outcome->ended.outOfMemory)
        return invalidArchive("unpacking the archive takes too much memory",
                              "pack the files again, with an ordinary level of compression");
    if (!reader.complete())
        base::logWarning("app", "an archive could not be unpacked (exit code " +
                                    std::to_string(outcome->ended.exitCode) + ", signal " +
                                    std::to_string(outcome->ended.signal) +
                                    "): " + base::printable(errors));
    return reader.finish();
}

}  // namespace cf::app
