// The kernel's side of the launcher: asks it to start workers and tools, and hears how they end.
//
// Life: main() calls spawnLauncher() while it is still single-threaded and privileged, then drops
// its privileges; LauncherClient is made on top of the socket and lives on one event loop. Every
// method is called on that loop's thread, every callback runs on it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.hpp"
#include "base/failure.hpp"
#include "base/unique_fd.hpp"
#include "sandbox/launch_spec.hpp"
#include "sandbox/worker_launcher.hpp"

namespace cf::sandbox {

// The operator's say on the network of sandboxes (sandbox.network.*). Entries are destinations
// (base/destination.hpp).
struct NetworkOptions {
    std::string range{};                // of the sandboxes' own addresses; empty: chosen freely
    std::vector<std::string> allow{};   // opened although they are private
    std::vector<std::string> deny{};    // closed although they are public; wins over `allow`
    uint32_t flows = 1024;              // open connections of one sandbox at a time
    bool hostWithoutRouter = false;     // where `outbound` cannot be given: the machine's network
                                        // instead of none
};

// What the launcher needs to know before it can do anything.
struct LauncherOptions {
    std::string
        instance{};  // names cgroups of this platform instance; [a-z0-9]+, from the data directory
    uint32_t uidBase = 0;  // first user id of worker slots; 0: workers share the kernel's user
    uint32_t uidCount = 0;
    uid_t kernelUid = 0;  // user the kernel process will run as: gets back what tools wrote
    gid_t kernelGid = 0;
    bool strict = false;     // refuse to start when a layer is missing
    std::string launcher{};  // path of the launcher's program; empty: this same executable
    std::string execStub{};  // path of the stub executable
    // Where workers and tools get folders of their own on machines without mount namespaces: a
    // path that the launcher alone uses, on the file system of artifacts and layers.
    std::string taskFolders{};
    // The platform's private folder, which build folders lie in; there it is opened to tools.
    std::string privateFolder{};
    NetworkOptions network{};
};

struct LauncherProcess {
    base::UniqueFd control{};  // SOCK_SEQPACKET
    pid_t pid = -1;
    std::vector<Layer>
        layers{};  // what this machine can give, tested by the launcher itself at its start
    std::string taskFolders{};  // where artifacts appear without mount namespaces; empty with them
};

// How much this machine gives, in a word: "root" (namespaces, own users), "user" (namespaces),
// "container" (own users), "bare".
std::string tierOf(const std::vector<Layer>& layers);

// Starts the launcher (posix_spawn of its program, with the argument "launcher") and waits for its
// report of layers, at most 30 s. Failures: sandbox_unavailable (strict and a layer is missing, or
// it does not start).
base::Result<LauncherProcess> spawnLauncher(const LauncherOptions& options);

// What `cloudfunction-launcher` runs: the launcher process itself. `control` is its socket. Returns
// an exit code.
int launcherMain(int control);

class LauncherClient final : public WorkerLauncher {
public:
    LauncherClient(base::EventLoop& loop, LauncherProcess process);
    ~LauncherClient() override;

    void startWorker(const WorkerSpec& spec, WorkerCallback started, EndedCallback ended) override;
    void attach(TaskId worker, const Attachment& attachment, DoneCallback done) override;
    void onRefused(TaskId worker, RefusedCallback refused) override;
    void share(TaskId worker, uint32_t parts) override;
    std::string artifactPath(TaskId worker) const override;
    void kill(TaskId task) override;

    struct Tool {
        TaskId task = 0;
        base::UniqueFd input{};   // write end of its standard input
        base::UniqueFd output{};  // read ends, blocking
        base::UniqueFd errors{};
    };
    using ToolCallback = std::function<void(base::Result<Tool>)>;
    void startTool(const ToolSpec& spec, ToolCallback started, EndedCallback ended);

    // Gives back to the kernel's user what tools left below `directory` when the whole platform was
    // ended in the middle of a build: for start-up, before such folders are removed or used again.
    void reclaim(const std::string& directory, DoneCallback done);

    // Runs `argv` outside of any sandbox, as the kernel's user, but able to read every path of the
    // machine (CAP_DAC_READ_SEARCH): how executors are probed. The environment is the platform's
    // own. Killed after `timeout`.
    void startProbe(const std::vector<std::string>& argv, std::chrono::milliseconds timeout,
                    ToolCallback started, EndedCallback ended);

    // Told when the launcher process died: requests in flight have failed then. It is started again
    // by its supervisor and what it had started lives on; only when the supervisor itself is killed
    // everything ends and nothing new starts.
    void onLost(std::function<void()> callback);
    // Nothing follows the one that was lost: its supervisor is gone, too.
    bool isGone() const;
    const std::vector<Layer>& layers() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace cf::sandbox
