// What a worker sees and is: nothing of the machine but /usr, four descriptors, a user of its own,
// no privilege.
#include <cppunit/extensions/HelperMacros.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "platform.hpp"
#include "sandbox/files.hpp"

namespace cf::sandbox::test {

class WorkerTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(WorkerTest);
    CPPUNIT_TEST(testSpeaksOverItsFourDescriptors);
    CPPUNIT_TEST(testEnvironmentIsTheGivenOne);
    CPPUNIT_TEST(testSeesNoFilesOfTheMachine);
    CPPUNIT_TEST(testCannotWriteOutsideOfTmp);
    CPPUNIT_TEST(testSeesOnlyItsOwnProcesses);
    CPPUNIT_TEST(testHasNoPrivilege);
    CPPUNIT_TEST(testEachHasItsOwnUser);
    CPPUNIT_TEST(testHasLoopbackAndNothingElse);
    CPPUNIT_TEST(testCannotReachItsPidOne);
    CPPUNIT_TEST(testDevicesAreThere);
    CPPUNIT_TEST(testEndsAreExact);
    CPPUNIT_TEST(testMissingProgramIsNamed);
    CPPUNIT_TEST(testMountsAppearReadOnly);
    CPPUNIT_TEST(testMissingMountIsNamed);
    CPPUNIT_TEST(testStubBecomesTheArtifact);
    CPPUNIT_TEST_SUITE_END();

    void testSpeaksOverItsFourDescriptors() {
        Platform platform;
        auto run = platform.startWorker(
            shellWorker("read line <&3; echo \"got $line\" >&3; ls /proc/self/fd | tr '\\n' ' '; "
                        "echo oops >&2; readlink /proc/self/fd/0; readlink /proc/$$/fd/0"));
        platform.waitStarted(*run);
        CPPUNIT_ASSERT_EQUAL(ssize_t{6}, ::write(run->worker.socket.get(), "hello\n", 6));
        platform.waitEnded(*run);
        char answer[64] = {};
        CPPUNIT_ASSERT(::read(run->worker.socket.get(), answer, sizeof answer - 1) > 0);
        CPPUNIT_ASSERT_EQUAL(std::string("got hello\n"), std::string(answer));
        // ls itself opens the directory as number 4.
        CPPUNIT_ASSERT_EQUAL(std::string("0 1 2 3 4 /dev/null\n/dev/null\n"), run->output);
        CPPUNIT_ASSERT_EQUAL(std::string("oops\n"), run->errors);
        CPPUNIT_ASSERT_EQUAL(0, run->ended.exitCode);
    }

    void testEnvironmentIsTheGivenOne() {
        Platform platform;
        WorkerSpec spec;
        spec.argv = {"/usr/bin/env"};
        spec.environment = {{"ONE", "1"}, {"TWO", "a=b c"}};
        auto run = platform.startWorker(spec);
        platform.waitEnded(*run);
        // Where /tmp is elsewhere, the one addition says so.
        const std::string tmpdir = platform.hasLayer("mount_namespace")
                                       ? std::string()
                                       : "TMPDIR=" + platform.options.taskFolders + "/" +
                                             std::to_string(run->task) + "/tmp\n";
        CPPUNIT_ASSERT_EQUAL("ONE=1\nTWO=a=b c\n" + tmpdir, run->output);
    }

    void testSeesNoFilesOfTheMachine() {
        TemporaryFolder secret;
        std::ofstream(secret.path / "data.db") << "secret";
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        auto run = platform.runScript(
            "ls /; ls -A /root /home /work /var /sys /run '" + secret.path.string() +
            "' 2>/dev/null; ls -A /tmp; ls -A /function; cat /etc/shadow; ls /proc/1/root/");
        std::set<std::string> seen;
        for (const auto& line : lines(run->output)) seen.insert(line);
        const std::set<std::string> allowed = {"bin",  "dev",   "etc",   "function", "layers",
                                               "lib",  "lib32", "lib64", "libx32",
                                               "proc", "sbin",  "tmp",   "usr"};
        for (const auto& name : seen) CPPUNIT_ASSERT_MESSAGE(name, allowed.contains(name));
        CPPUNIT_ASSERT(seen.contains("function") && seen.contains("usr"));
        CPPUNIT_ASSERT(run->errors.find("/etc/shadow: No such file") != std::string::npos);
        CPPUNIT_ASSERT(run->errors.find("/proc/1/root/': Permission denied") != std::string::npos);
    }

