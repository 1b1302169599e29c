#include "app/serve.hpp"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/access_token.hpp"
#include "app/data_directory.hpp"
#include "app/descriptors.hpp"
#include "app/network_flows.hpp"
#include "app/platform.hpp"
#include "app/privileges.hpp"
#include "app/settings.hpp"
#include "app/stop_signals.hpp"
#include "base/log.hpp"

#ifndef CLOUDFUNCTION_VERSION
#error "the build defines CLOUDFUNCTION_VERSION"
#endif

namespace cf::app {

using namespace std::chrono_literals;

const char* const platformVersion = CLOUDFUNCTION_VERSION;

namespace {

constexpr auto tidyInterval = 5min;
constexpr auto drainPatience = 30s;
constexpr auto launcherPatience = 5s;

int complain(const std::string& sentence) {
    std::fprintf(stderr, "cloudfunction: %s\n", sentence.c_str());
    return 1;
}

int complain(const base::Failure& failure) {
    return complain(failure.detail + (failure.hint.empty() ? "" : "; " + failure.hint));
}

Places findPlaces(const Settings& settings) {
    Places places;
    places.binary = std::filesystem::read_symlink("/proc/self/exe");
    const auto bin = std::filesystem::path(places.binary).parent_path();
    const auto first = [](std::initializer_list<std::filesystem::path> candidates) {
        for (const auto& candidate : candidates)
            if (std::filesystem::exists(candidate)) return std::filesystem::weakly_canonical(candidate).string();
        return std::filesystem::weakly_canonical(*candidates.begin()).string();
    };
    places.launcher = first({bin / "cloudfunction-launcher", bin / "../libexec/cloudfunction/cloudfunction-launcher"});
    places.stub = first({bin / "cloudfunction-stub", bin / "../libexec/cloudfunction/cloudfunction-stub"});
    places.executors = settings.executorsDir.empty() ? first({bin / "../executors", bin / "../lib/cloudfunction/executors"}) : settings.executorsDir;
    places.web = first({bin / "../web", bin / "../share/cloudfunction/web"});
    std::ifstream openapi(first({bin / "../http-api.yaml", bin / "../share/cloudfunction/http-api.yaml"}));
    std::ostringstream text;
    text << openapi.rdbuf();
    places.openapi = text.str();
    return places;
}

base::LogLevel levelOf(const std::string& name) {
    return name == "debug" ? base::LogLevel::debug : name == "warning" ? base::LogLevel::warning : name == "error" ? base::LogLevel::error : base::LogLevel::info;
}

// The usual soft limit of 1024 would be met long before the platform's own.
void fitDescriptors(Settings& settings) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const rlim_t wanted = descriptorsWanted(settings);
    if (limit.rlim_cur >= wanted) return;
    // Root may raise the hard limit, unless it is root of a container.
    if (const rlimit all{wanted, std::max(limit.rlim_max, wanted)}; ::setrlimit(RLIMIT_NOFILE, &all) == 0) return;
    limit.rlim_cur = std::min(limit.rlim_max, wanted);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted) return;
    settings.maxConnections = connectionsWithin(settings, limit.rlim_cur);
    base::logWarning("app", "the limit on open files (" + std::to_string(limit.rlim_cur) + ") is too low for server.max_connections and workers.max; " +
                                std::to_string(settings.maxConnections) + " connections are taken at most");
}

void waitForLauncher(pid_t launcher) {
    const auto until = std::chrono::steady_clock::now() + launcherPatience;
    while (::waitpid(launcher, nullptr, WNOHANG) == 0 && std::chrono::steady_clock::now() < until) ::usleep(2000);
}

}  // namespace

int serve(const std::string& propertiesFile, const sigset_t& signals) {
    auto read = readSettings(propertiesFile);
    if (!read.errors.empty()) {
        for (const auto& error : read.errors) complain(error);
        return 2;
    }
    Settings settings = std::move(read.settings);
    base::setLogLevel(levelOf(settings.logLevel));
    const Places places = findPlaces(settings);

    fitDescriptors(settings);
    // Large blocks go back to Linux when they are freed: by itself glibc stops to do so once it has seen a few (mallopt(3)),
    // and after some saves of many megabytes the process keeps hundreds.
    ::mallopt(M_MMAP_THRESHOLD, 1 << 20);

    auto data = DataDirectory::open(settings.dataDir);
    if (!data) return complain(data.failure());
    Platform platform(settings, places, *data);
    const auto urls = platform.listen();
    if (!urls) return complain(urls.failure());

    const KernelUser user = findKernelUser();
    sandbox::LauncherOptions options;
    options.instance = data->instance();
    options.uidBase = ::geteuid() == 0 ? settings.uidBase : 0;
    options.uidCount = settings.uidCount;
    options.kernelUid = user.uid;
    options.kernelGid = user.gid;
    options.strict = settings.strict;
    options.launcher = places.launcher;
    options.execStub = places.stub;
    const std::string dataDir = std::filesystem::absolute(settings.dataDir).lexically_normal();
    options.taskFolders = dataDir + "/sandboxes";
    options.privateFolder = dataDir + "/.cloudfunction";
    options.network = {settings.networkRange, settings.networkAllow, settings.networkDeny, flowsOfSandbox(settings), settings.networkUnprivileged == "host"};
    // Before the launcher makes folders of root's in it.
    if (auto given = handOver(settings.dataDir, user); !given) return complain(given.failure());
    auto launcher = sandbox::spawnLauncher(options);
    if (!launcher) return complain(launcher.failure());
    const pid_t launcherPid = launcher->pid;

    if (auto became = becomeKernelUser(user, {settings.dataDir, places.executors}); !became) return complain(became.failure());
    const auto token = prepareAccessToken(settings, launcher->layers, *data);
    if (!token) return complain(token.failure());

    const StopSignals signs(signals);
    if (auto started = platform.start(std::move(*launcher), {user.layer}, *token, [&] { return signs.asked(); }); !started) {
        platform.stop(0s);
        if (started.failure().reason == "draining") {
            waitForLauncher(launcherPid);
            base::logInfo("app", "stopped during the start");
            return platform.hasFailed() ? 1 : 0;
        }
        if (started.failure().reason != "invalid_properties") return complain(started.failure());
        for (const auto& field : started.failure().fields) complain(field.detail);
        return 2;
    }
    std::fputs(platform.describe(*urls).c_str(), stdout);
    if (!token->generated.empty())
        std::printf("  token      %s\n             callers need it: Authorization: Bearer %s\n             it is not shown again\n",
                    token->generated.c_str(), token->generated.c_str());
    std::fflush(stdout);

    while (!signs.waitFor(tidyInterval)) platform.tidy();
    base::logInfo("app", "stopping: running invocations may finish; another signal ends them at once");
    platform.stop(drainPatience);
    waitForLauncher(launcherPid);
    base::logInfo("app", "stopped");
    return platform.hasFailed() ? 1 : 0;
}

}  // namespace cf::app
