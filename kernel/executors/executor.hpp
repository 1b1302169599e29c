// One executor as the platform uses it: what it serves, whether it can work on this machine, and
// its operations with everything that comes back from the plugin checked. An exception or garbage
// from a plugin is a Failure, no more.
//
// Shared by the catalogue and by whoever works with it; immutable once made. Replacing an executor
// makes a new object beside this one, and holders of the old pointer go on with the old code, which
// is never unloaded.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/failure.hpp"
#include "executors/job.hpp"
#include "executors/manifest.hpp"
#include "executors/plugin_table.hpp"
#include "executors/ports.hpp"
#include "executors/report.hpp"

namespace cf::executors {

// A version as executors see it. Views must live as long as the call.
struct FunctionSpec {
    std::string_view name{};
    std::string_view runtime{};  // as the user typed it
    std::string_view handler{};
    std::vector<std::pair<std::string_view, std::string_view>> files{};  // name, content
    std::vector<std::pair<std::string_view, std::string_view>> environment{};
    uint32_t memoryMb = 128;
    uint32_t concurrency = 1;
    std::chrono::milliseconds timeout{30'000};
    bool fromCode = false;
};

// How to start a worker. In `worker` argv, environment, mounts and execStub are filled in; limits
// and network are the caller's.
struct LaunchPlan {
    sandbox::WorkerSpec worker{};
    uint32_t concurrency = 1;   // the most invocations that one worker takes at once
    bool checks = false;        // it answers CHECK
    bool notPrewarmed = false;  // this version's workers are not the generic one
};

// A file that names dependencies, as the language's own tools read it.
struct ManifestFile {
    std::string name{};
    std::string content{};
};

// A worker's end in words.
struct ExitWords {
    std::string message{};
    std::string hint{};
};

class Executor {
public:
    // What is known about a plugin, whether it can work or not.
    struct Facts {
        std::string file{};  // where the library lies, as the operator put it
        std::string id{};    // empty when it did not get as far as telling it
        std::string version{};
        std::string abi{};
        Manifest manifest{};  // no runtimes when it could not be described
        std::string found{};  // the toolchain, as its probe wrote it; empty when unavailable
        std::string toolchainVersion{};  // found.version
        std::string compatibility{};     // found.compatibility
        std::optional<Unavailable> unavailable{};
    };

    // An executor that cannot work. Every operation answers runtime_unavailable.
    explicit Executor(Facts facts) : facts_(std::move(facts)) {}
    // One that can: `self` is what its `create` returned.
    Executor(Facts facts, PluginTable table, void* self)
        : facts_(std::move(facts)), table_(std::move(table)), self_(self) {}
    // With the last holder: ends the plugin's state, never unloads its code.
    ~Executor();
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    const Facts& facts() const { return facts_; }
    bool available() const { return !facts_.unavailable; }
    // Executor and toolchain, e.g. "lua 1.0 5.4.4": what artifacts depend on.
    std::string buildIdentity() const;
    // Executor and what installed dependencies depend on of the toolchain, e.g. "lua 1.0 5.4": it
    // stays the same over patch releases of it.
    std::string layerIdentity() const;

    // [any] Remarks without a file are about the handler. An error among them refuses the save.
    base::Result<std::vector<base::SourceRemark>> validate(const FunctionSpec& function) const;
    // [any] The manifest that asks for `dependencies`; `function` comes without it. Failures:
    // invalid_function (one of them makes no sense, or the runtime knows none; the detail says
    // which), runtime_unavailable, executor_error.
    base::Result<ManifestFile> writeDependencies(
        const FunctionSpec& function, const std::vector<std::string>& dependencies) const;
    // [job] Turns spec.sourceDir into spec.artifactDir on this thread; may take minutes. `remarks`
    // gets what it said about places in the source, also when it fails. Failures: build_failed (the
    // source is at fault), build_timeout, build_memory_exceeded, build_disk_exceeded,
    // build_cancelled, runtime_unavailable, executor_error.
    base::Result<void> prepare(const FunctionSpec& function, JobSpec spec, ToolRunner& tools,
                               SourceChecker& checker, const std::atomic<bool>& cancel,
                               std::vector<base::SourceRemark>& remarks) const;
    // [any] `function` is null for the generic, prewarmed worker.
    base::Result<LaunchPlan> plan(const FunctionSpec* function) const;
    // [any] Nothing when the executor has nothing to add. `lastErrors`: the end of standard error.
    std::optional<ExitWords> describeExit(const sandbox::Ended& ended, uint32_t memoryMb,
                                          std::string_view lastErrors) const;
    // [any] An artifact is gone.
    void discard(std::string_view artifactKey) const;

private:
    base::Failure notAvailable() const;
    base::Failure failureOf(const char* operation, cf_status status, const cf_error& error) const;

    Facts facts_;
    PluginTable table_{};
    void* self_ = nullptr;
};

}  // namespace cf::executors
