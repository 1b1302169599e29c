// Starting, binding and ending workers, as kernel/workers asks for it. LauncherClient does it with the launcher process;
// tests do it without one. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/failure.hpp"
#include "base/unique_fd.hpp"
#include "sandbox/launch_spec.hpp"

namespace cf::sandbox {

using TaskId = uint64_t;

class WorkerLauncher {
public:
    // A worker that runs. Descriptors are the kernel's ends; the caller owns them.
    struct Worker {
        TaskId task = 0;
        base::UniqueFd socket{};      // the worker's fd 3
        base::UniqueFd output{};      // its standard output, non-blocking
        base::UniqueFd errors{};      // its standard error, non-blocking
        base::UniqueFd pidfd{};       // readable when it is gone
        base::UniqueFd memoryPeak{};  // pread gives the peak in bytes as text; -1 without a memory cgroup
        // pread gives what the whole tree has computed so far, for IdleWork; -1 where nobody knows.
        base::UniqueFd processorTime{};
    };
    using WorkerCallback = std::function<void(base::Result<Worker>)>;
    using EndedCallback = std::function<void(const Ended&)>;
    // A connection that the worker's network refused, as a line of text for people.
    using RefusedCallback = std::function<void(std::string_view line)>;
    using DoneCallback = std::function<void(base::Result<void>)>;

    virtual ~WorkerLauncher() = default;
    // `started` comes first, exactly once; `ended` follows once if it started. Failures: sandbox_failed.
    virtual void startWorker(const WorkerSpec& spec, WorkerCallback started, EndedCallback ended) = 0;
    // Tells of the worker's refused connections, a few a second at most, until it has ended. Launchers without a network
    // to refuse never call it.
    virtual void onRefused(TaskId /*worker*/, RefusedCallback /*refused*/) {}
    // Binds a prewarmed worker to a version: its cgroup gets the version's limits (memory, processes, cpus), its network
    // the version's policy, then artifact and layers appear inside it.
    virtual void attach(TaskId worker, const Attachment& attachment, DoneCallback done) = 0;
    // A worker that has started computes as one of `parts` (at least 1) from now on: where a control group has a weight, its
    // own is that of one task of the platform, divided by them. Unknown workers are ignored.
    virtual void share(TaskId worker, uint32_t parts) = 0;
    // Where the attached artifact is for the worker, for LOAD: /function; a folder of the worker's own on a machine
    // without mount namespaces.
    virtual std::string artifactPath(TaskId worker) const = 0;
    // Kills the whole tree. Its `ended` callback and pidfd tell when it is gone. Unknown tasks are ignored.
    virtual void kill(TaskId task) = 0;
};

}  // namespace cf::sandbox
