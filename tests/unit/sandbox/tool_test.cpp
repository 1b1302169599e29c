// Build tools: their own user, folders they may write to and give back, caches that forget, and
// probes.
#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <optional>

#include "platform.hpp"
#include "sandbox/files.hpp"
#include "sandbox/task_folder.hpp"

namespace cf::sandbox::test {

class ToolTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ToolTest);
    CPPUNIT_TEST(testRunsInItsDirectoryWithInput);
    CPPUNIT_TEST(testWrittenFilesComeBack);
    CPPUNIT_TEST(testKilledToolGivesFilesBack);
    CPPUNIT_TEST(testRoomOnTheDiskIsLimited);
    CPPUNIT_TEST(testFilesWithoutANameTakeRoom);
    CPPUNIT_TEST(testKernelNeedsNoRoot);
    CPPUNIT_TEST(testInterruptedToolIsReclaimed);
    CPPUNIT_TEST(testOthersFoldersStayTheirs);
    CPPUNIT_TEST(testLinksAreNotFollowed);
    CPPUNIT_TEST(testOverlayForgets);
    CPPUNIT_TEST(testWithoutMountsPathsAreTheMachines);
    CPPUNIT_TEST(testReplacedFoldersLeadNowhere);
    CPPUNIT_TEST(testHasNoNetwork);
    CPPUNIT_TEST(testNeverGetsTheMachinesNetworkInstead);
    CPPUNIT_TEST(testProbeSeesTheMachine);
    CPPUNIT_TEST(testProbeIsKilledAsATree);
    CPPUNIT_TEST_SUITE_END();

    static ToolSpec shellTool(const std::string& script) {
        ToolSpec spec;
        spec.argv = {"/bin/sh", "-c", script};
        spec.environment = {{"PATH", "/usr/bin:/bin"}};
        return spec;
    }

    static struct stat statusOf(const std::filesystem::path& path) {
        struct stat status {};
        CPPUNIT_ASSERT_MESSAGE(path.string(), ::lstat(path.c_str(), &status) == 0);
        return status;
    }

    void testRunsInItsDirectoryWithInput() {
        TemporaryFolder folder;
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        ToolSpec spec = shellTool("pwd; cat; exit 9");
        spec.mounts = {{folder.path.string(), "/build", MountKind::writable, false}};
        spec.directory = "/build";
        auto run = platform.startTool(spec);
        platform.waitStarted(*run);
        CPPUNIT_ASSERT_EQUAL(ssize_t{6}, ::write(run->tool.input.get(), "input\n", 6));
        run->tool.input.reset();
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(std::string("/build\ninput\n"), run->output);
        CPPUNIT_ASSERT_EQUAL(9, run->ended.exitCode);
    }

    void testWrittenFilesComeBack() {
        TemporaryFolder folder;
        std::filesystem::create_directories(folder.path / "given");
        std::ofstream(folder.path / "given" / "file") << "old";
        Platform platform;
        ToolSpec spec = shellTool(
            "id -u; mkdir -p a/b; echo new >a/b/c; echo changed >given/file; ln -s "
            "/etc/passwd link; "
            "chmod 000 a/b/c; mkfifo pipe; cp /bin/true setuid; chmod 6755 setuid");
        spec.mounts = {{folder.path.string(), "/build", MountKind::writable, false}};
        spec.directory = "/build";
        auto run = platform.startTool(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(std::string(), run->errors);
        CPPUNIT_ASSERT_EQUAL(0, run->ended.exitCode);
        if (platform.hasLayer("own_user")) CPPUNIT_ASSERT(std::stoi(run->output) >= 230000);
        for (const char* name : {"a", "a/b", "a/b/c", "given/file", "link", "pipe", "setuid"}) {
            CPPUNIT_ASSERT_EQUAL(platform.options.kernelUid, statusOf(folder.path / name).st_uid);
            CPPUNIT_ASSERT_EQUAL(platform.options.kernelGid, statusOf(folder.path / name).st_gid);
        }
        if (platform.hasLayer("own_user"))
            CPPUNIT_ASSERT_EQUAL(0u,
                                 statusOf(folder.path / "setuid").st_mode & (S_ISUID | S_ISGID));
        // Workers, which are other users, can read it.
        CPPUNIT_ASSERT_EQUAL(0755u, statusOf(folder.path / "a").st_mode & 0777);
        CPPUNIT_ASSERT_EQUAL(std::string("changed\n"),
                             readFile((folder.path / "given/file").string()));
        CPPUNIT_ASSERT_EQUAL(uid_t{0}, statusOf("/etc/passwd").st_uid);
    }

    void testKilledToolGivesFilesBack() {
        TemporaryFolder folder;
        Platform platform;
        ToolSpec spec = shellTool("mkdir a; echo x >a/b; echo ready; sleep 1000");
        spec.directory = "/build";
        spec.mounts = {{folder.path.string(), "/build", MountKind::writable, false}};
        auto run = platform.startTool(spec);
        platform.waitStarted(*run);
        CPPUNIT_ASSERT(waitFor([&] { return exists((folder.path / "a/b").string()); }));
        platform.kill(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(SIGKILL, run->ended.signal);
        CPPUNIT_ASSERT_EQUAL(platform.options.kernelUid, statusOf(folder.path / "a/b").st_uid);
        CPPUNIT_ASSERT_EQUAL(platform.options.kernelUid, statusOf(folder.path).st_uid);
    }

    // Also what is in folders that only the tool's own user may enter.
    void testRoomOnTheDiskIsLimited() {
        TemporaryFolder folder;
        Platform platform;
        ToolSpec spec = shellTool(
            "mkdir hidden; chmod 700 hidden; i=0; while :; do i=$((i+1)); "
            "head -c 100000 /dev/zero >hidden/$i; done");
        spec.directory = "/build";
        spec.mounts = {{folder.path.string(), "/build", MountKind::writable, false}};
        spec.limits.diskBytes = 4 << 20;
        auto run = platform.startTool(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT(run->ended.outOfDisk);
        CPPUNIT_ASSERT_EQUAL(SIGKILL, run->ended.signal);

        spec = shellTool("head -c 100000 /dev/zero >small; sleep 0.5");
        spec.directory = "/build";
        spec.mounts = {{folder.path.string(), "/build", MountKind::writable, false}};
        std::filesystem::remove_all(folder.path / "hidden");
        spec.limits.diskBytes = 4 << 20;
        run = platform.startTool(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT(!run->ended.outOfDisk);
        CPPUNIT_ASSERT_EQUAL(0, run->ended.exitCode);
    }

    // What a process holds open and is in no folder any more.
    void testFilesWithoutANameTakeRoom() {
        Platform platform;
        const auto run = [&](const std::string& script) {
            TemporaryFolder folder;
            ToolSpec spec = shellTool(script);
            spec.directory = "/build";
            spec.mounts = {{folder.path.string(), "/build", MountKind::writable, false}};
            spec.limits.diskBytes = 4 << 20;
            auto tool = platform.startTool(spec);
            platform.waitStarted(*tool);
            platform.waitEnded(*tool);
            return tool;
        };
        const std::string open = "exec 8>file; rm file; ";
        auto many = run(open + "head -c 8000000 /dev/zero >&8; sleep 1000");
        CPPUNIT_ASSERT(many->ended.outOfDisk);
        CPPUNIT_ASSERT_EQUAL(SIGKILL, many->ended.signal);
        // One file is one, however many have it open.
        auto few = run(open + "head -c 2000000 /dev/zero >&8; "
                       "exec 7>&8; sleep 0.5 & sleep 0.5 & sleep 0.5; echo done");
        CPPUNIT_ASSERT(!few->ended.outOfDisk);
        CPPUNIT_ASSERT_EQUAL(std::string("done\n"), few->output);
    }

    void testKernelNeedsNoRoot() {
        if (Platform().lacks("own_user") || Platform().lacks("mount_namespace")) return;
        TemporaryFolder folder;
        LauncherOptions options = Platform::defaults();
        options.kernelUid = options.kernelGid = 65534;
        CPPUNIT_ASSERT_EQUAL(0, ::chown(folder.path.c_str(), 65534, 65534));
        std::filesystem::permissions(folder.path, std::filesystem::perms(0700));
        Platform platform(options);
        ToolSpec spec = shellTool("mkdir /build/a && echo x >/build/a/b");
        spec.mounts = {{folder.path.string(), "/build", MountKind::writable, false}};
        auto run = platform.startTool(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(std::string(), run->errors);
        CPPUNIT_ASSERT_EQUAL(uid_t{65534}, statusOf(folder.path).st_uid);
        CPPUNIT_ASSERT_EQUAL(gid_t{65534}, statusOf(folder.path / "a/b").st_gid);
        CPPUNIT_ASSERT_EQUAL(uid_t{65534}, statusOf(folder.path / "a/b").st_uid);
    }

    void testInterruptedToolIsReclaimed() {
        if (Platform().lacks("own_user")) return;
        TemporaryFolder folder;
        std::filesystem::create_directories(folder.path / "job" / "out");
        std::ofstream(folder.path / "job" / "foreign") << "x";
        CPPUNIT_ASSERT_EQUAL(0, ::chown((folder.path / "job").c_str(), 230003, 230003));
        CPPUNIT_ASSERT_EQUAL(0, ::chown((folder.path / "job/out").c_str(), 230004, 230004));
        CPPUNIT_ASSERT_EQUAL(0, ::chown((folder.path / "job/foreign").c_str(), 1234, 1234));
        LauncherOptions options = Platform::defaults();
        options.kernelUid = options.kernelGid = 65534;
        CPPUNIT_ASSERT_EQUAL(0, ::chown(folder.path.c_str(), 65534, 65534));
        Platform platform(options);
        const auto reclaim = [&](const std::string& path) {
            std::optional<std::string> answer;
            platform.onLoop([&](LauncherClient& client) {
                client.reclaim(path, [&](base::Result<void> result) {
                    answer = result ? "" : result.failure().detail;
                });
            });
            platform.until([&] { return answer.has_value(); }, "an answer");
            return *answer;
        };
        CPPUNIT_ASSERT_EQUAL(std::string(), reclaim(folder.path.string()));
        CPPUNIT_ASSERT_EQUAL(uid_t{65534}, statusOf(folder.path / "job").st_uid);
        CPPUNIT_ASSERT_EQUAL(uid_t{65534}, statusOf(folder.path / "job/out").st_uid);
        CPPUNIT_ASSERT_EQUAL(uid_t{1234}, statusOf(folder.path / "job/foreign").st_uid);
        CPPUNIT_ASSERT_EQUAL(std::string(), reclaim((folder.path / "none").string()));
        CPPUNIT_ASSERT(reclaim("/usr").find("not the platform's own") != std::string::npos);
    }

    void testOthersFoldersStayTheirs() {
        if (Platform().lacks("own_user") || Platform().lacks("mount_namespace")) return;
        TemporaryFolder folder;
        std::filesystem::create_directories(folder.path / "other");
        std::ofstream(folder.path / "theirs") << "x";
        CPPUNIT_ASSERT_EQUAL(0, ::chown((folder.path / "other").c_str(), 1234, 1234));
        CPPUNIT_ASSERT_EQUAL(0, ::chown((folder.path / "theirs").c_str(), 1234, 1234));
        Platform platform;
        ToolSpec spec = shellTool("true");
        spec.mounts = {{(folder.path / "other").string(), "/build", MountKind::writable, false}};
        auto refused = platform.startTool(spec);
        platform.until([&] { return refused->answered; }, "an answer");
        CPPUNIT_ASSERT(!refused->started);
        CPPUNIT_ASSERT(refused->failure.find("not the platform's own") != std::string::npos);
        spec = shellTool("(echo y >>/build/theirs) 2>/dev/null || echo refused");
        spec.mounts = {{folder.path.string(), "/build", MountKind::writable, false}};
        auto run = platform.startTool(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(std::string("refused\n"), run->output);
        CPPUNIT_ASSERT_EQUAL(uid_t{1234}, statusOf(folder.path / "theirs").st_uid);
    }

    void testLinksAreNotFollowed() {
        TemporaryFolder outside;
        std::ofstream(outside.path / "file") << "x";
        TemporaryFolder folder;
        Platform platform;
        if (platform.lacks("own_user")) return;
        if (platform.lacks("mount_namespace")) return;
        ToolSpec spec = shellTool("ln -s '" + outside.path.string() + "' /build/out; ln -s '" +
                                  outside.path.string() +
                                  "/file' /build/file; mkdir /build/d; ln -s .. /build/d/up");
        spec.mounts = {{folder.path.string(), "/build", MountKind::writable, false}};
        auto run = platform.startTool(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(0, run->ended.exitCode);
        CPPUNIT_ASSERT_EQUAL(platform.options.kernelUid, statusOf(folder.path / "out").st_uid);
        CPPUNIT_ASSERT_EQUAL(uid_t{0}, statusOf(outside.path / "file").st_uid);
        CPPUNIT_ASSERT_EQUAL(uid_t{0}, statusOf(outside.path).st_uid);
    }

    void testOverlayForgets() {
        TemporaryFolder cache;
        std::filesystem::create_directories(cache.path / "ab" / "cd");
        std::ofstream(cache.path / "ab" / "old") << "old";
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        ToolSpec spec = shellTool(
            "cat /cache/ab/old; echo new >/cache/ab/cd/new && cat /cache/ab/cd/new; echo top "
            ">/cache/top; "
            "rm -f /cache/ab/old; ls /cache/ab");
        spec.mounts = {{cache.path.string(), "/cache", MountKind::overlay, false},
                       {"/no/such/cache", "/other", MountKind::overlay, true}};
        auto run = platform.startTool(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(std::string("oldnew\ncd\n"), run->output);
        CPPUNIT_ASSERT_EQUAL(std::string(), run->errors);
        CPPUNIT_ASSERT(!exists((cache.path / "top").string()) &&
                       !exists((cache.path / "ab/cd/new").string()));
        CPPUNIT_ASSERT_EQUAL(std::string("old"), readFile((cache.path / "ab/old").string()));
        CPPUNIT_ASSERT_EQUAL(::geteuid(), statusOf(cache.path / "ab").st_uid);
    }

    void testWithoutMountsPathsAreTheMachines() {
        Platform platform;
        if (platform.hasLayer("mount_namespace")) return;
        TemporaryFolder folder;
        TemporaryFolder cache;
        std::filesystem::create_directories(cache.path / "ab");
        std::ofstream(cache.path / "ab" / "old") << "old";
        ToolSpec spec = shellTool("");
        // A script's text is a file's content to the launcher: only whole paths are replaced.
        spec.argv = {"/bin/sh", "-c",
                     "pwd; echo $0; echo $1; echo $HOME; cat $2/ab/old; echo x >$2/ab/new && ls "
                     "$2/ab; echo x >file; cd /tmp",
                     "/build/sub:/build", "--at=/build", "/cache"};
        spec.environment = {{"PATH", "/usr/bin:/bin"}, {"HOME", "/tmp"}};
        spec.directory = "/build";
        spec.mounts = {{folder.path.string(), "/build", MountKind::writable, false},
                       {cache.path.string(), "/cache", MountKind::overlay, false}};
        auto run = platform.startTool(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        const std::string at = folder.path.string();
        const std::string own =
            platform.options.taskFolders + "/" + std::to_string(run->task) + "/tmp";
        CPPUNIT_ASSERT_EQUAL(at + "\n" + at + "/sub:" + at + "\n--at=" + at + "\n" + own +
                                 "\noldnew\nold\n",
                             run->output);
        CPPUNIT_ASSERT_EQUAL(platform.options.kernelUid, statusOf(folder.path / "file").st_uid);
        CPPUNIT_ASSERT(!exists((cache.path / "ab/new").string()));
        CPPUNIT_ASSERT(!exists(own));
    }

    // The data folder is the kernel's user's, who can put links where the launcher works in it.
    void testReplacedFoldersLeadNowhere() {
        if (Platform().lacks("own_user")) return;
        namespace fs = std::filesystem;
        constexpr uid_t kernel = 65534;
        TemporaryFolder data, victim;
        for (const char* name : {"private", "work", "artifact", "key"})
            fs::create_directories(data.path / name);
        std::ofstream(data.path / "key" / "planted") << "x";
        LauncherOptions options = Platform::defaults();
        options.kernelUid = options.kernelGid = kernel;
        options.taskFolders = data.path / "sandboxes";
        options.privateFolder = data.path / "private";
        for (const char* name : {"", "private", "work"})
            CPPUNIT_ASSERT_EQUAL(0, ::chown((data.path / name).c_str(), kernel, kernel));
        Platform platform(options);
        if (platform.hasLayer("mount_namespace")) return;
        // Tools got their way through it when the launcher started.
        CPPUNIT_ASSERT_EQUAL(0710u, statusOf(options.privateFolder).st_mode & 0777);
        CPPUNIT_ASSERT_EQUAL(options.uidBase + options.uidCount,
                             statusOf(options.privateFolder).st_gid);
        auto worker = platform.startWorker(shellWorker("read line <&3"));
        platform.waitStarted(*worker);
        fs::rename(options.privateFolder, data.path / "private.was");
        fs::create_directory_symlink(victim.path, options.privateFolder);
        fs::rename(options.taskFolders, data.path / "sandboxes.was");
        fs::create_directories(options.taskFolders);
        fs::create_directory_symlink(victim.path, fs::path(options.taskFolders) / "layers");
        fs::create_directory_symlink(victim.path, taskFolder(options.taskFolders, worker->task));
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             platform.attach(worker->task, {.artifactDir = data.path / "artifact",
                                                            .layers = {data.path / "key"}}));
        CPPUNIT_ASSERT(exists((data.path / "sandboxes.was/layers/key/planted").string()));
        ToolSpec spec = shellTool("exit 3");
        spec.mounts = {{(data.path / "work").string(), "/build", MountKind::writable, false}};
        auto tool = platform.startTool(spec);
        platform.waitStarted(*tool);
        platform.waitEnded(*tool);
        CPPUNIT_ASSERT_EQUAL(3, tool->ended.exitCode);
        worker->worker.socket.reset();
        platform.waitEnded(*worker);
        platform.close();
        CPPUNIT_ASSERT(fs::is_empty(victim.path));
        CPPUNIT_ASSERT_EQUAL(uid_t{0}, statusOf(victim.path).st_uid);
        CPPUNIT_ASSERT_EQUAL(0755u, statusOf(victim.path).st_mode & 0777);
        CPPUNIT_ASSERT(
            !exists((data.path / "sandboxes.was" / std::to_string(worker->task)).string()));
    }

    void testHasNoNetwork() {
        Platform platform;
        if (platform.lacks("network_namespace")) return;
        auto run = platform.startTool(
            shellTool("tail -n +3 /proc/net/dev | wc -l; tail -n +2 /proc/net/route | wc -l"));
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(std::string("1\n0\n"), run->output);
    }

    // What functions get in place of a network of their own is not for builds.
    void testNeverGetsTheMachinesNetworkInstead() {
        LauncherOptions options = Platform::defaults();
        options.network.hostWithoutRouter = true;
        Platform platform(options);
        if (platform.hasLayer("outbound_network")) return;
        for (const auto& allow : {std::vector<std::string>{}, {"registry.example:443"}}) {
            ToolSpec spec = shellTool("readlink /proc/self/ns/net");
            if (!platform.hasLayer("network_namespace")) {
                spec.argv = {SANDBOX_PROBE};
                spec.mounts = {{SANDBOX_PROBE, SANDBOX_PROBE}};
            }
            spec.network = {Network::outbound, allow};
            auto run = platform.startTool(spec);
            platform.waitStarted(*run);
            platform.waitEnded(*run);
            if (platform.hasLayer("network_namespace")) {
                std::error_code error;
                const auto own = std::filesystem::read_symlink("/proc/self/ns/net", error);
                CPPUNIT_ASSERT(!run->output.empty() && run->output != own.string() + "\n");
            } else {
                const std::string refused = "tcp " + std::to_string(EPERM) + "\n";
                CPPUNIT_ASSERT_MESSAGE(run->output, run->output.find(refused) != std::string::npos);
            }
        }
    }

    void testProbeSeesTheMachine() {
        TemporaryFolder hidden;
        std::filesystem::create_directories(hidden.path / "home");
        std::ofstream(hidden.path / "home" / "tool") << "found";
        std::filesystem::permissions(hidden.path / "home", std::filesystem::perms(0700));
        ::setenv("CLOUDFUNCTION_TEST_VARIABLE", "inherited", 1);
        LauncherOptions options = Platform::defaults();
        if (isRoot()) options.kernelUid = options.kernelGid = 65534;
        Platform platform(options);
        auto run = platform.startProbe(
            {"/bin/sh", "-c",
             "cat '" + (hidden.path / "home/tool").string() +
                 "'; echo; id -u; echo $CLOUDFUNCTION_TEST_VARIABLE; "
                 "(echo x >'" +
                 (hidden.path / "home/tool").string() +
                 "') 2>/dev/null || echo read-only; grep CapEff /proc/self/status"},
            std::chrono::seconds(10));
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        if (platform.hasLayer("own_user"))
            CPPUNIT_ASSERT_EQUAL(
                std::string("found\n65534\ninherited\nread-only\nCapEff:\t0000000000000004\n"),
                run->output);
        else
            CPPUNIT_ASSERT(run->output.starts_with("found\n"));
        CPPUNIT_ASSERT_EQUAL(0, run->ended.exitCode);
    }

    void testProbeIsKilledAsATree() {
        Platform platform;
        auto run = platform.startProbe({"/bin/sh", "-c", "(setsid sleep 1000 &); sleep 1000"},
                                       std::chrono::milliseconds(100));
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(SIGKILL, run->ended.signal);
        CPPUNIT_ASSERT(waitFor([&] {
            return readFile("/proc/" + std::to_string(platform.supervisor()) + "/task/" +
                            std::to_string(platform.supervisor()) + "/children") ==
                   std::to_string(platform.launcher()) + " ";
        }));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ToolTest);

}  // namespace cf::sandbox::test
