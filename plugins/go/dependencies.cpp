#include "dependencies.hpp"

#include <algorithm>

namespace go_executor {

using cloudfunction::Failed;
using cloudfunction::File;
using cloudfunction::FunctionInfo;
using cloudfunction::Layer;

namespace {

constexpr const char* lockName = "go.lock";

void append(std::string& archive, std::string_view name, std::string_view content) {
    if (!archive.empty() && archive.back() != '\n') archive += '\n';
    archive.append("-- ").append(name).append(" --\n").append(content);
}

}  // namespace

std::string manifestsOf(const FunctionInfo& function) {
    std::vector<const File*> files;
    for (const File& file : function.files)
        if (file.name == "go.mod" || file.name == "go.sum" ||
            (file.name.ends_with("/go.mod") && file.name.substr(0, 7) != "vendor/"))
            files.push_back(&file);
    std::sort(files.begin(), files.end(), [](const File* a, const File* b) { return a->name < b->name; });
    std::string archive;
    for (const File* file : files) append(archive, file->name, file->content);
    return archive;
}

bool Dependencies::possible(const FunctionInfo& function) {
    return std::any_of(function.files.begin(), function.files.end(), [](const File& file) {
        return file.name == "go.mod" && file.content.find("require") != std::string_view::npos;
    });
}

std::string Dependencies::withNetrc(const std::string& archive) const {
    std::string all = archive;
    if (!toolchain_.settings.netrc.empty()) append(all, "netrc", toolchain_.settings.netrc);
    return all;
}

Report Dependencies::fetch(const std::string& name, std::vector<std::string> arguments) const {
    toolchain_.settings.mount(builder_.job());
    return builder_.run({.name = name,
                         .arguments = std::move(arguments),
                         .input = withNetrc(lock_),
                         .environment = toolchain_.settings.environment,
                         .network = true,
                         .logged = true});
}

void Dependencies::resolve() {
    builder_.job().log("Resolving modules");
    resolved_ = true;
    downloaded_ = builder_.artifactDir() + "/.modules";
    Report report = fetch("resolve", {"-modules", downloaded_});
    if (report.offline) {
        if (auto old = builder_.job().recallLock(lockName, madeFrom_, CF_LOCK_OF_ANY_AGE)) {
            builder_.job().log("No module proxy answers: the versions of an earlier build are used.");
            lock_ = std::move(*old);
            unreachable_ = std::move(report);
            return;
        }
    }
    builder_.passOn(report);
    if (report.incomplete || report.lock.empty())
        throw Failed(CF_FAILED, "the function's modules could not be resolved", "Run `go mod tidy`, and send go.mod and go.sum as it leaves them.");
    lock_ = std::move(report.lock);
    builder_.job().keepLock(lockName, madeFrom_, lock_);
}

void Dependencies::recall() {
    madeFrom_ = manifestsOf(builder_.function());
    if (auto kept = builder_.job().recallLock(lockName, madeFrom_)) {
        lock_ = std::move(*kept);
        // A lock that another function kept becomes this one's too.
        builder_.job().keepLock(lockName, madeFrom_, lock_);
    } else if (inspected_.state == "open") {
        resolve();
    }
}

// The folder of module sources.
std::string Dependencies::modules() {
    const Layer layer = builder_.job().layer("modules\n" + madeFrom_ + "\n" + lock_, CF_LAYER_BUILD_ONLY, [&](const std::string& folder) {
        // Who did not answer a moment ago is not waited for a second time.
        if (unreachable_) builder_.passOn(*unreachable_);
        builder_.job().log("Fetching modules");
        std::vector<std::string> arguments{"-modules", folder + "/modules"};
        if (!downloaded_.empty()) arguments.insert(arguments.end(), {"-downloaded", downloaded_});
        const Report report = fetch("download", std::move(arguments));
        incomplete_ = report.incomplete;
        builder_.passOn(report);
        if (incomplete_) throw Failed(CF_FAILED, "go.mod or go.sum is not complete");
    });
    return layer.directory + "/modules";
}

// The folder of compiled packages.
std::string Dependencies::packages(const std::string& modules) {
    std::string key = "packages of " + toolchain_.version + "\n" + madeFrom_ + "\n" + lock_ + "\n" + inspected_.vendor;
    for (const std::string& path : inspected_.imports) key += "\n" + path;
    const Layer layer = builder_.job().layer(key, CF_LAYER_BUILD_ONLY, [&](const std::string& folder) {
        builder_.job().log("Compiling packages of other modules");
        std::vector<std::string> arguments{"-packages", folder + "/packages"};
        if (!modules.empty()) arguments.insert(arguments.end(), {"-modules", modules});
        const Report report = builder_.run({.name = "precompile", .arguments = std::move(arguments), .input = lock_, .logged = true});
        incomplete_ = report.incomplete;
        builder_.passOn(report);
        if (incomplete_) throw Failed(CF_FAILED, "go.mod or go.sum is not complete");
    });
    return layer.directory + "/packages";
}

Provided Dependencies::provide() {
    if (inspected_.state.empty()) {
        inspected_ = builder_.run({.name = "inspect"});
        builder_.passOn(inspected_);
        if (inspected_.state == "open" || inspected_.state == "locked") recall();
    }
    if (inspected_.state == "none") return {};
    Provided provided;
    try {
        std::string folder;
        if (inspected_.state != "vendored") {
            folder = modules();
            provided.arguments = {"-modules", folder};
        }
        if (!inspected_.imports.empty()) {
            provided.arguments.emplace_back("-packages");
            provided.arguments.push_back(packages(folder));
        }
    } catch (const Failed&) {
        if (!incomplete_ || !complete()) throw;
        return provide();
    }
    provided.input = lock_;
    return provided;
}

bool Dependencies::complete() {
    incomplete_ = false;
    if (resolved_ || inspected_.state == "vendored" || inspected_.state == "none") return false;
    resolve();
    return true;
}

}  // namespace go_executor
