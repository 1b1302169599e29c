// What the functions domain needs from the rest of the platform, as interfaces: app/ implements
// them over executors/ and workers/. All methods are called on control-plane threads (never on an
// event loop) and may block.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/build_dependencies.hpp"
#include "base/failure.hpp"
#include "functions/function.hpp"

namespace cf::functions {

// A runtime as validation needs it.
struct RuntimeInfo {
    std::string name{};        // canonical
    std::string sourceFile{};  // how `code` is named; an alias may have its own
    std::string defaultHandler{};
    uint32_t defaultMemoryMb = 0;  // 0: the platform's default
    bool available = true;
    std::string reason{};  // why it is not available, one sentence
    std::string hint{};    // what to install
    // Executor id and version and toolchain version, as one text: part of every artifact's key.
    std::string buildIdentity{};
    // The same with what installed dependencies depend on of the toolchain: part of every layer's
    // key.
    std::string layerIdentity{};
};

// One build. References stay valid until build() returns.
struct BuildRequest {
    const std::string& functionName;
    const Settings& settings;
    const VersionSpec&
        spec;  // its environment is no part of the artifact's key: a build must not depend on it
    const std::vector<SourceFile>& sources;
    std::string sourceDir{};    // absolute; holds the sources; empty string for validate()
    std::string artifactDir{};  // absolute, exists, empty; what is left here becomes the artifact
    std::string scratchDir{};   // absolute, exists, empty; gone with the build
    base::BuildDependencies* dependencies = nullptr;  // null: locks and layers are not offered
};

// The runtimes of the loaded executors. Thread-safe; may change while the platform runs.
class RuntimeCatalog {
public:
    virtual ~RuntimeCatalog() = default;
    // By name or alias, exactly as typed; nothing when nobody serves it.
    virtual std::optional<RuntimeInfo> resolve(std::string_view nameOrAlias) const = 0;
    // The manifest that asks for request.spec.dependencies, as a file beside request.sources (which
    // come without it). Failures: invalid_function (one of them makes no sense; the detail says
    // which), runtime_unavailable, executor_error.
    virtual base::Result<SourceFile> writeDependencies(const BuildRequest& request) const = 0;
    // For "known runtimes are ..." in errors: names, each with its aliases in brackets.
    virtual std::vector<std::string> names() const = 0;
};

// Receives what a build says while it runs. Thread-safe.
class BuildListener {
public:
    virtual ~BuildListener() = default;
    virtual void log(std::string_view line) = 0;  // one line without its end
    virtual void remark(const base::SourceRemark& remark) = 0;
};

// Builds versions: over executors/ in the platform.
class Builder {
public:
    virtual ~Builder() = default;
    // Cheap check before anything is stored. Remarks whose `file` is empty are about the handler;
    // those that are not warnings refuse the save. A Failure means that the check itself could not
    // be done.
    virtual base::Result<std::vector<base::SourceRemark>> validate(const BuildRequest& request) = 0;
    // Turns sourceDir into artifactDir. Failures: build_failed (the source is at fault; remarks
    // went to `listener`), runtime_unavailable, build_timeout, or another reason when something
    // else is.
    virtual base::Result<void> build(const BuildRequest& request, BuildListener& listener) = 0;
    // The artifact, made for this canonical runtime, is gone from the disk.
    virtual void discard(std::string_view runtime, std::string_view artifactKey) = 0;
};

// One live version with everything needed to run it.
struct LiveVersion {
    std::shared_ptr<const Version> version{};
    std::string artifactDir{};  // absolute, read-only, immutable; stays at least 20 minutes after
                                // the version left
    std::vector<std::string>
        layers{};  // absolute folders that the artifact links to; as long as it
    uint32_t weight = 100;
};

// A function as the invocation path is to serve it.
struct LiveFunction {
    FunctionPtr entry{};
    std::vector<LiveVersion> live{};
};

// Makes versions answer calls: over workers/ in the platform. Calls about one function never
// overlap. Only activate() may wait for an event loop: FunctionService::start() commits before the
// loops run.
class Activator {
public:
    virtual ~Activator() = default;
    // Before the live transaction: loads workers of the new version, as many as the old one has
    // busy, at least one. A load_failed Failure (detail, hint, remarks from the worker's error
    // document) aborts the switch. A platform out of workers is no failure: the version then loads
    // with its first call. Nothing is visible to callers yet.
    virtual base::Result<void> activate(const LiveFunction& next) = 0;
    // After a successful activate whose transaction did not come about: the new workers leave.
    virtual void abandon(const LiveFunction& next) = 0;
    // The transaction is done (or the platform starts, then without activate): calls go to these
    // versions from now on; workers of versions that are no longer live finish what they have and
    // leave.
    virtual void commit(const LiveFunction& now) = 0;
    // Only name, description, labels or settings changed; live versions stay as they are.
    virtual void updateSettings(const LiveFunction& now) = 0;
    // The function is gone: running invocations finish, nothing new starts.
    virtual void remove(const std::string& functionId) = 0;
};

}  // namespace cf::functions
