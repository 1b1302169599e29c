// The running platform: every part, made in the order of what stands on what, and its event loops.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "app/access_token.hpp"
#include "app/archives.hpp"
#include "app/child_processes.hpp"
#include "app/companions.hpp"
#include "app/data_directory.hpp"
#include "app/executor_builder.hpp"
#include "app/folder_use.hpp"
#include "app/home_loop.hpp"
#include "app/record_reader.hpp"
#include "app/settings.hpp"
#include "app/web_page.hpp"
#include "app/worker_activator.hpp"
#include "executors/catalog.hpp"
#include "functions/artifacts.hpp"
#include "functions/service.hpp"
#include "functions/sqlite_store.hpp"
#include "http/guards.hpp"
#include "http/occupancy.hpp"
#include "sandbox/launcher_client.hpp"
#include "telemetry/function_logs.hpp"
#include "telemetry/recorder.hpp"
#include "telemetry/writer.hpp"

namespace cf::app {

// Where things lie beside the executable, in a build folder as well as in an installation.
struct Places {
    std::string binary{};
    std::string launcher{};  // the programs beside the executable
    std::string stub{};
    std::string executors{};
    std::string openapi{};  // the text of the API description
    std::string web{};      // folder of the web page
};

class Platform {
public:
    // Main thread. Nothing runs yet.
    Platform(Settings settings, Places places, const DataDirectory& data);
    ~Platform();

    // Before the launcher and before root is given up: takes the ports. Gives the addresses as URLs.
    base::Result<std::vector<std::string>> listen();
    // After root was given up: starts the loops, which answer "starting" from then on, loads executors and functions.
    // Failure draining when `isStopAsked` says so on the way; stop() may be called after every failure.
    base::Result<void> start(sandbox::LauncherProcess launcher, std::vector<sandbox::Layer> moreLayers, const AccessToken& token,
                             const std::function<bool()>& isStopAsked);
    // Main thread, every few minutes: deletes what nobody uses any more.
    void tidy() { functions_->collectGarbage(); }
    // Lets running invocations finish, at most `patience`, then ends everything.
    void stop(std::chrono::milliseconds patience);
    // It ends because of a fault that only another start mends; SIGTERM was sent to this process.
    bool hasFailed() const { return failed_; }

    // What a person wants to read at the start.
    std::string describe(const std::vector<std::string>& urls) const;

private:
    http::ServerOptions serverOptions();
    void handle(HomeLoop& home, std::shared_ptr<http::Exchange> exchange);
    workers::Options workerOptions(size_t loop);
    void makeInvocationPath(sandbox::LauncherProcess launcher);
    void serveApi(HomeLoop& home);
    base::Result<void> openTelemetry();
    base::Result<void> loadExecutors();
    void reclaimBuilds();
    base::Result<void> loadFunctions();
    void record(const workers::Invocation& call, const workers::Outcome& outcome, std::string_view source, int status);
    uint64_t logBytes() const;
    api::Health health() const;

    const Settings settings_;
    const Places places_;
    const DataDirectory& data_;
    http::GuardOptions guards_;
    std::vector<sandbox::Layer> layers_;
    std::atomic<api::Health::Phase> phase_{api::Health::Phase::starting};
    mutable std::mutex troubleMutex_;
    std::map<std::pair<std::string, size_t>, std::string> troubles_;  // runtime, loop -> why its prewarmed workers do not start

    HomeLoops loops_;
    std::shared_ptr<http::Occupancy> occupancy_ = std::make_shared<http::Occupancy>();
    std::unique_ptr<telemetry::Writer> writer_;
    std::unique_ptr<telemetry::Recorder> recorder_;
    std::unique_ptr<telemetry::FunctionLogs> logs_;
    std::unique_ptr<RecordReader> recordReader_;
    std::unique_ptr<sandbox::LauncherClient> launcher_;
    executors::Catalog catalog_;
    functions::Registry registry_;
    std::unique_ptr<ChildProcesses> children_;
    std::unique_ptr<Archives> archives_;
    std::unique_ptr<WorkerActivator> activator_;
    ExecutorRuntimes runtimes_{catalog_};
    std::unique_ptr<ExecutorBuilder> builder_;
    std::unique_ptr<functions::SqliteStore> store_;
    std::unique_ptr<functions::FunctionService> functions_;
    Companions companions_;
    mutable FolderUse logUse_;
    WebPage page_;
    std::unique_ptr<api::ControlPool> control_;
    std::shared_ptr<api::FollowerLimits> followers_;
    bool running_ = false;  // the loops' threads are
    std::atomic<bool> failed_{false};
};

}  // namespace cf::app
