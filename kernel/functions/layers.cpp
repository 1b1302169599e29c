#include "functions/layers.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "functions/artifacts.hpp"
#include "functions/json_text.hpp"
#include "functions/trees.hpp"

namespace cf::functions {

namespace fs = std::filesystem;
using base::Result;

namespace {

constexpr auto lookInterval = std::chrono::milliseconds(100);

uint64_t bytesOf(const std::string& marker) {
    std::ifstream file(marker, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto document = base::JsonDocument::parse(text);
    uint64_t bytes = 0;
    if (document && document->root()["bytes"].get(bytes)) bytes = 0;
    return bytes;
}

// One that nobody uses or names.
struct Unused {
    std::string key{};
    int64_t usedAt = 0;  // seconds since 1970
    uint64_t bytes = 0;
};

}  // namespace

Layers::Layers(std::string directory, LayerOptions options)
    : directory_(std::move(directory)), options_(options) {}

Result<std::unique_ptr<Layers>> Layers::open(const std::string& dataDir, LayerOptions options) {
    const std::string directory = fs::absolute(dataDir).lexically_normal().string() + "/layers";
    std::error_code error;
    fs::create_directories(directory, error);
    if (error) return diskFailure("the folder " + directory + " cannot be made", error);
    std::unique_ptr<Layers> layers(new Layers(directory, options));
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
        if (at->path().extension() == ".json") layers->bytes_ += bytesOf(at->path().string());
    return layers;
}

std::string Layers::keyOf(std::string_view layerIdentity, std::string_view text) {
    // The length keeps identity and text apart.
    return sha256(std::to_string(layerIdentity.size()) + ":" + std::string(layerIdentity) +
                  std::string(text));
}

std::string Layers::directory(std::string_view key) const {
    return directory_ + "/" + std::string(key);
}

std::string Layers::link(std::string_view key) { return "../../layers/" + std::string(key); }

std::string Layers::markerPath(std::string_view key) const { return directory(key) + ".json"; }

bool Layers::contains(std::string_view key) const {
    struct stat info {};
    return ::stat(markerPath(key).c_str(), &info) == 0 &&
           ::stat(directory(key).c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Layers::Use::Use(Layers& layers, std::string key) : layers_(&layers), key_(std::move(key)) {
    const std::lock_guard lock(layers_->mutex_);
    ++layers_->uses_[key_];
}

Layers::Use::~Use() {
    if (layers_ == nullptr) return;
    const std::lock_guard lock(layers_->mutex_);
    const auto found = layers_->uses_.find(key_);
    if (--found->second == 0) layers_->uses_.erase(found);
}

Result<Layers::Use> Layers::make(const std::string& key, const std::string& folder,
                                 const base::BuildDependencies::Fill& fillFolder,
                                 const std::function<bool()>& stopped, bool& filled,
                                 const std::function<void()>& waits) {
    filled = false;
    Use use(*this, key);
    {
        std::unique_lock lock(mutex_);
        if (busy_.contains(key) && waits) waits();
        while (busy_.contains(key)) {
            if (stopped())
                return base::Failure{
                    .reason = "build_cancelled",
                    .detail =
                        "the build was stopped while another build installed the same "
                        "dependencies"};
            done_.wait_for(lock, lookInterval);
        }
        busy_.insert(key);
    }
    struct Done {
        Layers& layers;
        const std::string& key;
        ~Done() {
            const std::lock_guard lock(layers.mutex_);
            layers.busy_.erase(key);
            layers.done_.notify_all();
        }
    } done{*this, key};

    if (!contains(key)) {
        filled = true;
        if (auto made = fill(key, folder, fillFolder); !made) {
            removeTree(folder);
            return std::move(made).failure();
        }
    } else {
        // The marker's time is when it was used last.
        ::utimensat(AT_FDCWD, markerPath(key).c_str(), nullptr, 0);
    }
    return use;
}

Result<void> Layers::fill(const std::string& key, const std::string& folder,
                          const base::BuildDependencies::Fill& fillFolder) {
    remove(key);
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return diskFailure("the folder of the dependencies cannot be made", error);
    if (auto filled = fillFolder(folder); !filled) return filled;
    const Extent extent = sealTree(folder, error);
    if (error) return diskFailure("the dependencies cannot be sealed", error);
    if (auto moved = moveSealed(folder, directory(key)); !moved) return moved;
    // The marker vouches for all files, so these must be on the disk before it.
    auto kept = syncDisk(directory_);
    if (kept)
        kept = writeFile(
            markerPath(key),
            JsonObject().number("files", extent.files).number("bytes", extent.bytes).done());
    if (kept)
        bytes_ += extent.bytes;
    else
        remove(key);
    return kept;
}

// The marker first: what is half removed does not count as there.
void Layers::remove(const std::string& key) {
    std::error_code error;
    const uint64_t bytes = bytesOf(markerPath(key));
    if (fs::remove(markerPath(key), error)) bytes_ -= bytes;
    if (fs::exists(directory(key), error)) removeTree(directory(key));
}

void Layers::collect(const std::unordered_set<std::string>& named) {
    std::vector<Unused> unused;
    uint64_t total = 0;
    std::vector<std::string> victims;
    {
        const std::lock_guard lock(mutex_);
        std::error_code error;
        for (fs::directory_iterator at(directory_, error), end; !error && at != end;
             at.increment(error)) {
            const std::string key = at->path().filename().string();
            if (key.ends_with(".json")) continue;
            const std::string marker = markerPath(key);
            struct stat info {};
            const bool complete = ::stat(marker.c_str(), &info) == 0;
            const uint64_t bytes = complete ? bytesOf(marker) : 0;
            total += bytes;
            if (named.contains(key) || busy_.contains(key) || uses_.contains(key)) continue;
            if (complete)
                unused.push_back({key, info.st_mtim.tv_sec, bytes});
            else
                victims.push_back(key);
        }
        std::ranges::sort(unused, {}, &Unused::usedAt);
        const int64_t oldest = base::unixMs(base::WallClock::now()) / 1000 - options_.age.count();
        for (const Unused& one : unused) {
            if (one.usedAt > oldest && total <= options_.bytes) break;
            total -= one.bytes;
            victims.push_back(one.key);
        }
        busy_.insert(victims.begin(), victims.end());
    }
    for (const std::string& key : victims) remove(key);
    const std::lock_guard lock(mutex_);
    for (const std::string& key : victims) busy_.erase(key);
    done_.notify_all();
}

}  // namespace cf::functions
