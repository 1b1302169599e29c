// The launcher's own life: layers, restart, the end of the kernel, the end of the supervisor.
#include <cppunit/extensions/HelperMacros.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "platform.hpp"
#include "sandbox/files.hpp"
#include "sandbox/process_tree.hpp"
#include "sandbox/syscalls.hpp"

namespace cf::sandbox::test {

class LauncherTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LauncherTest);
    CPPUNIT_TEST(testLayersAreReported);
    CPPUNIT_TEST(testStrictRefusesWhatIsMissing);
    CPPUNIT_TEST(testManyAtOnce);
    CPPUNIT_TEST(testUsersRunOutAndComeBack);
    CPPUNIT_TEST(testEndOfTheKernelEndsEverything);
    CPPUNIT_TEST(testWorkersSurviveTheLauncher);
    CPPUNIT_TEST(testEndDuringTheRestartIsHeard);
    CPPUNIT_TEST(testEndsDuringAdoptionAreHeard);
    CPPUNIT_TEST(testEndOfTheSupervisorEndsEverything);
    CPPUNIT_TEST(testEndOfTheSupervisorEndsWhatIsBeingSetUp);
    CPPUNIT_TEST(testStartSweepsWhatItsInstanceLeft);
    CPPUNIT_TEST_SUITE_END();

    static std::shared_ptr<Run> sleeper(Platform& platform) {
        auto run = platform.startWorker(
            shellWorker("(setsid sleep 1000 &); echo up; read line <&3; sleep 1000"));
        platform.waitStarted(*run);
        return run;
    }

    static void killLauncher(Platform& platform) {
        const pid_t launcher = platform.launcher();
        CPPUNIT_ASSERT(launcher > 0);
        ::kill(launcher, SIGKILL);
        CPPUNIT_ASSERT(
            waitFor([&] { return platform.launcher() > 0 && platform.launcher() != launcher; }));
    }

    void testLayersAreReported() {
        Platform platform;
        std::vector<Layer> layers;
        platform.onLoop([&](LauncherClient& client) { layers = client.layers(); });
        for (const char* name :
             {"pid_namespace", "mount_namespace", "network_namespace", "own_user", "memory_limit",
              "capabilities", "no_new_privileges", "seccomp", "landlock"}) {
            const auto found = std::find_if(layers.begin(), layers.end(),
                                            [&](const Layer& layer) { return layer.name == name; });
            CPPUNIT_ASSERT_MESSAGE(name, found != layers.end());
            CPPUNIT_ASSERT_MESSAGE(name, !found->detail.empty());
        }
        for (const Layer& layer : layers)
            std::fprintf(stderr, "  %-18s %-3s %s\n", layer.name.c_str(),
                         layer.active ? "yes" : "no", layer.detail.c_str());
        CPPUNIT_ASSERT(platform.hasLayer("seccomp"));
        CPPUNIT_ASSERT(platform.hasLayer("no_new_privileges"));
    }

    void testStrictRefusesWhatIsMissing() {
        std::vector<Layer> missing;
        {
            auto process = spawnLauncher(Platform::defaults());
            CPPUNIT_ASSERT(process);
            for (const Layer& layer : process->layers)
                if (!layer.active) missing.push_back(layer);
            process->control.reset();
            ::waitpid(process->pid, nullptr, 0);
        }
        LauncherOptions options = Platform::defaults();
        options.strict = true;
        auto process = spawnLauncher(options);
        CPPUNIT_ASSERT_EQUAL(missing.empty(), static_cast<bool>(process));
        if (process) {
            process->control.reset();
            ::waitpid(process->pid, nullptr, 0);
        } else {
            CPPUNIT_ASSERT_EQUAL(std::string("sandbox_unavailable"), process.failure().reason);
            for (const Layer& layer : missing)
                CPPUNIT_ASSERT_MESSAGE(layer.name, process.failure().detail.find(layer.name) !=
                                                       std::string::npos);
        }
        CPPUNIT_ASSERT(cgroupsOf(options.instance).empty());
    }

    void testManyAtOnce() {
        Platform platform;
        std::vector<std::shared_ptr<Run>> runs;
        for (int i = 0; i < 50; ++i)
            runs.push_back(platform.startWorker(shellWorker("read line <&3; exit 7")));
        for (auto& run : runs) platform.waitStarted(*run);
        for (size_t i = 0; i < runs.size(); ++i)
            if (i % 2 == 0)
                platform.kill(*runs[i]);
            else
                runs[i]->worker.socket.reset();
        for (size_t i = 0; i < runs.size(); ++i) {
            platform.waitEnded(*runs[i]);
            CPPUNIT_ASSERT_EQUAL(i % 2 == 0 ? SIGKILL : 0, runs[i]->ended.signal);
            CPPUNIT_ASSERT_EQUAL(i % 2 == 0 ? -1 : 7, runs[i]->ended.exitCode);
        }
        CPPUNIT_ASSERT(waitFor([&] { return cgroupsOf(platform.options.instance).empty(); }));
        CPPUNIT_ASSERT(waitFor([&] { return childrenOf(platform.supervisor()).size() == 1; }));
        // The launcher keeps nothing open for tasks that are gone, only spare networks.
        const auto open = directoryNames("/proc/" + std::to_string(platform.launcher()) + "/fd");
        CPPUNIT_ASSERT_MESSAGE(std::to_string(open.size()), open.size() < 32);
    }

    void testUsersRunOutAndComeBack() {
        LauncherOptions options = Platform::defaults();
        options.uidCount = 2;
        Platform platform(options);
        if (platform.lacks("own_user")) return;
        auto first = sleeper(platform);
        auto second = sleeper(platform);
        auto third = platform.startWorker(shellWorker("true"));
        platform.until([&] { return third->answered; }, "an answer");
        CPPUNIT_ASSERT(!third->started);
        CPPUNIT_ASSERT(third->failure.find("sandbox.uid_count") != std::string::npos);
        platform.kill(*first);
        platform.waitEnded(*first);
        CPPUNIT_ASSERT(waitFor([&] {
            auto next = platform.startWorker(shellWorker("true"));
            platform.until([&] { return next->answered; }, "an answer");
            return next->started;
        }));
    }

    void testEndOfTheKernelEndsEverything() {
        auto platform = std::make_unique<Platform>();
        for (int i = 0; i < 3; ++i) sleeper(*platform);
        // A sandbox is there before its program is.
        CPPUNIT_ASSERT(waitFor([&] { return descendantsOf(platform->supervisor()).size() >= 9; }));
        const auto tree = descendantsOf(platform->supervisor());
        platform->close();
        for (const pid_t pid : tree)
            CPPUNIT_ASSERT_MESSAGE(std::to_string(pid), waitFor([&] { return !isAlive(pid); }));
        CPPUNIT_ASSERT(cgroupsOf(platform->options.instance).empty());
    }

    void testWorkersSurviveTheLauncher() {
        TemporaryFolder artifact;
        Platform platform;
        bool lost = false;
        platform.onLoop([&](LauncherClient& client) { client.onLost([&] { lost = true; }); });
        auto survivor = sleeper(platform);
        auto victim = sleeper(platform);
        auto finisher = platform.startWorker(shellWorker("read line <&3; exit 5"));
        platform.waitStarted(*finisher);
        killLauncher(platform);
        platform.until([&] { return lost; }, "onLost");
        CPPUNIT_ASSERT(!survivor->hasEnded);
        // Starting, attaching, killing, and hearing of ends work as before, also for the tasks of
        // the old one.
        auto fresh = platform.runScript("id -u");
        CPPUNIT_ASSERT_EQUAL(0, fresh->ended.exitCode);
        CPPUNIT_ASSERT_EQUAL(std::string(), platform.attach(survivor->task, artifact.path.string()));
        platform.kill(*victim);
        platform.waitEnded(*victim);
        CPPUNIT_ASSERT_EQUAL(SIGKILL, victim->ended.signal);
        finisher->worker.socket.reset();
        platform.waitEnded(*finisher);
        CPPUNIT_ASSERT_EQUAL(5, finisher->ended.exitCode);
        killLauncher(platform);
        platform.kill(*survivor);
        platform.waitEnded(*survivor);
        CPPUNIT_ASSERT_EQUAL(SIGKILL, survivor->ended.signal);
        CPPUNIT_ASSERT(waitFor([&] { return cgroupsOf(platform.options.instance).empty(); }));
    }

    void testEndDuringTheRestartIsHeard() {
        Platform platform;
        auto run = platform.startWorker(shellWorker("read line <&3; exit 6"));
        platform.waitStarted(*run);
        auto pending = platform.startWorker(shellWorker("true"));
        ::kill(platform.launcher(), SIGKILL);
        run->worker.socket.reset();
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(6, run->ended.exitCode);
        // Either it had been answered before, or it fails; it does not hang.
        platform.until([&] { return pending->answered; }, "an answer");
        CPPUNIT_ASSERT(waitFor([&] { return childrenOf(platform.supervisor()).size() == 1; }));
    }

    // They end while the new launcher, which comes after a pause of 50 ms, is told of them: some
    // of them between two of its questions.
    void testEndsDuringAdoptionAreHeard() {
        Platform platform;
        for (const int pause : {46, 50, 54, 58, 62}) {
            std::vector<std::shared_ptr<Run>> runs;
            for (int i = 0; i < 12; ++i) runs.push_back(sleeper(platform));
            const std::jthread killer([&] {
                ::kill(platform.launcher(), SIGKILL);
                std::this_thread::sleep_for(std::chrono::milliseconds(pause));
                for (const auto& run : runs) {
                    sys::pidfdSendSignal(run->worker.pidfd.get(), SIGKILL);
                    std::this_thread::sleep_for(std::chrono::microseconds(300));
                }
            });
            for (const auto& run : runs) platform.waitEnded(*run);
        }
    }

    void testEndOfTheSupervisorEndsEverything() {
        Platform platform;
        bool lost = false;
        platform.onLoop([&](LauncherClient& client) { client.onLost([&] { lost = true; }); });
        auto run = sleeper(platform);
        const auto tree = descendantsOf(platform.supervisor());
        ::kill(platform.supervisor(), SIGKILL);
        platform.until([&] { return lost && run->hasEnded; }, "the loss");
        CPPUNIT_ASSERT(waitFor([&] { return cgroupsOf(platform.options.instance).empty(); }));
        for (const pid_t pid : tree)
            CPPUNIT_ASSERT_MESSAGE(
                std::to_string(pid),
                waitFor([&] { return !isAlive(pid) || parentOf(pid) == 1 || parentOf(pid) < 0; }));
        auto refused = platform.startWorker(shellWorker("true"));
        platform.until([&] { return refused->answered; }, "an answer");
        CPPUNIT_ASSERT(!refused->started);
    }

    // Both ends come while a sandbox has not asked yet to be told of them: it hands over a folder.
    void testEndOfTheSupervisorEndsWhatIsBeingSetUp() {
        TemporaryFolder folder;
        for (int i = 0; i < 3000; ++i) std::ofstream(folder.path / std::to_string(i)).flush();
        Platform platform;
        if (platform.lacks("own_user")) return;
        const pid_t launcher = platform.launcher();
        ToolSpec spec;
        spec.argv = {"/bin/sh", "-c", "echo >/build/alive; exec sleep 1000"};
        spec.directory = "/build";
        spec.mounts = {{folder.path.string(), "/build", MountKind::writable, false}};
        const auto sandboxNow = [&] {
            for (const pid_t child : childrenOf(platform.supervisor()))
                if (child != launcher) return child;
            return pid_t{-1};
        };
        pid_t sandbox = -1;
        bool inTime = false;
        for (int tries = 0; tries < 10 && !inTime; ++tries) {
            if (sandbox > 0) {  // it was set up before it could be stopped
                ::kill(sandbox, SIGKILL);
                CPPUNIT_ASSERT(waitFor([&] { return sandboxNow() < 0; }));
                std::filesystem::remove(folder.path / "alive");
            }
            auto run = platform.startTool(spec);
            CPPUNIT_ASSERT(waitFor([&] { return (sandbox = sandboxNow()) > 0; }));
            ::kill(sandbox, SIGSTOP);
            platform.onLoop([&](LauncherClient&) { inTime = !run->answered; });
            inTime = inTime && !exists((folder.path / "alive").string());
        }
        ::kill(launcher, SIGKILL);
        ::kill(platform.supervisor(), SIGKILL);
        const base::UniqueFd pidfd(sys::pidfdOpen(sandbox));
        ::kill(sandbox, SIGCONT);
        pollfd ended{pidfd.get(), POLLIN, 0};
        const bool isOver = ::poll(&ended, 1, 20'000) == 1;
        ::kill(sandbox, SIGKILL);
        CPPUNIT_ASSERT(isOver && inTime && !exists((folder.path / "alive").string()));
        platform.close();
        // Nobody was left to remove its groups; the next start of its instance does.
        const Platform again(platform.options);
        CPPUNIT_ASSERT(cgroupsOf(platform.options.instance).empty());
    }

    void testStartSweepsWhatItsInstanceLeft() {
        const LauncherOptions options = Platform::defaults();
        std::vector<std::string> left;
        {
            Platform probe(options);
            if (probe.lacks("memory_limit")) return;
            auto run = sleeper(probe);
            left = cgroupsOf(options.instance);
        }
        CPPUNIT_ASSERT(!left.empty());
        for (const auto& folder : left) std::filesystem::create_directories(folder);
        LauncherOptions other = Platform::defaults();
        {
            Platform neighbour(other);
            CPPUNIT_ASSERT_EQUAL(left.size(), cgroupsOf(options.instance).size());
        }
        Platform again(options);
        CPPUNIT_ASSERT(cgroupsOf(options.instance).empty());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LauncherTest);

}  // namespace cf::sandbox::test
