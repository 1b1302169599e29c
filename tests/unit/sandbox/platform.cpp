#include "platform.hpp"

#include <cppunit/TestAssert.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <future>
#include <optional>

#include "sandbox/files.hpp"
#include "sandbox/process_tree.hpp"

namespace cf::sandbox::test {

using namespace std::chrono_literals;

namespace {

// An emulated machine needs more.
std::chrono::seconds patience() {
    const char* const seconds = std::getenv("CLOUDFUNCTION_TEST_PATIENCE");
    return seconds != nullptr ? std::chrono::seconds(std::atoi(seconds)) : 20s;
}

}  // namespace

bool isRoot() { return ::geteuid() == 0; }

TemporaryFolder::TemporaryFolder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "cloudfunction-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) CPPUNIT_FAIL("mkdtemp failed");
    path = name;
    std::filesystem::permissions(path, std::filesystem::perms(0755));
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
}

LauncherOptions Platform::defaults() {
    static int count = 0;
    LauncherOptions options;
    options.instance = "test" + std::to_string(::getpid()) + "n" + std::to_string(++count);
    options.uidBase = isRoot() ? 230000 : 0;
    options.uidCount = 64;
    options.kernelUid = ::geteuid();
    options.kernelGid = ::getegid();
    options.execStub = CLOUDFUNCTION_STUB;
    options.taskFolders =
        std::filesystem::temp_directory_path() / ("cloudfunction-" + options.instance);
    return options;
}

Platform::Platform(const LauncherOptions& given) : options(given) {
    auto process = spawnLauncher(options);
    if (!process) CPPUNIT_FAIL(process.failure().detail);
    pid_ = process->pid;
    layers_ = process->layers;
    client_ = std::make_unique<LauncherClient>(loop_, std::move(*process));
    thread_ = std::thread([this] { loop_.run(); });
}

Platform::~Platform() { close(); }

void Platform::close() {
    if (pid_ < 0) return;
    onLoop([this](LauncherClient&) { client_.reset(); });
    loop_.stop();
    thread_.join();
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

void Platform::onLoop(const std::function<void(LauncherClient&)>& task) {
    std::promise<void> done;
    loop_.post([&] {
        task(*client_);
        done.set_value();
    });
    done.get_future().wait();
}

pid_t Platform::launcher() const {
    pid_t found = -1;
    // The layers are told before the launcher is forked.
    waitFor([&] { return (found = findLauncher()) > 0; });
    return found;
}

pid_t Platform::findLauncher() const {
    for (const pid_t child : childrenOf(pid_)) {
        const std::string stat = readFile("/proc/" + std::to_string(child) + "/stat");
        if (stat.find("(cf-launcher) S") == std::string::npos &&
            stat.find("(cf-launcher) R") == std::string::npos)
            continue;
        // Process 1 of a sandbox is a copy of the launcher and has its name.
        if (readFile("/proc/" + std::to_string(child) + "/status").find("NoNewPrivs:\t0") !=
            std::string::npos)
            return child;
    }
    return -1;
}

bool Platform::hasLayer(const std::string& name) const {
    for (const Layer& layer : layers_)
        if (layer.name == name) return layer.active;
    return false;
}

bool Platform::lacks(const std::string& name) const {
    if (hasLayer(name)) return false;
    std::fprintf(stderr, "  skipped: this tier has no %s\n", name.c_str());
    return true;
}

void Platform::until(const std::function<bool()>& done, const char* what) {
    const auto deadline = std::chrono::steady_clock::now() + patience();
    for (;;) {
        bool ready = false;
        onLoop([&](LauncherClient&) { ready = done(); });
        if (ready) return;
        if (std::chrono::steady_clock::now() > deadline)
            CPPUNIT_FAIL(std::string("waited in vain for ") + what);
        std::this_thread::sleep_for(2ms);
    }
}

namespace {

// Takes what is there; pipes of tools block, so they are asked only when something is there.
void drain(int fd, std::string& into) {
    if (fd < 0) return;
    const int flags = ::fcntl(fd, F_GETFL);
    ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    char buffer[4096];
    for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0;)
        into.append(buffer, static_cast<size_t>(got));
}

void drain(Run& run) {
    drain(run.worker.output.get(), run.output);
    drain(run.worker.errors.get(), run.errors);
    drain(run.tool.output.get(), run.output);
    drain(run.tool.errors.get(), run.errors);
}

LauncherClient::EndedCallback noteEnd(const std::shared_ptr<Run>& run) {
    return [run](const Ended& ended) {
        run->ended = ended;
        run->hasEnded = true;
    };
}

LauncherClient::ToolCallback noteTool(const std::shared_ptr<Run>& run) {
    return [run](base::Result<LauncherClient::Tool> result) {
        run->answered = true;
        run->started = static_cast<bool>(result);
        if (!result) {
            run->failure = result.failure().detail;
            return;
        }
        run->tool = std::move(*result);
        run->task = run->tool.task;
    };
}

}  // namespace