    void testCannotWriteOutsideOfTmp() {
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        auto run = platform.runScript(
            "for d in / /usr /usr/lib /etc /function /dev /proc/sys/kernel; do touch $d/x "
            "2>/dev/null && echo \"wrote $d\"; done; "
            "touch /tmp/x /dev/shm/x && echo tmp; mount -t tmpfs none /tmp 2>/dev/null && echo "
            "mounted; "
            "echo 1 2>/dev/null >/proc/sys/kernel/hostname && echo named; hostname");
        CPPUNIT_ASSERT_EQUAL(std::string("tmp\nfunction\n"), run->output);
    }

    void testSeesOnlyItsOwnProcesses() {
        Platform platform;
        if (platform.lacks("pid_namespace")) return;
        auto run = platform.runScript("ls /proc | grep -c '^[0-9]'; echo $$");
        // Its pid 1, itself, ls and grep at most.
        CPPUNIT_ASSERT(std::stoi(run->output) <= 4);
        CPPUNIT_ASSERT(run->output.ends_with("\n2\n"));
    }

    void testHasNoPrivilege() {
        Platform platform;
        auto run =
            platform.runScript(std::string("cat /proc/self/status; ") +
                               (platform.hasLayer("pid_namespace") ? "cat /proc/1/status; " : "") +
                               "umask; ulimit -c");
        int capabilitySets = 0;
        for (const auto& line : lines(run->output)) {
            if (!line.starts_with("Cap")) continue;
            ++capabilitySets;
            if (platform.hasLayer("capabilities"))
                CPPUNIT_ASSERT_MESSAGE(
                    line, line.find_first_not_of('0', line.find('\t') + 1) == std::string::npos);
        }
        CPPUNIT_ASSERT_EQUAL(platform.hasLayer("pid_namespace") ? 10 : 5, capabilitySets);
        CPPUNIT_ASSERT(run->output.find("NoNewPrivs:\t1") != std::string::npos);
        CPPUNIT_ASSERT(run->output.find("Groups:\t \n") != std::string::npos ||
                       !platform.hasLayer("own_user"));
        CPPUNIT_ASSERT(run->output.ends_with("0077\n0\n"));
    }

    void testEachHasItsOwnUser() {
        Platform platform;
        if (platform.lacks("own_user")) return;
        std::set<std::string> users;
        std::vector<std::shared_ptr<Run>> runs;
        for (int i = 0; i < 5; ++i) {
            runs.push_back(platform.startWorker(shellWorker("id -u; id -g; id -G; read line <&3")));
            platform.waitStarted(*runs.back());
        }
        for (auto& run : runs) run->worker.socket.reset();
        for (auto& run : runs) {
            platform.waitEnded(*run);
            users.insert(run->output);
            const int uid = std::stoi(run->output);
            CPPUNIT_ASSERT(uid >= 230000 && uid < 230064);
            const std::string text = std::to_string(uid);
            CPPUNIT_ASSERT_EQUAL(text + "\n" + text + "\n" + text + "\n", run->output);
        }
        CPPUNIT_ASSERT_EQUAL(size_t{5}, users.size());
    }

    void testHasLoopbackAndNothingElse() {
        Platform platform;
        if (platform.lacks("network_namespace")) return;
        auto run = platform.runScript(
            "tail -n +3 /proc/net/dev | cut -d: -f1; cat /etc/resolv.conf; cat "
            "/sys/class/net/lo/flags 2>/dev/null");
        CPPUNIT_ASSERT_EQUAL(std::string("    lo\n"), run->output);
    }

    void testCannotReachItsPidOne() {
        Platform platform;
        if (platform.lacks("pid_namespace")) return;
        auto run = platform.runScript(
            "kill -9 1; kill -TERM 1; kill -STOP 1; cat /proc/1/environ 2>/dev/null || echo "
            "denied; (echo x >/proc/1/fd/0) 2>/dev/null || echo denied; readlink /proc/1/exe || "
            "echo denied; echo alive");
        CPPUNIT_ASSERT_EQUAL(std::string("denied\ndenied\ndenied\nalive\n"), run->output);
    }

    void testDevicesAreThere() {
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        auto run = platform.runScript(
            "echo x >/dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo "
            "again >/dev/stdout; ls /dev | tr '\\n' ' '");
        CPPUNIT_ASSERT_EQUAL(
            std::string("4\n4\nagain\nfd full null random shm stderr stdin stdout urandom zero "),
            run->output);
    }

