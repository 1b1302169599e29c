// Late code: an artifact appears in a worker that runs already, and cannot be changed from inside.
#include <cppunit/extensions/HelperMacros.h>
#include <unistd.h>

#include <fstream>

#include "platform.hpp"
#include "sandbox/files.hpp"

namespace cf::sandbox::test {

class AttachTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AttachTest);
    CPPUNIT_TEST(testAppearsReadOnly);
    CPPUNIT_TEST(testAppliesLimits);
    CPPUNIT_TEST(testRefusesWhatIsNoFolder);
    CPPUNIT_TEST(testRefusesUnknownWorkers);
    CPPUNIT_TEST(testLauncherStaysAtHome);
    CPPUNIT_TEST_SUITE_END();

    static void say(Run& run, const char* line) {
        CPPUNIT_ASSERT(
            ::write(run.worker.socket.get(), line, std::char_traits<char>::length(line)) > 0);
    }

    void testAppearsReadOnly() {
        TemporaryFolder artifact;
        std::ofstream(artifact.path / "main.txt") << "the code";
        std::filesystem::permissions(artifact.path, std::filesystem::perms(0777));
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        auto run = platform.startWorker(
            shellWorker("read line <&3; cat /function/main.txt; (echo x >/function/new) "
                        "2>/dev/null || echo read-only; "
                        "(echo x >/function/main.txt) 2>/dev/null || echo read-only"));
        platform.waitStarted(*run);
        CPPUNIT_ASSERT_EQUAL(std::string(), platform.attach(run->task, artifact.path.string()));
        say(*run, "go\n");
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(std::string("the coderead-only\nread-only\n"), run->output);
        CPPUNIT_ASSERT_EQUAL(std::string("the code"),
                             readFile((artifact.path / "main.txt").string()));
    }

    void testAppliesLimits() {
        TemporaryFolder artifact;
        Platform platform;
        if (platform.lacks("memory_limit") || platform.lacks("process_limit")) return;
        WorkerSpec spec = shellWorker(
            "read line <&3; x=0123456789abcdef; while [ ${#x} -lt 40000000 ]; do x=$x$x; done; echo survived");
        spec.limits.memoryBytes = 64ull << 20;
        for (const uint64_t mebibytes : {32, 512}) {
            auto run = platform.startWorker(spec);
            platform.waitStarted(*run);
            Limits limits;
            limits.memoryBytes = mebibytes << 20;
            limits.processes = 17;
            CPPUNIT_ASSERT_EQUAL(std::string(),
                                 platform.attach(run->task, artifact.path.string(), limits));
            std::string processes;
            for (const auto& folder : cgroupsOf(platform.options.instance))
                processes += readFile(folder + "/pids.max");
            CPPUNIT_ASSERT_EQUAL(std::string("18\n"), processes);
            say(*run, "go\n");
            platform.waitEnded(*run);
            CPPUNIT_ASSERT_EQUAL(std::string(mebibytes == 32 ? "" : "survived\n"), run->output);
            CPPUNIT_ASSERT_EQUAL(mebibytes == 32, run->ended.outOfMemory);
            CPPUNIT_ASSERT(waitFor([&] { return cgroupsOf(platform.options.instance).empty(); }));
        }
    }

    void testRefusesWhatIsNoFolder() {
        TemporaryFolder artifact;
        std::ofstream(artifact.path / "file") << "x";
        std::filesystem::create_directory_symlink("/root", artifact.path / "link");
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        auto run = platform.startWorker(shellWorker("read line <&3; ls -A /function | wc -l"));
        platform.waitStarted(*run);
        for (const std::string& path :
             {(artifact.path / "file").string(), (artifact.path / "link").string(),
              (artifact.path / "none").string(), std::string("/proc/1"), std::string("relative"),
              artifact.path.string() + "/../.."})
            CPPUNIT_ASSERT_MESSAGE(path, !platform.attach(run->task, path).empty());
        say(*run, "go\n");
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(std::string("0\n"), run->output);
    }

    void testRefusesUnknownWorkers() {
        Platform platform;
        CPPUNIT_ASSERT_EQUAL(std::string("There is no such worker."),
                             platform.attach(12345, "/usr"));
    }

    void testLauncherStaysAtHome() {
        TemporaryFolder artifact;
        Platform platform;
        const std::string before = std::filesystem::read_symlink(
            "/proc/" + std::to_string(platform.launcher()) + "/ns/mnt");
        auto run = platform.startWorker(shellWorker("read line <&3"));
        platform.waitStarted(*run);
        CPPUNIT_ASSERT_EQUAL(std::string(), platform.attach(run->task, artifact.path.string()));
        const std::string after = std::filesystem::read_symlink(
            "/proc/" + std::to_string(platform.launcher()) + "/ns/mnt");
        CPPUNIT_ASSERT_EQUAL(before, after);
        CPPUNIT_ASSERT_EQUAL(std::string("cf-launcher\n"),
                             readFile("/proc/" + std::to_string(platform.launcher()) + "/comm"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(AttachTest);

}  // namespace cf::sandbox::test
