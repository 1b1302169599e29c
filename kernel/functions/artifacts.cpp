#include "functions/artifacts.hpp"

#include <Poco/SHA2Engine.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/ulid.hpp"
#include "functions/dependencies.hpp"
#include "functions/json_text.hpp"
#include "functions/row_codec.hpp"
#include "functions/trees.hpp"

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

std::string recordPath(const std::string& directory) { return directory + ".json"; }

// What is written beside an artifact: what its build said, which layers it links to, and its
// extent, which betrays one that lost its contents in a power cut.
struct Record {
    std::string runtime{};
    Extent extent{};
    std::vector<base::SourceRemark> remarks{};
    std::vector<Dependencies::Used> layers{};
};

std::optional<Record> readRecord(const std::string& directory) {
    std::ifstream file(recordPath(directory), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    simdjson::dom::parser parser;
    simdjson::dom::element root, remarks;
    simdjson::dom::array layers;
    std::string_view runtime;
    Record record;
    if (parser.parse(text).get(root) || root["files"].get(record.extent.files) ||
        root["bytes"].get(record.extent.bytes) || root["remarks"].get(remarks) ||
        root["runtime"].get(runtime))
        return std::nullopt;
    record.runtime = runtime;
    record.remarks = rows::decodeRemarks(simdjson::minify(remarks));
    if (root["layers"].get(layers)) return record;
    for (const simdjson::dom::element layer : layers) {
        std::string_view key;
        auto& used = record.layers.emplace_back();
        if (!layer["key"].get(key)) used.key = key;
        if (layer["build_only"].get(used.buildOnly)) used.buildOnly = false;
    }
    return record;
}

std::string encode(const Record& record) {
    JsonArray layers;
    for (const auto& layer : record.layers)
        layers.raw(
            JsonObject().text("key", layer.key).boolean("build_only", layer.buildOnly).done());
    return JsonObject()
        .text("runtime", record.runtime)
        .number("files", record.extent.files)
        .number("bytes", record.extent.bytes)
        .raw("remarks", rows::encode(record.remarks))
        .raw("layers", layers.done())
        .done();
}

uint64_t recordedBytes(const std::string& directory) {
    std::error_code error;
    if (!fs::is_directory(directory, error)) return 0;
    const auto record = readRecord(directory);
    return record ? record->extent.bytes : 0;
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
                        std::string_view buildIdentity, const std::vector<Lock>& locks) {
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    for (const std::string_view part :
         {sourcesHash, buildIdentity, std::string_view(spec.runtime),
          std::string_view(spec.runtimeAlias), std::string_view(spec.handler),
          std::string_view(spec.fromCode ? "code" : "files")})
        addText(engine, part);
    for (const Lock& lock : locks) {
        addText(engine, lock.name);
        addText(engine, lock.content);
    }
    return hex(engine);
}

Artifacts::Artifacts(std::string dataDir)
    : artifactsDir_(dataDir + "/artifacts"), buildDir_(dataDir + "/build") {}

base::Result<std::unique_ptr<Artifacts>> Artifacts::open(const std::string& dataDir,
                                                         LayerOptions options) {
    std::unique_ptr<Artifacts> artifacts(
        new Artifacts(fs::absolute(dataDir).lexically_normal().string()));
    std::error_code error;
    if (fs::exists(artifacts->buildDir_, error)) removeTree(artifacts->buildDir_);
    for (const auto& folder : {artifacts->artifactsDir_, artifacts->buildDir_}) {
        fs::create_directories(folder, error);
        if (error) return diskFailure("the folder " + folder + " cannot be made", error);
    }
    auto layers = Layers::open(dataDir, options);
    if (!layers) return std::move(layers).failure();
    artifacts->layers_ = std::move(*layers);
    for (fs::directory_iterator at(artifacts->artifactsDir_, error), end; !error && at != end;
         at.increment(error))
        if (at->is_directory()) artifacts->bytes_ += recordedBytes(at->path().string());
    return artifacts;
}

std::string Artifacts::directory(std::string_view key) const {
    return artifactsDir_ + "/" + std::string(key);
}

bool Artifacts::contains(std::string_view key) const {
    const std::string path = directory(key);
    const auto record = readRecord(path);
    std::error_code error;
    return record && measureTree(path, error) == record->extent && !error &&
           std::ranges::all_of(record->layers, [&](const auto& layer) {
               return layer.buildOnly || layers_->contains(layer.key);
           });
}

std::vector<std::string> Artifacts::layerDirectories(std::string_view key) const {
    std::vector<std::string> directories;
    for (const auto& layer : layersOf(key))
        if (!layer.buildOnly) directories.push_back(layers_->directory(layer.key));
    return directories;
}

std::vector<Artifacts::LayerName> Artifacts::layersOf(std::string_view key) const {
    const std::string name(key);
    const std::lock_guard lock(layersMutex_);
    if (const auto known = layersOf_.find(name); known != layersOf_.end()) return known->second;
    const auto record = readRecord(directory(key));
    if (!record) return {};
    auto& layers = layersOf_[name];
    for (const auto& layer : record->layers) layers.push_back({layer.key, layer.buildOnly});
    return layers;
}

void Artifacts::forgetLayersOf(const std::string& key) const {
    const std::lock_guard lock(layersMutex_);
    layersOf_.erase(key);
}

base::Result<Artifacts::Made> Artifacts::make(std::string_view sourcesHash,
                                              std::string_view buildIdentity, BuildRequest request,
                                              Builder& builder, BuildListener& listener,
                                              Dependencies* dependencies) {
    static const std::vector<Lock> none;
    const auto& candidates = dependencies != nullptr ? dependencies->candidates() : none;
    const std::string key = artifactKey(request.spec, sourcesHash, buildIdentity, candidates);
    const auto making = std::make_shared<Making>();
    {
        std::unique_lock lock(mutex_);
        for (auto at = making_.find(key); at != making_.end(); at = making_.find(key)) {
            const auto other = at->second;
            listener.log("waiting for another build of equal sources");
            done_.wait(lock, [&] { return other->done; });
            if (!other->made) continue;
            listener.log("equal sources were built just now; their artifact is used again");
            Made made = *other->made;
            made.reused = true;
            return made;
        }
        making_[key] = making;
        unusedSince_[key] = std::chrono::steady_clock::now();
    }
    struct Done {
        Artifacts& artifacts;
        const std::string& key;
        Making& making;
        ~Done() {
            const std::lock_guard lock(artifacts.mutex_);
            making.done = true;
            artifacts.making_.erase(key);
            artifacts.done_.notify_all();
        }
    } done{*this, key, *making};

    // Sources that were built without any lock once do not need one.
    for (const auto* locks : {&candidates, &none}) {
        const std::string there = artifactKey(request.spec, sourcesHash, buildIdentity, *locks);
        if (!contains(there)) continue;
        listener.log("equal sources were built before; their artifact is used again");
        {
            const std::lock_guard lock(mutex_);
            unusedSince_[there] = std::chrono::steady_clock::now();
        }
        auto record = readRecord(directory(there));
        return Made{there, record ? std::move(record->remarks) : std::vector<base::SourceRemark>{},
                    *locks, true, {}};
    }
    auto made = build(key, sourcesHash, buildIdentity, request, builder, listener, dependencies);
    if (made) {
        const std::lock_guard lock(mutex_);
        making->made = *made;
    }
    return made;
}

base::Result<Artifacts::Made> Artifacts::build(const std::string& key, std::string_view sourcesHash,
                                               std::string_view buildIdentity,
                                               BuildRequest& request, Builder& builder,
                                               BuildListener& listener,
                                               Dependencies* dependencies) {
    base::UlidGenerator ids;
    const std::string job = buildDir_ + "/" + ids.next(base::unixMs(base::WallClock::now()));
    std::shared_ptr<void> leftovers(nullptr, [job](void*) { removeTree(job); });
    request.sourceDir = job + "/source";
    request.artifactDir = job + "/artifact";
    request.scratchDir = job + "/scratch";
    request.dependencies = dependencies;
    if (dependencies != nullptr) dependencies->begin(job, listener);
    std::error_code error;
    for (const auto& folder : {request.sourceDir, request.artifactDir, request.scratchDir}) {
        fs::create_directories(folder, error);
        if (error) return diskFailure("the folder of the build cannot be made", error);
    }
    if (auto written = writeSources(request.sourceDir, request.sources); !written)
        return std::move(written).failure();
    Collector collector(listener);
    if (auto built = builder.build(request, collector); !built) {
        // What an executor or a tool makes of a write that fails is hardly to be told from others
        // of their failures.
        if (built.failure().reason != "build_cancelled" && isFull(job)) {
            listener.log(built.failure().detail);
            return diskFailure({}, std::make_error_code(std::errc::no_space_on_device));
        }
        return std::move(built).failure();
    }

    Made made{key, collector.remarks, {}, false, std::move(leftovers)};
    Record record{
        request.spec.runtime, sealTree(request.artifactDir, error), collector.remarks, {}};
    if (error) return diskFailure("the artifact cannot be sealed", error);
    if (dependencies != nullptr) {
        made.locks = dependencies->locks();
        made.key = artifactKey(request.spec, sourcesHash, buildIdentity, made.locks);
        record.layers = dependencies->layers();
    }
    if (auto installed = install(made.key, request.artifactDir, encode(record)); !installed)
        return std::move(installed).failure();
    return made;
}

// Alone, because another build may have come to the same artifact by other locks at its beginning.
// Then the one that is there stays: a worker may use it already.
base::Result<void> Artifacts::install(const std::string& key, const std::string& from,
                                      const std::string& record) {
    const std::lock_guard lock(mutex_);
    unusedSince_[key] = std::chrono::steady_clock::now();
    if (contains(key)) return {};
    const std::string path = directory(key);
    bytes_ -= recordedBytes(path);
    removeTree(path);
    forgetLayersOf(key);
    auto kept = writeFile(recordPath(path), record);
    if (kept) kept = moveSealed(from, path);
    std::error_code ignored;
    if (kept)
        bytes_ += recordedBytes(path);
    else
        fs::remove(recordPath(path), ignored);
    return kept;
}

std::vector<Artifacts::Removed> Artifacts::collect(const std::unordered_set<std::string>& used,
                                                   std::chrono::milliseconds grace) {
    std::vector<Removed> removed;
    std::unordered_set<std::string> named, present;
    std::error_code error;
    const auto now = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
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
        present.insert(key);
        const auto keep = [&] {
            for (const auto& layer : layersOf(key)) named.insert(layer.key);
        };
        if (used.contains(key) || making_.contains(key)) {
            unusedSince_.erase(key);
            keep();
            continue;
        }
        const auto since = unusedSince_.try_emplace(key, now).first->second;
        if (now - since < grace) {
            keep();
            continue;
        }
        const auto record = readRecord(directory(key));
        if (record) bytes_ -= record->extent.bytes;
        removeTree(directory(key));
        fs::remove(recordPath(directory(key)), error);
        forgetLayersOf(key);
        unusedSince_.erase(key);
        removed.push_back({record ? record->runtime : "", key});
    }
    // Builds that failed, and those that came to other locks than they began with, leave no folder.
    std::erase_if(unusedSince_, [&](const auto& one) {
        return !present.contains(one.first) && !making_.contains(one.first);
    });
    lock.unlock();
    layers_->collect(named);
    return removed;
}

}  // namespace cf::functions
