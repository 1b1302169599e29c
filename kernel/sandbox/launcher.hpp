// The launcher process: one loop that carries out the kernel's requests. Forked by the supervisor,
// and again whenever it dies; it keeps nothing that a successor could not learn from the kernel and
// the control groups.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"
#include "sandbox/attach.hpp"
#include "sandbox/control_socket.hpp"
#include "sandbox/process_tree.hpp"
#include "sandbox/recipe.hpp"
#include "sandbox/sandbox_network.hpp"
#include "sandbox/task.hpp"
#include "sandbox/turns.hpp"
#include "sandbox/uid_slots.hpp"

namespace cf::sandbox {

// Runs until the kernel's end of `control` closes; then 0. `restarted`: an earlier launcher died.
int runLauncher(const Machine& machine, base::UniqueFd control, pid_t supervisor, bool restarted);

// What runLauncher runs. One thread, its loop's.
class Launcher {
public:
    Launcher(const Machine& machine, base::UniqueFd control, pid_t supervisor, bool restarted);
    void run();

private:
    using Tasks = std::unordered_map<TaskId, std::unique_ptr<Task>>;

    // launcher.cpp: requests
    void onControl(uint32_t events);
    void handle(Packet& packet);
    void refuse(std::string_view what);
    void start(const Packet& packet);
    void attach(const Packet& packet);
    void reclaim(const Packet& packet);
    bool isPlatforms(const std::string& folder) const;
    void kill(Packet& packet);
    void tellRefused(uint32_t link, const Refusal& refusal);
    base::Result<void> applyNetwork(Task& task, const NetworkPolicy& policy);
    void end();

    void readSetup(Task& task);
    void announce(Task& task);
    void killTask(Task& task);
    void send(std::string packet, std::vector<base::UniqueFd> fds = {});
    Task* find(TaskId id);

    // launcher_restart.cpp: taking over what a dead launcher started
    void adopt(Packet& packet);
    bool takeUser(Task& task, uid_t seen);
    std::optional<uint32_t> linkOf(const AdoptRequest& request) const;
    void resume();
    bool killStrays();  // whether there were any
    bool isOurs(int pidfd) const;

    // launcher_ends.cpp: how tasks end
    void readReports();
    void finish(Task& task, int status);
    void tellEnd(Task& task, int status);
    void giveBack(Task& task, int status, bool owes);
    void forget(Task& task);
    void removeCgroup(std::shared_ptr<TaskCgroup> cgroup, std::optional<uid_t> uid,
                      base::EventLoop::Clock::duration wait);

    // watchdog.cpp: memory that runs out, and what stands in for missing controllers
    void watchMemory(Task& task);
    void watch();
    uint64_t inMemoryFiles(const Task& task) const;
    void lookAtProcesses(Task& task, const TreeUse& use);
    Turns::Look lookAtBuffers(Task& task, int64_t entries);
    Turns::Look lookAtFiles(Task& task, int64_t entries);
    Turns::Look lookAtDisk(Task& task, int64_t entries);
    size_t lookAtMount(Task& task, size_t entries);
    size_t lookAtUnnamed(Task& task, size_t entries);

    const Machine& machine_;
    pid_t supervisor_;
    base::EventLoop loop_;
    ControlSocket control_;
    Attacher attacher_;
    UidSlots slots_;
    SandboxNetwork network_;
    Tasks tasks_;
    bool resuming_;
    bool ending_ = false;
    bool watching_ = false;
    Turns processTurns_, bufferTurns_, fileTurns_, diskTurns_;
    uint64_t refused_ = 0;
    // Ends that were reported before the kernel told a new launcher of the task.
    std::unordered_map<pid_t, int> earlyEnds_;
    std::unordered_map<TaskId, int> earlyStatuses_;
    std::unique_ptr<FdWatcher> controlWatcher_, reportsWatcher_, supervisorWatcher_;
};

}  // namespace cf::sandbox
