// What a build may ask for beyond tools: room for its own files, locks, layers.
#include <exception>

#include "base/printable.hpp"
#include "executors/job.hpp"
#include "executors/plugin_table.hpp"

namespace cf::executors {

namespace {

constexpr size_t lockNameLimit = 255;
constexpr size_t lockLimit = 16u << 20;  // of a lock, and of what it was made from
// Executors put whole files into a key, such as wheels that came with the function.
constexpr size_t layerKeyLimit = 1u << 30;

bool writable(const cf_sink* sink) { return sink != nullptr && sink->write != nullptr; }

bool isLockName(std::string_view name) {
    return !name.empty() && name.size() <= lockNameLimit && base::printable(name) == name;
}

}  // namespace

void BuildJob::scratch(const cf_sink* path) {
    if (writable(path)) path->write(path->context, toView(spec_.scratchDir));
}

cf_status BuildJob::recallLock(cf_view name, cf_view madeFrom, uint32_t flags,
                               const cf_sink* content) {
    if (spec_.dependencies == nullptr || !writable(content) || !isLockName(viewText(name)) ||
        (flags & ~CF_LOCK_OF_ANY_AGE) != 0)
        return CF_FAILED;
    const auto lock = spec_.dependencies->recallLock(viewText(name), viewText(madeFrom),
                                                     (flags & CF_LOCK_OF_ANY_AGE) != 0);
    if (!lock) return CF_FAILED;
    content->write(content->context, toView(*lock));
    return CF_OK;
}

void BuildJob::keepLock(cf_view name, cf_view madeFrom, cf_view content) {
    if (spec_.dependencies == nullptr) return;
    if (!isLockName(viewText(name)))
        return log("a lock was not kept: its name is not 1 to 255 printable bytes");
    if (content.size > lockLimit || madeFrom.size > lockLimit)
        return log("the lock " + std::string(viewText(name)) +
                   " was not kept: it is larger than 16 MB");
    spec_.dependencies->keepLock(viewText(name), viewText(madeFrom), viewText(content));
}

cf_status BuildJob::layer(cf_view key, uint32_t flags, cf_layer_fill fill, void* context,
                          const cf_sink* directory, const cf_sink* link, cf_error* error) {
    if (spec_.dependencies == nullptr)
        return fillError(error, CF_FAILED, "this build has no place for dependency layers");
    if (fill == nullptr || !writable(directory) || !writable(link) || key.size == 0 ||
        key.size > layerKeyLimit || (flags & ~CF_LAYER_BUILD_ONLY) != 0)
        return fillError(error, CF_FAILED, "the executor asked for a layer in a wrong way");
    if (!filling_.empty())
        return fillError(error, CF_FAILED,
                         "the executor asked for a layer while it fills another one");
    const bool buildOnly = (flags & CF_LAYER_BUILD_ONLY) != 0;
    if (!buildOnly && hasLayer_)
        return fillError(error, CF_FAILED,
                         "the executor asked for a second layer; a function has one at most");
    if (stopped())
        return fillError(error, CF_CANCELLED, "the build ran out of time or was cancelled");

    std::optional<cf_status> failed;
    bool asked = false;
    const auto fillOnce = [&](const std::string& folder) -> base::Result<void> {
        asked = true;
        struct Filling {
            BuildJob& job;
            const std::string& folder;
            Filling(BuildJob& j, const std::string& f) : job(j), folder(f) {
                job.filling_ = folder;
                job.replaceMount({folder, folder, sandbox::MountKind::writable, false});
            }
            ~Filling() {
                job.filling_.clear();
                std::erase_if(job.mounts_,
                              [&](const auto& mount) { return isInside(mount.source, folder); });
            }
        } filling(*this, folder);
        auto why = prefixed<cf_error>();
        cf_status status = CF_FAILED;
        try {
            status = fill(context, toView(folder), &why);
        } catch (const std::exception& exception) {
            fillError(&why, CF_FAILED, exception.what());
        }
        if (status == CF_OK) status = noteExcess({}, &why);
        if (status == CF_OK) return {};
        failed = status;
        return base::Failure{.reason = "build_failed",
                             .detail = errorMessage(why, "the dependencies cannot be installed"),
                             .hint = errorHint(why)};
    };
    const auto layer =
        spec_.dependencies->layer(viewText(key), buildOnly, fillOnce, [this] { return stopped(); });
    if (!layer) {
        const auto& failure = layer.failure();
        const cf_status other = failure.reason == "build_cancelled" ? CF_CANCELLED : CF_FAILED;
        return fillError(error, failed.value_or(other), failure.detail, failure.hint);
    }
    if (!asked && !saidReused_) log("the dependencies are installed already; they are used again");
    saidReused_ = saidReused_ || !asked;
    hasLayer_ = hasLayer_ || !buildOnly;
    replaceMount({layer->directory, layer->directory, sandbox::MountKind::readOnly, false});
    directory->write(directory->context, toView(layer->directory));
    link->write(link->context, toView(layer->link));
    return CF_OK;
}

std::vector<std::string> BuildJob::folders() const {
    std::vector<std::string> all{spec_.sourceDir, spec_.artifactDir};
    for (const auto* more : {&spec_.scratchDir, &filling_})
        if (!more->empty()) all.push_back(*more);
    return all;
}

// The words for a limit are made here, for whatever tool of whatever executor hits it.
cf_status BuildJob::noteExcess(const ToolRunner::Outcome& outcome, cf_error* error) {
    // A tool can hide folders while it runs; afterwards they belong to the kernel again.
    if (outcome.exceeded || outcome.ended.outOfDisk || disk_.look(folders())) {
        diskExceeded_ = true;
        const std::string limit = std::to_string(spec_.diskBytes >> 20) + " MB";
        excess_ = base::Failure{
            .reason = "build_disk_exceeded",
            .detail = "the build wrote more than " + limit + " to the disk and was stopped",
            .hint =
                "need fewer or smaller dependencies, or raise build.disk_mb in the properties "
                "file",
            .limit = limit};
        if (disk_.almostFull()) {
            excess_->detail = "the disk that the build writes to is nearly full, so the build was stopped";
            excess_->hint = "free some room on that disk";
            excess_->limit = "5 % free";
        }
        return fillError(error, CF_CANCELLED, excess_->detail, excess_->hint);
    }
    // No reason to stop: it may have been a step that the build can do without.
    if (outcome.ended.outOfMemory) {
        const std::string limit = std::to_string(spec_.limits.memoryBytes >> 20) + " MB";
        excess_ = base::Failure{.reason = "build_memory_exceeded",
                                .detail = "the build ran out of memory (limit " + limit + ")",
                                .hint = "raise build.memory_mb in the properties file",
                                .limit = limit};
        log(excess_->detail);
    }
    return CF_OK;
}

}  // namespace cf::executors