    void testEndsAreExact() {
        Platform platform;
        auto code = platform.runScript("exit 137");
        CPPUNIT_ASSERT_EQUAL(137, code->ended.exitCode);
        CPPUNIT_ASSERT_EQUAL(0, code->ended.signal);
        auto signal = platform.runScript("kill -SEGV $$");
        CPPUNIT_ASSERT_EQUAL(-1, signal->ended.exitCode);
        CPPUNIT_ASSERT_EQUAL(11, signal->ended.signal);
        CPPUNIT_ASSERT(!signal->ended.outOfMemory);
    }

    void testMissingProgramIsNamed() {
        Platform platform;
        WorkerSpec spec;
        spec.argv = {"/usr/bin/no-such-program"};
        auto run = platform.startWorker(spec);
        platform.until([&] { return run->answered; }, "an answer");
        CPPUNIT_ASSERT(!run->started);
        CPPUNIT_ASSERT(
            run->failure.find("/usr/bin/no-such-program could not be started: No such file") !=
            std::string::npos);
        CPPUNIT_ASSERT(waitFor([&] { return cgroupsOf(platform.options.instance).empty(); }));
    }

    void testMountsAppearReadOnly() {
        TemporaryFolder folder;
        std::filesystem::create_directories(folder.path / "a");
        std::ofstream(folder.path / "a" / "file") << "content";
        std::ofstream(folder.path / "single") << "one file";
        std::filesystem::permissions(folder.path / "a", std::filesystem::perms(0777));
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        WorkerSpec spec = shellWorker(
            "cat /opt/deep/er/file /etc/single; touch /opt/deep/er/new 2>/dev/null || echo "
            "read-only");
        spec.mounts = {
            {(folder.path / "a").string(), "/opt/deep/er", MountKind::readOnly, false},
            {(folder.path / "single").string(), "/etc/single", MountKind::readOnly, false},
            {"/no/such/thing", "/opt/none", MountKind::readOnly, true}};
        auto run = platform.startWorker(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(std::string("contentone fileread-only\n"), run->output);
    }

    void testMissingMountIsNamed() {
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        WorkerSpec spec = shellWorker("true");
        spec.mounts = {{"/no/such/thing", "/opt/none", MountKind::readOnly, false}};
        auto run = platform.startWorker(spec);
        platform.until([&] { return run->answered; }, "an answer");
        CPPUNIT_ASSERT(!run->started);
        CPPUNIT_ASSERT(run->failure.find("/no/such/thing") != std::string::npos);
    }

    void testStubBecomesTheArtifact() {
        TemporaryFolder artifact;
        std::filesystem::copy_file("/bin/sh", artifact.path / "program");
        std::filesystem::permissions(artifact.path / "program", std::filesystem::perms(0555));
        Platform platform;
        WorkerSpec spec;
        spec.argv = {"program", "-c", "echo $GIVEN $SET; head -c 16 <&3 | od -An -tx1"};
        spec.environment = {{"GIVEN", "1"}, {"PATH", "/usr/bin"}};
        spec.execStub = true;
        auto run = platform.startWorker(spec);
        platform.waitStarted(*run);
        unsigned char hello[64] = {};
        CPPUNIT_ASSERT(waitFor([&] {
            return ::recv(run->worker.socket.get(), hello, sizeof hello, MSG_DONTWAIT) > 16;
        }));
        CPPUNIT_ASSERT_EQUAL(1, static_cast<int>(hello[4]));
        CPPUNIT_ASSERT_EQUAL(std::string(), platform.attach(run->task, artifact.path.string()));
        std::string path;
        platform.onLoop(
            [&](LauncherClient& client) { path = client.artifactPath(run->task); });
        const auto item = [](unsigned char tag, const std::string& value) {
            return std::string{static_cast<char>(tag),          0, 0, 0,
                               static_cast<char>(value.size()), 0, 0, 0} +
                   value;
        };
        const std::string items = item(4, path) + item(5, "handler") + item(6, "SET=two words");
        std::string load{
            static_cast<char>(items.size()), 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
        load += items;
        // In two pieces: the stub waits for the whole frame.
        CPPUNIT_ASSERT_EQUAL(ssize_t{20}, ::write(run->worker.socket.get(), load.data(), 20));
        ::usleep(20'000);
        CPPUNIT_ASSERT(::write(run->worker.socket.get(), load.data() + 20, load.size() - 20) > 0);
        platform.waitEnded(*run);
        char expected[32];
        std::snprintf(expected, sizeof expected, " %02x 00 00 00 02",
                      static_cast<unsigned>(items.size()));
        CPPUNIT_ASSERT_EQUAL(std::string(), run->errors);
        CPPUNIT_ASSERT_MESSAGE(run->output,
                               run->output.starts_with("1 two words\n" + std::string(expected)));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(WorkerTest);

}  // namespace cf::sandbox::test