std::shared_ptr<Run> Platform::startWorker(const WorkerSpec& spec) {
    auto run = std::make_shared<Run>();
    onLoop([&](LauncherClient& client) {
        client.startWorker(
            spec,
            [run](base::Result<LauncherClient::Worker> result) {
                run->answered = true;
                run->started = static_cast<bool>(result);
                if (!result) {
                    run->failure = result.failure().detail;
                    return;
                }
                run->worker = std::move(*result);
                run->task = run->worker.task;
            },
            noteEnd(run));
    });
    return run;
}

std::shared_ptr<Run> Platform::startTool(const ToolSpec& spec) {
    auto run = std::make_shared<Run>();
    onLoop([&](LauncherClient& client) { client.startTool(spec, noteTool(run), noteEnd(run)); });
    return run;
}

std::shared_ptr<Run> Platform::startProbe(const std::vector<std::string>& argv,
                                          std::chrono::milliseconds timeout) {
    auto run = std::make_shared<Run>();
    onLoop([&](LauncherClient& client) {
        client.startProbe(argv, timeout, noteTool(run), noteEnd(run));
    });
    return run;
}

std::shared_ptr<Run> Platform::runScript(const std::string& script, const Limits& limits) {
    WorkerSpec spec = shellWorker(script);
    spec.limits = limits;
    auto run = startWorker(spec);
    waitStarted(*run);
    waitEnded(*run);
    return run;
}

void Platform::waitStarted(Run& run) {
    until([&] { return run.answered; }, "an answer to a start");
    if (!run.started) CPPUNIT_FAIL(run.failure);
}

void Platform::waitEnded(Run& run) {
    until(
        [&] {
            drain(run);
            return run.hasEnded;
        },
        "the end of a task");
    drain(run);
}

void Platform::kill(Run& run) {
    onLoop([&](LauncherClient& client) { client.kill(run.task); });
}

std::string Platform::attach(TaskId worker, const std::string& artifact, const Limits& limits) {
    return attach(worker, Attachment{.artifactDir = artifact, .limits = limits});
}

std::string Platform::attach(TaskId worker, const Attachment& attachment) {
    auto answer = std::make_shared<std::optional<std::string>>();
    onLoop([&](LauncherClient& client) {
        client.attach(worker, attachment, [answer](base::Result<void> result) {
            *answer = result ? std::string() : result.failure().detail;
        });
    });
    until([&] { return answer->has_value(); }, "an answer to attach");
    return **answer;
}

void Platform::share(TaskId worker, uint32_t parts) {
    onLoop([&](LauncherClient& client) { client.share(worker, parts); });
}

WorkerSpec shellWorker(const std::string& script) {
    WorkerSpec spec;
    spec.argv = {"/bin/sh", "-c", script};
    spec.environment = {{"PATH", "/usr/bin:/bin"}};
    return spec;
}

bool waitFor(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + patience();
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(2ms);
    }
    return true;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::vector<std::string> cgroupsOf(const std::string& instance) {
    std::vector<std::string> found;
    // One tree of version 2, or a folder for each hierarchy of version 1.
    std::vector<std::string> trees{"/sys/fs/cgroup"};
    for (const std::string& name : directoryNames("/sys/fs/cgroup"))
        trees.push_back("/sys/fs/cgroup/" + name);
    for (const std::string& tree : trees) {
        const std::string parent = tree + "/cloudfunction-" + instance;
        if (!exists(parent)) continue;
        for (const std::string& name : directoryNames(parent))
            if (std::filesystem::is_directory(parent + "/" + name))
                found.push_back(parent + "/" + name);
    }
    return found;
}

bool isAlive(pid_t pid) { return ::kill(pid, 0) == 0; }

}  // namespace cf::sandbox::test
