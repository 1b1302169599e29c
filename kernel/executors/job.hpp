// One build as an executor's `prepare` sees it: what stands behind the opaque cf_job. It keeps the
// remarks, forwards the build log, and runs tools in the build sandbox with the mounts that the
// executor asked for.
//
// Made by Executor::prepare on the build thread, used by that thread alone, gone when prepare
// returns. Only `cancel` may be changed by another thread.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/build_dependencies.hpp"
#include "cloudfunction/executor.h"
#include "executors/disk_use.hpp"
#include "executors/ports.hpp"

namespace cf::executors {
class BuildJob;
}

struct cf_job {
    cf::executors::BuildJob* build;
};

namespace cf::executors {

// What a build may use.
struct JobSpec {
    std::string sourceDir{};    // absolute; read-only for tools
    std::string artifactDir{};  // absolute; writable for tools
    std::string scratchDir{};   // absolute; read-only for tools unless they mount it otherwise
    sandbox::Limits limits{};   // of each tool
    uint64_t diskBytes = 0;     // of all folders of the build together; 0: no limit
    sandbox::NetworkPolicy network{};                 // of tools that ask for the network of builds
    std::string networkFault{};  // why they have none here, for the build's log; empty: they have
    base::BuildDependencies* dependencies = nullptr;  // outlives the job; null: none are offered
    Clock::time_point deadline{};                     // of the whole build
    std::function<void(std::string_view)>
        log{};  // one line of the build log, printable, without line end; may be null
};

// Whether `path` is `folder` or lies below it; both absolute and without "..".
bool isInside(std::string_view path, std::string_view folder);

class BuildJob {
public:
    static constexpr size_t outputLimit = 4u << 20;   // bytes kept of each stream of a tool
    static constexpr size_t logLimit = 1u << 20;      // bytes of build log
    static constexpr size_t logLineLimit = 8u << 10;  // bytes; longer lines are broken
    static constexpr size_t remarkLimit = 200;

    BuildJob(JobSpec spec, std::string executorId, ToolRunner& tools, SourceChecker& checker,
             const std::atomic<bool>& cancel);
    BuildJob(const BuildJob&) = delete;
    BuildJob& operator=(const BuildJob&) = delete;

    cf_job* handle() { return &handle_; }
    const std::vector<base::SourceRemark>& remarks() const { return remarks_; }
    // True when somebody cancelled it or its time is over.
    bool stopped() const;
    bool outOfTime() const { return Clock::now() >= spec_.deadline; }
    // A limit of the build that one of its tools has hit, in words for the user; none so far: null.
    const base::Failure* excess() const { return excess_ ? &*excess_ : nullptr; }

    // What cf_host offers to a job; arguments come from the plugin as they are and are checked
    // here.
    void mount(cf_view source, cf_view target, uint32_t flags);
    cf_status run(const cf_tool& tool, cf_tool_result* result, cf_error* error);
    cf_status check(cf_view file, cf_view source, const cf_sink* remarks, cf_error* error);
    void diagnostic(const cf_diagnostic& diagnostic);
    void log(std::string_view line);
    void scratch(const cf_sink* path);
    cf_status recallLock(cf_view name, cf_view madeFrom, uint32_t flags, const cf_sink* content);
    void keepLock(cf_view name, cf_view madeFrom, cf_view content);
    cf_status layer(cf_view key, uint32_t flags, cf_layer_fill fill, void* context,
                    const cf_sink* directory, const cf_sink* link, cf_error* error);

private:
    base::Result<sandbox::ToolSpec> toolSpec(const cf_tool& tool) const;
    bool isOwn(std::string_view folder) const;
    void replaceMount(sandbox::Mount mount);
    std::vector<std::string> folders() const;
    cf_status noteExcess(const ToolRunner::Outcome& outcome, cf_error* error);

    JobSpec spec_;
    std::string executorId_;
    ToolRunner& tools_;
    SourceChecker& checker_;
    const std::atomic<bool>& cancel_;
    cf_job handle_{this};
    std::vector<sandbox::Mount> mounts_;
    std::string badMount_;  // why a requested mount was refused; the next tool fails with it
    std::string filling_;   // the folder of the layer that is being filled
    bool hasLayer_ = false;
    bool saidReused_ = false;
    DiskWatch disk_;
    std::optional<base::Failure> excess_;
    bool diskExceeded_ = false;
    std::vector<base::SourceRemark> remarks_;
    size_t logged_ = 0;
};

// Reads an array of remarks as of cf_host.check. Failures: it is not such an array.
base::Result<std::vector<base::SourceRemark>> parseRemarks(std::string_view json);

}  // namespace cf::executors
