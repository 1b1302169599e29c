// What the sandbox tests share: a launcher with its client on a real loop, and workers whose output
// is gathered.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/event_loop.hpp"
#include "sandbox/launcher_client.hpp"

namespace cf::sandbox::test {

bool isRoot();

// A folder that goes away with the object.
class TemporaryFolder {
public:
    TemporaryFolder();
    ~TemporaryFolder();
    std::filesystem::path path{};
};

// A worker, tool or probe and everything that is known of it.
struct Run {
    TaskId task = 0;
    bool answered = false;
    bool started = false;
    bool hasEnded = false;
    std::string failure{};
    std::string output{};
    std::string errors{};
    Ended ended{};
    LauncherClient::Worker worker{};
    LauncherClient::Tool tool{};
};

class Platform {
public:
    static LauncherOptions defaults();

    explicit Platform(const LauncherOptions& options = defaults());
    ~Platform();

    // Runs `task` on the loop's thread, where the client lives, and waits for it.
    void onLoop(const std::function<void(LauncherClient&)>& task);
    base::EventLoop& loop() { return loop_; }
    pid_t supervisor() const { return pid_; }
    pid_t launcher() const;  // the supervisor's child that is no sandbox
    bool hasLayer(const std::string& name) const;
    // The opposite, with a line that says that the test is skipped therefore.
    bool lacks(const std::string& name) const;
    // Waits until `done`, which is asked on the loop's thread; a failure of the test after 20 s, or
    // the seconds in CLOUDFUNCTION_TEST_PATIENCE.
    void until(const std::function<bool()>& done, const char* what);

    std::shared_ptr<Run> startWorker(const WorkerSpec& spec);
    std::shared_ptr<Run> startTool(const ToolSpec& spec);
    std::shared_ptr<Run> startProbe(const std::vector<std::string>& argv,
                                    std::chrono::milliseconds timeout);
    // Runs a shell script as a worker to its end.
    std::shared_ptr<Run> runScript(const std::string& script, const Limits& limits = {});
    void waitStarted(Run& run);  // fails the test when it did not start
    void waitEnded(Run& run);    // and gathers its output
    void kill(Run& run);
    std::string attach(TaskId worker, const Attachment& attachment);
    std::string attach(TaskId worker, const std::string& artifact,
                       const Limits& limits = {});  // failure, or ""
    void share(TaskId worker, uint32_t parts);
    // Closes the kernel's end and waits for the launcher to end.
    void close();

    const LauncherOptions options;

private:
    pid_t findLauncher() const;

    base::EventLoop loop_;
    std::unique_ptr<LauncherClient> client_;
    std::vector<Layer> layers_;
    std::thread thread_;
    pid_t pid_ = -1;
};

WorkerSpec shellWorker(const std::string& script);
bool waitFor(const std::function<bool()>& condition);  // at most as long
bool exists(const std::string& path);
// Folders of this instance's tasks in every cgroup hierarchy.
std::vector<std::string> cgroupsOf(const std::string& instance);
bool isAlive(pid_t pid);

}  // namespace cf::sandbox::test
