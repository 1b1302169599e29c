// Limits hold, and the end of a task is the end of everything it started.
#include <cppunit/extensions/HelperMacros.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "platform.hpp"
#include "sandbox/files.hpp"
#include "sandbox/idle_work.hpp"
#include "sandbox/process_tree.hpp"

namespace cf::sandbox::test {

class LimitsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LimitsTest);
    CPPUNIT_TEST(testMemoryHogIsKilledAndNamed);
    CPPUNIT_TEST(testTmpCountsAsMemory);
    CPPUNIT_TEST(testOutOfMemoryTakesTheWholeTree);
    CPPUNIT_TEST(testBuffersCountAsMemory);
    CPPUNIT_TEST(testBuffersOfTcpAreLimited);
    CPPUNIT_TEST(testPeakIsReadable);
    CPPUNIT_TEST(testProcessesAreLimited);
    CPPUNIT_TEST(testTmpIsLimited);
    CPPUNIT_TEST(testFilesAndDescriptorsAreLimited);
    CPPUNIT_TEST(testProcessorQuotaIsSet);
    CPPUNIT_TEST(testSharesAWeight);
    CPPUNIT_TEST(testProcessorTimeIsReadable);
    CPPUNIT_TEST(testGivesWayWhereNoGroupWeighsIt);
    CPPUNIT_TEST(testTakesNoCoreFromWhoWakesIt);
    CPPUNIT_TEST(testNoHandlerOfCoreDumpsIsStarted);
    CPPUNIT_TEST(testKillTakesTheWholeTree);
    CPPUNIT_TEST(testEndTakesWhatWasLeftBehind);
    CPPUNIT_TEST(testNothingIsLeft);
    CPPUNIT_TEST_SUITE_END();

    static Limits memory(uint64_t mebibytes) {
        Limits limits;
        limits.memoryBytes = mebibytes << 20;
        limits.tmpBytes = 256ull << 20;
        limits.fileBytes = 256ull << 20;
        return limits;
    }

    // A shell that doubles a string until something stops it.
    static constexpr const char* hog = "x=0123456789abcdef; while :; do x=$x$x; done";

    void testMemoryHogIsKilledAndNamed() {
        Platform platform;
        auto run = platform.runScript(hog, memory(48));
        CPPUNIT_ASSERT(run->ended.outOfMemory);
        CPPUNIT_ASSERT_EQUAL(SIGKILL, run->ended.signal);
        CPPUNIT_ASSERT(run->ended.memoryPeakBytes > 16u << 20);
        if (platform.hasLayer("memory_limit"))
            CPPUNIT_ASSERT(run->ended.memoryPeakBytes <= 48u << 20);
        auto next = platform.runScript("echo fine", memory(48));
        CPPUNIT_ASSERT_EQUAL(std::string("fine\n"), next->output);
        CPPUNIT_ASSERT(!next->ended.outOfMemory);
    }

    void testTmpCountsAsMemory() {
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        auto run = platform.runScript(
            "head -c 100000000 /dev/zero >/tmp/big; sleep 10; echo survived", memory(48));
        CPPUNIT_ASSERT(run->ended.outOfMemory);
        CPPUNIT_ASSERT_EQUAL(std::string(), run->output);
    }

    void testOutOfMemoryTakesTheWholeTree() {
        Platform platform;
        auto run = platform.runScript(std::string("sleep 1000 & (sleep 1000 &) ; sh -c '") + hog +
                                          "'; sleep 10; echo survived; sleep 1000",
                                      memory(48));
        CPPUNIT_ASSERT(run->ended.outOfMemory);
        CPPUNIT_ASSERT_EQUAL(std::string(), run->output);
    }

    // What waits in pipes and sockets is mapped by nobody.
    void testBuffersCountAsMemory() {
        Platform platform;
        for (const char* kind : {"hoard:pipes", "hoard:sockets"}) {
            WorkerSpec spec;
            spec.argv = {SANDBOX_PROBE, kind};
            spec.mounts = {{SANDBOX_PROBE, SANDBOX_PROBE}};
            spec.limits = memory(48);
            auto run = platform.startWorker(spec);
            platform.waitStarted(*run);
            platform.waitEnded(*run);
            CPPUNIT_ASSERT_MESSAGE(kind, run->ended.outOfMemory);
        }
        auto few = platform.runScript(
            "for i in 1 2 3 4 5 6 7 8; do sleep 0.3 | cat & done; wait; echo fine", memory(48));
        CPPUNIT_ASSERT_EQUAL(std::string("fine\n"), few->output);
    }

    // Version 1 of control groups does not count them as memory.
    void testBuffersOfTcpAreLimited() {
        Platform platform;
        if (platform.lacks("memory_limit")) return;
        WorkerSpec spec = shellWorker("read line <&3");
        spec.limits = memory(48);
        auto run = platform.startWorker(spec);
        platform.waitStarted(*run);
        for (const auto& folder : cgroupsOf(platform.options.instance)) {
            const std::string limit = readFile(folder + "/memory.kmem.tcp.limit_in_bytes");
            CPPUNIT_ASSERT_MESSAGE(limit, limit.empty() || limit == "50331648\n");
        }
    }

    void testPeakIsReadable() {
        Platform platform;
        if (platform.lacks("memory_limit")) return;
        auto run = platform.startWorker(
            shellWorker("x=$(head -c 8000000 /dev/zero | tr '\\0' x); echo ready; read line <&3"));
        platform.waitStarted(*run);
        CPPUNIT_ASSERT(run->worker.memoryPeak);
        pollfd ready{run->worker.output.get(), POLLIN, 0};
        CPPUNIT_ASSERT_EQUAL(1, ::poll(&ready, 1, 10'000));
        char text[32] = {};
        CPPUNIT_ASSERT(::pread(run->worker.memoryPeak.get(), text, sizeof text - 1, 0) > 0);
        CPPUNIT_ASSERT(std::stoull(text) > 8'000'000 && std::stoull(text) < 128u << 20);
        run->worker.socket.reset();
        platform.waitEnded(*run);
        CPPUNIT_ASSERT(run->ended.memoryPeakBytes > 8'000'000);
    }

    void testProcessesAreLimited() {
        Platform platform;
        if (platform.lacks("process_limit")) return;
        Limits limits;
        limits.processes = 10;
        auto run = platform.runScript(
            "i=0; while [ $i -lt 30 ]; do sleep 1000 & i=$((i+1)); done; echo started all", limits);
        CPPUNIT_ASSERT_EQUAL(std::string(), run->output);
        CPPUNIT_ASSERT(run->errors.find("fork") != std::string::npos);
        limits.processes = 40;
        run = platform.runScript(
            "i=0; while [ $i -lt 30 ]; do sleep 1000 & i=$((i+1)); done; echo started all", limits);
        CPPUNIT_ASSERT_EQUAL(std::string("started all\n"), run->output);
    }

    void testTmpIsLimited() {
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        Limits limits;
        limits.tmpBytes = 1 << 20;
        limits.tmpInodes = 32;
        auto run = platform.runScript(
            "head -c 2000000 /dev/zero >/tmp/big; rm /tmp/big; "
            "i=0; while [ $i -lt 64 ]; do : >/tmp/$i || break; i=$((i+1)); done; echo $((i < 32))",
            limits);
        CPPUNIT_ASSERT(run->errors.find("No space left") != std::string::npos);
        // dash leaves the loop by leaving altogether when a redirection of a special command fails.
        CPPUNIT_ASSERT(run->output == "1\n" || run->output.empty());
    }

    void testFilesAndDescriptorsAreLimited() {
        Platform platform;
        Limits limits;
        limits.openFiles = 16;
        limits.fileBytes = 65536;
        auto run = platform.runScript(
            "ulimit -n; ulimit -f; ulimit -c; big=${TMPDIR:-/tmp}/big; "
            "head -c 100000 /dev/zero >$big; ls -l $big | cut -d' ' -f5",
            limits);
        CPPUNIT_ASSERT_EQUAL(std::string("16\n128\n0\n65536\n"), run->output);
    }

    void testProcessorQuotaIsSet() {
        Platform platform;
        if (platform.lacks("cpu_limit")) return;
        Limits limits;
        limits.cpus = 0.5;
        WorkerSpec spec = shellWorker("read line <&3");
        spec.limits = limits;
        auto run = platform.startWorker(spec);
        platform.waitStarted(*run);
        std::string quota;
        for (const auto& folder : cgroupsOf(platform.options.instance)) {
            quota += readFile(folder + "/cpu.cfs_quota_us");
            quota += readFile(folder + "/cpu.max");
        }
        CPPUNIT_ASSERT(quota == "50000\n" || quota == "50000 100000\n");
    }

    // Two workers of one function weigh half as much each, and one that is alone again the whole.
    void testSharesAWeight() {
        Platform platform;
        if (platform.lacks("cpu_limit")) return;
        auto run = platform.startWorker(shellWorker("read line <&3"));
        platform.waitStarted(*run);
        const auto weighs = [&](uint32_t parts, const std::string& v1, const std::string& v2) {
            platform.share(run->task, parts);
            platform.share(4711, 7);  // nobody's
            return waitFor([&] {
                std::string now;
                for (const auto& folder : cgroupsOf(platform.options.instance))
                    now += readFile(folder + "/cpu.shares") + readFile(folder + "/cpu.weight");
                return now == v1 || now == v2;
            });
        };
        CPPUNIT_ASSERT(weighs(2, "512\n", "50\n"));
        CPPUNIT_ASSERT(weighs(UINT32_MAX, "2\n", "1\n"));
        CPPUNIT_ASSERT(weighs(1, "1024\n", "100\n"));
    }

    // That of all its processes, whoever counts it.
    void testProcessorTimeIsReadable() {
        Platform platform;
        auto run = platform.startWorker(
            shellWorker("(while :; do :; done) & (while :; do :; done) & read line <&3"));
        platform.waitStarted(*run);
        CPPUNIT_ASSERT(run->worker.processorTime);
        IdleWork work;
        work.watch(std::move(run->worker.processorTime));
        // With no share at all, whatever it does counts.
        CPPUNIT_ASSERT(waitFor([&] {
            work.isTooMuch({}, {});
            return work.used() > std::chrono::milliseconds(50);
        }));
        platform.kill(*run);
        platform.waitEnded(*run);
    }

    void testGivesWayWhereNoGroupWeighsIt() {
        Platform platform;
        if (platform.hasLayer("cpu_limit")) return;
        auto run = platform.runScript("cut -d' ' -f19 /proc/self/stat");
        const int own = ::getpriority(PRIO_PROCESS, 0);
        CPPUNIT_ASSERT_EQUAL(std::min(19, own + 10), std::stoi(run->output));
    }

    void testTakesNoCoreFromWhoWakesIt() {
        Platform platform;
        auto run = platform.runScript("cut -d' ' -f41 /proc/self/stat");  // its policy (proc(5))
        CPPUNIT_ASSERT_EQUAL(SCHED_BATCH, std::stoi(run->output));
    }

    void testNoHandlerOfCoreDumpsIsStarted() {
        Platform platform;
        auto run = platform.runScript("grep core /proc/self/limits | tr -s ' '");
        // With 0 Linux starts one (core(5)).
        CPPUNIT_ASSERT_EQUAL(std::string("Max core file size 1 1 bytes \n"), run->output);
    }

    void testKillTakesTheWholeTree() {
        Platform platform;
        auto run = platform.startWorker(
            shellWorker("trap '' TERM INT HUP; sleep 1000 & (setsid sh -c 'trap \"\" TERM; sleep "
                        "1000 & sleep 1000' &) ; sleep 0.1; echo up; while :; do sleep 1; done"));
        platform.waitStarted(*run);
        pollfd ready{run->worker.output.get(), POLLIN, 0};
        CPPUNIT_ASSERT_EQUAL(1, ::poll(&ready, 1, 10'000));
        const pid_t launcher = platform.launcher();
        // The launcher has a name server for sandboxes that reach out.
        std::set<pid_t> staying{launcher};
        for (const pid_t pid : descendantsOf(launcher)) staying.insert(pid);
        CPPUNIT_ASSERT(waitFor(
            [&] { return descendantsOf(platform.supervisor()).size() >= 5 + staying.size(); }));
        const auto tree = descendantsOf(platform.supervisor());
        platform.kill(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(SIGKILL, run->ended.signal);
        pollfd gone{run->worker.pidfd.get(), POLLIN, 0};
        CPPUNIT_ASSERT_EQUAL(1, ::poll(&gone, 1, 0));
        for (const pid_t pid : tree)
            if (!staying.contains(pid))
                CPPUNIT_ASSERT_MESSAGE(std::to_string(pid), waitFor([&] { return !isAlive(pid); }));
    }

    void testEndTakesWhatWasLeftBehind() {
        Platform platform;
        auto run = platform.runScript(
            "(setsid sleep 1000 &); (setsid sh -c 'sleep 1000 & sleep 1000' &); exit 3");
        CPPUNIT_ASSERT_EQUAL(3, run->ended.exitCode);
        CPPUNIT_ASSERT(waitFor([&] {
            return descendantsOf(platform.supervisor()).size() ==
                   1 + descendantsOf(platform.launcher()).size();
        }));
    }

    void testNothingIsLeft() {
        const std::string mountsBefore = readFile("/proc/self/mountinfo");
        std::string instance;
        {
            Platform platform;
            instance = platform.options.instance;
            for (int i = 0; i < 5; ++i) platform.runScript("sleep 1000 & touch /tmp/x");
            CPPUNIT_ASSERT(waitFor([&] { return cgroupsOf(instance).empty(); }));
            CPPUNIT_ASSERT(waitFor([&] { return childrenOf(platform.supervisor()).size() == 1; }));
        }
        for (const std::string& hierarchy : directoryNames("/sys/fs/cgroup"))
            CPPUNIT_ASSERT(!exists("/sys/fs/cgroup/" + hierarchy + "/cloudfunction-" + instance));
        CPPUNIT_ASSERT_EQUAL(mountsBefore, readFile("/proc/self/mountinfo"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LimitsTest);

}  // namespace cf::sandbox::test
