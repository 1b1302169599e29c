#include "app/archives.hpp"

#include <memory>
#include <utility>

#include "base/log.hpp"
#include "base/printable.hpp"

namespace cf::app {

namespace {
// The executable with its libraries, and libarchive's tables.
constexpr uint64_t memoryBeside = 192ull << 20;
}  // namespace

Archives::~Archives() { stop(); }

void Archives::stop() {
    stopping_ = true;
    unpackers_.stop();
    deadlines_.stop();
}

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

base::Failure Archives::busy() const {
    return {.reason = "unpacking_busy",
            .detail = "too many archives are being unpacked",
            .hint = "try again in a few seconds",
            .limit = std::to_string(options_.atOnce) + " archives at once"};
}

void Archives::unpack(std::string_view archive, Then then) {
    const ArchiveLimits& limits = options_.limits;
    if (archive.empty()) return then(invalidArchive("the archive is empty"));
    if (archive.size() > limits.archiveBytes) {
        auto failure = invalidArchive("the archive is " + std::to_string(archive.size()) +
                                          " bytes, the limit is " +
                                          std::to_string(limits.archiveBytes),
                                      "leave out what the function does not need, or raise "
                                      "function.max_archive_bytes");
        failure.limit = std::to_string(limits.archiveBytes) + " bytes";
        failure.observed = std::to_string(archive.size()) + " bytes";
        return then(std::move(failure));
    }
    if (unpackers_.waiting() >= options_.waiting) return then(busy());
    // Whichever comes first, its turn or its deadline, takes `then`.
    struct Upload {
        explicit Upload(Then given) : then(std::move(given)) {}
        Then then;
        std::atomic_flag taken{};
    };
    const auto upload = std::make_shared<Upload>(std::move(then));
    deadlines_.after(options_.patience, [this, upload] {
        if (!upload->taken.test_and_set()) std::exchange(upload->then, nullptr)(busy());
    });
    unpackers_.add([this, upload, archive] {
        if (upload->taken.test_and_set()) return;
        const Then answer = std::exchange(upload->then, nullptr);
        auto files = run(archive);
        if (!stopping_) answer(std::move(files));
    });
}

base::Result<Archives::Files> Archives::run(std::string_view archive) {
    ArchiveReader reader(options_.limits);
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
        executors::Clock::now() + options_.timeout, refused, [this] { return stopping_.load(); });
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
