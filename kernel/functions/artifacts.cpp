#include "functions/artifacts.hpp"

#include <Poco/SHA2Engine.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/ulid.hpp"
#include "base/unique_fd.hpp"
#include "functions/json_text.hpp"
#include "functions/row_codec.hpp"

namespace cf::functions {

namespace fs = std::filesystem;

namespace {

// Lengths stand before texts so that no two different lists hash alike.
void addText(Poco::SHA2Engine& engine, std::string_view text) {
    const std::string size = std::to_string(text.size()) + ":";
    engine.update(size.data(), static_cast<unsigned>(size.size()));
    engine.update(text.data(), static_cast<unsigned>(text.size()));
}

std::string hex(Poco::SHA2Engine& engine) {
    return Poco::DigestEngine::digestToHex(engine.digest());
}

base::Failure diskFailure(const std::string& what, const std::error_code& error) {
    if (error == std::errc::no_space_on_device)
        return {.reason = "disk_full",
                .detail = "the disk of the platform's data is full; nothing was saved",
                .hint = "free some room and save again"};
    return {.reason = "store_failed", .detail = what + ": " + error.message()};
}

std::error_code lastError() { return {errno, std::generic_category()}; }

base::Result<void> writeFile(const std::string& path, std::string_view bytes) {
    const base::UniqueFd fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return diskFailure("the file " + path + " cannot be written", lastError());
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return diskFailure("the file " + path + " cannot be written", lastError());
        bytes.remove_prefix(static_cast<size_t>(written));
    }
    return {};
}

base::Result<void> writeSources(const std::string& directory,
                                const std::vector<SourceFile>& sources) {
    for (const SourceFile& file : sources) {
        const fs::path path = fs::path(directory) / file.name;
        std::error_code error;
        fs::create_directories(path.parent_path(), error);
        if (error) return diskFailure("the folder of " + file.name + " cannot be made", error);
        if (auto written = writeFile(path.string(), file.content); !written) return written;
    }
    return {};
}

struct Extent {
    uint64_t files = 0;
    uint64_t bytes = 0;
    bool operator==(const Extent&) const = default;
};

// Size of a tree; `seal` also takes every write permission away, but for the top folder.
Extent walk(const std::string& directory, bool seal, std::error_code& error) {
    Extent extent;
    for (fs::recursive_directory_iterator at(directory, error), end; !error && at != end;
         at.increment(error)) {
        struct stat info {};
        if (::lstat(at->path().c_str(), &info) != 0) error = lastError();
        if (error) break;
        if (S_ISREG(info.st_mode)) {
            extent.files += 1;
            extent.bytes += static_cast<uint64_t>(info.st_size);
        }
        const mode_t mode = S_ISDIR(info.st_mode) || (info.st_mode & S_IXUSR) != 0 ? 0555 : 0444;
        if (seal && !S_ISLNK(info.st_mode) && ::chmod(at->path().c_str(), mode) != 0)
            error = lastError();
        if (error) break;
    }
    return extent;
}

// Read-only folders refuse to lose their files to anybody but root.
void removeTree(const std::string& directory) {
    std::error_code error;
    ::chmod(directory.c_str(), 0755);
    for (fs::recursive_directory_iterator at(directory, error), end; !error && at != end;
         at.increment(error))
        if (at->is_directory(error) && !at->is_symlink(error)) ::chmod(at->path().c_str(), 0755);
    error.clear();
    fs::remove_all(directory, error);
    if (error) base::logWarning("functions", "cannot remove " + directory + ": " + error.message());
}

std::string recordPath(const std::string& directory) { return directory + ".json"; }

// What is written beside an artifact: what its build said, and its extent, which betrays one that
// lost its contents in a power cut.
struct Record {
    std::string runtime{};
    Extent extent{};
    std::vector<base::SourceRemark> remarks{};
};

std::optional<Record> readRecord(const std::string& directory) {
    std::ifstream file(recordPath(directory), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    simdjson::dom::parser parser;
    simdjson::dom::element root, remarks;
    std::string_view runtime;
    Record record;
    if (parser.parse(text).get(root) || root["files"].get(record.extent.files) ||
        root["bytes"].get(record.extent.bytes) || root["remarks"].get(remarks) ||
        root["runtime"].get(runtime))
        return std::nullopt;
    record.runtime = runtime;
    record.remarks = rows::decodeRemarks(simdjson::minify(remarks));
    return record;
}

base::Result<void> writeRecord(const std::string& directory, const Record& record) {
    return writeFile(recordPath(directory), JsonObject()
                                                .text("runtime", record.runtime)
                                                .number("files", record.extent.files)
                                                .number("bytes", record.extent.bytes)
                                                .raw("remarks", rows::encode(record.remarks))
                                                .done());
}

// Keeps the remarks of a build on their way to the listener.
class Collector final : public BuildListener {
public:
    explicit Collector(BuildListener& next) : next_(next) {}
    void log(std::string_view line) override { next_.log(line); }
    void remark(const base::SourceRemark& remark) override {
        {
            const std::lock_guard lock(mutex_);
            remarks.push_back(remark);
        }
        next_.remark(remark);
    }
    std::vector<base::SourceRemark> remarks{};

private:
    BuildListener& next_;
    std::mutex mutex_;
};

}  // namespace

std::string sha256(std::string_view bytes) {
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    engine.update(bytes.data(), static_cast<unsigned>(bytes.size()));
    return hex(engine);
}

std::string hashSources(const std::vector<SourceFile>& sources) {
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    for (const SourceFile& file : sources) {
        addText(engine, file.name);
        addText(engine, file.content);
    }
    return hex(engine);
}

std::string artifactKey(const VersionSpec& spec, std::string_view sourcesHash,
                        std::string_view buildIdentity) {
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    for (const std::string_view part :
         {sourcesHash, buildIdentity, std::string_view(spec.runtime),
          std::string_view(spec.runtimeAlias), std::string_view(spec.handler),
          std::string_view(spec.fromCode ? "code" : "files")})
        addText(engine, part);
    return hex(engine);
}

Artifacts::Artifacts(std::string dataDir)
    : artifactsDir_(dataDir + "/artifacts"), buildDir_(dataDir + "/build") {}

base::Result<std::unique_ptr<Artifacts>> Artifacts::open(const std::string& dataDir) {
    std::unique_ptr<Artifacts> artifacts(
        new Artifacts(fs::absolute(dataDir).lexically_normal().string()));
    std::error_code error;
    if (fs::exists(artifacts->buildDir_, error)) removeTree(artifacts->buildDir_);
    for (const auto& folder : {artifacts->artifactsDir_, artifacts->buildDir_}) {
        fs::create_directories(folder, error);
        if (error) return diskFailure("the folder " + folder + " cannot be made", error);
    }
    return artifacts;
}

std::string Artifacts::directory(std::string_view key) const {
    return artifactsDir_ + "/" + std::string(key);
}

bool Artifacts::contains(std::string_view key) const {
    const std::string path = directory(key);
    const auto record = readRecord(path);
    std::error_code error;
    return record && walk(path, false, error) == record->extent && !error;
}

base::Result<Artifacts::Made> Artifacts::make(const std::string& key, BuildRequest request,
                                              Builder& builder, BuildListener& listener) {
    {
        std::unique_lock lock(mutex_);
        done_.wait(lock, [&] { return !making_.contains(key); });
        making_.insert(key);
        unusedSince_[key] = std::chrono::steady_clock::now();
    }
    struct Done {
        Artifacts& artifacts;
        const std::string& key;
        ~Done() {
            const std::lock_guard lock(artifacts.mutex_);
            artifacts.making_.erase(key);
            artifacts.done_.notify_all();
        }
    } done{*this, key};

    const std::string path = directory(key);
    if (contains(key)) {
        listener.log("equal sources were built before; their artifact is used again");
        auto record = readRecord(path);
        return Made{record ? std::move(record->remarks) : std::vector<base::SourceRemark>{}, true};
    }
    removeTree(path);

    base::UlidGenerator ids;
    const std::string job = buildDir_ + "/" + ids.next(base::unixMs(base::WallClock::now()));
    struct Clean {
        const std::string& path;
        ~Clean() { removeTree(path); }
    } clean{job};
    request.sourceDir = job + "/source";
    request.artifactDir = job + "/artifact";
    std::error_code error;
    for (const auto& folder : {request.sourceDir, request.artifactDir}) {
        fs::create_directories(folder, error);
        if (error) return diskFailure("the folder of the build cannot be made", error);
    }
    if (auto written = writeSources(request.sourceDir, request.sources); !written)
        return std::move(written).failure();
    Collector collector(listener);
    if (auto built = builder.build(request, collector); !built) return std::move(built).failure();

    Record record{request.spec.runtime, walk(request.artifactDir, true, error), collector.remarks};
    if (error) return diskFailure("the artifact cannot be sealed", error);
    if (auto written = writeRecord(path, record); !written) return std::move(written).failure();
    // Its own top folder must be writable to move to another parent.
    if (::rename(request.artifactDir.c_str(), path.c_str()) != 0)
        return diskFailure("the artifact cannot be moved into place", lastError());
    ::chmod(path.c_str(), 0555);
    return Made{std::move(record.remarks), false};
}

std::vector<Artifacts::Removed> Artifacts::collect(const std::unordered_set<std::string>& used,
                                                   std::chrono::milliseconds grace) {
    std::vector<Removed> removed;
    std::error_code error;
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    for (fs::directory_iterator at(artifactsDir_, error), end; !error && at != end;
         at.increment(error)) {
        const std::string key = at->path().filename().string();
        if (key.ends_with(".json")) {
            // A record without its artifact is left by a crash between the two.
            const std::string artifact = key.substr(0, key.size() - 5);
            if (!making_.contains(artifact) && !fs::exists(directory(artifact), error))
                fs::remove(at->path(), error);
            continue;
        }
        if (used.contains(key) || making_.contains(key)) {
            unusedSince_.erase(key);
            continue;
        }
        const auto since = unusedSince_.try_emplace(key, now).first->second;
        if (now - since < grace) continue;
        const auto record = readRecord(directory(key));
        removeTree(directory(key));
        fs::remove(recordPath(directory(key)), error);
        unusedSince_.erase(key);
        removed.push_back({record ? record->runtime : "", key});
    }
    return removed;
}

}  // namespace cf::functions
