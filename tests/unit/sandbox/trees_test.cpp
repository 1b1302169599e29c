// Whole folders that strangers filled, and what stands for a mount where there is none.
#include "sandbox/trees.hpp"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "platform.hpp"
#include "sandbox/files.hpp"
#include "sandbox/root_filesystem.hpp"
#include "sandbox/task_folder.hpp"

namespace cf::sandbox::test {

namespace fs = std::filesystem;

class TreesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(TreesTest);
    CPPUNIT_TEST(testLinksShareFilesAndNotFolders);
    CPPUNIT_TEST(testLinksOfLinksStayLinks);
    CPPUNIT_TEST(testRemovesWhatIsDeeperThanAPathCanBe);
    CPPUNIT_TEST(testRemovesNothingBehindALink);
    CPPUNIT_TEST(testRemovalOpensNothingBehindALink);
    CPPUNIT_TEST(testOwnersOfOtherFilesStay);
    CPPUNIT_TEST(testSizeStopsAtItsBounds);
    CPPUNIT_TEST(testPathsAreReplacedWhole);
    CPPUNIT_TEST(testTmpdirIsAddedOnce);
    CPPUNIT_TEST_SUITE_END();

    static ino_t inode(const fs::path& path) {
        struct stat status {};
        CPPUNIT_ASSERT_EQUAL(0, ::lstat(path.c_str(), &status));
        return status.st_ino;
    }

    void testLinksShareFilesAndNotFolders() {
        TemporaryFolder folder;
        fs::create_directories(folder.path / "from/a/b");
        std::ofstream(folder.path / "from/a/b/file") << "text";
        CPPUNIT_ASSERT_EQUAL(
            0, linkTree(folder.path / "from", folder.path / "to", ::geteuid(), ::getegid()));
        CPPUNIT_ASSERT_EQUAL(inode(folder.path / "from/a/b/file"),
                             inode(folder.path / "to/a/b/file"));
        CPPUNIT_ASSERT(inode(folder.path / "from/a") != inode(folder.path / "to/a"));
        CPPUNIT_ASSERT_EQUAL(
            EEXIST, linkTree(folder.path / "from", folder.path / "to", ::geteuid(), ::getegid()));
        CPPUNIT_ASSERT_EQUAL(ENOENT, linkTree(folder.path / "none", folder.path / "other",
                                              ::geteuid(), ::getegid()));
    }

    void testLinksOfLinksStayLinks() {
        TemporaryFolder folder;
        fs::create_directories(folder.path / "from");
        fs::create_symlink("/etc", folder.path / "from/etc");
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo((folder.path / "from/pipe").c_str(), 0600));
        CPPUNIT_ASSERT_EQUAL(
            0, linkTree(folder.path / "from", folder.path / "to", ::geteuid(), ::getegid()));
        CPPUNIT_ASSERT_EQUAL(std::string("/etc"),
                             fs::read_symlink(folder.path / "to/etc").string());
        CPPUNIT_ASSERT(!fs::exists(folder.path / "to/pipe"));
        // A source that is itself a link is none of the platform's folders.
        CPPUNIT_ASSERT(linkTree(folder.path / "from/etc", folder.path / "stolen", ::geteuid(),
                                ::getegid()) != 0);
    }

    void testRemovesWhatIsDeeperThanAPathCanBe() {
        TemporaryFolder folder;
        const std::string top = folder.path / "top";
        CPPUNIT_ASSERT_EQUAL(0, ::mkdir(top.c_str(), 0755));
        int at = ::open(top.c_str(), O_RDONLY | O_DIRECTORY);
        for (int i = 0; i < 3000; ++i) {
            CPPUNIT_ASSERT_EQUAL(0, ::mkdirat(at, "deep", 0755));
            const int next = ::openat(at, "deep", O_RDONLY | O_DIRECTORY);
            ::close(at);
            at = next;
        }
        ::close(::openat(at, "file", O_WRONLY | O_CREAT, 0600));
        ::fchmod(at, 0);
        ::close(at);
        CPPUNIT_ASSERT_EQUAL(uint64_t{101}, sizeOfTree(top, {1ull << 40, 100}).files);
        CPPUNIT_ASSERT_EQUAL(0, removeTree(top));
        CPPUNIT_ASSERT(!exists(top));
        CPPUNIT_ASSERT_EQUAL(0, removeTree(top));
    }

    void testRemovesNothingBehindALink() {
        TemporaryFolder folder;
        fs::create_directories(folder.path / "kept");
        std::ofstream(folder.path / "kept/file") << "text";
        fs::create_directories(folder.path / "top");
        fs::create_symlink(folder.path / "kept", folder.path / "top/link");
        CPPUNIT_ASSERT_EQUAL(0, removeTree(folder.path / "top"));
        CPPUNIT_ASSERT(fs::exists(folder.path / "kept/file"));
    }

    // What could not be unlinked was taken for a folder and opened up; a link may be such a thing,
    // and one can come in a folder's place between two steps.
    void testRemovalOpensNothingBehindALink() {
        constexpr uid_t user = 64321;
        TemporaryFolder folder;
        const fs::path top = folder.path / "top", victim = folder.path / "victim";
        fs::create_directories(top);
        fs::create_directories(victim);
        fs::create_directory_symlink(victim, top / "link");
        fs::permissions(top, fs::perms(01777));
        fs::permissions(victim, fs::perms(0755));
        // Not for an ordinary user, or a root without rights.
        if (::chown(victim.c_str(), user, user) != 0) return;
        CPPUNIT_ASSERT_EQUAL(0, ::seteuid(user));
        const int error = removeTree(top);
        CPPUNIT_ASSERT_EQUAL(0, ::seteuid(0));
        CPPUNIT_ASSERT(error != 0 && fs::is_symlink(top / "link"));
        CPPUNIT_ASSERT(fs::perms(0755) == fs::status(victim).permissions());
    }

    // Another file can come in the place of one of its own, too.
    void testOwnersOfOtherFilesStay() {
        if (!isRoot()) return;
        constexpr uid_t tool = 64321, kernel = 64322;
        TemporaryFolder folder;
        fs::create_directories(folder.path / "given");
        const auto make = [](const fs::path& path) {
            return base::UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        };
        const base::UniqueFd roots = make(folder.path / "roots");
        const base::UniqueFd tools = make(folder.path / "given/tools");
        const std::jthread exchanger([&](const std::stop_token& stop) {
            constexpr unsigned exchangeNames = 2;
            while (!stop.stop_requested())
                ::syscall(SYS_renameat2, AT_FDCWD, (folder.path / "given/tools").c_str(), AT_FDCWD,
                          (folder.path / "roots").c_str(), exchangeNames);
        });
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
        while (std::chrono::steady_clock::now() < until) {
            if (::fchown(tools.get(), tool, tool) != 0) return;
            changeOwner(folder.path / "given", {tool, tool}, kernel, kernel);
            struct stat status {};
            CPPUNIT_ASSERT_EQUAL(0, ::fstat(roots.get(), &status));
            CPPUNIT_ASSERT_EQUAL(uid_t{0}, status.st_uid);
        }
    }

    void testSizeStopsAtItsBounds() {
        TemporaryFolder folder;
        for (int i = 0; i < 50; ++i) std::ofstream(folder.path / std::to_string(i)) << "x";
        CPPUNIT_ASSERT_EQUAL(uint64_t{50}, sizeOfTree(folder.path, {1 << 30, 1000}).files);
        CPPUNIT_ASSERT_EQUAL(uint64_t{11}, sizeOfTree(folder.path, {1 << 30, 10}).files);
        CPPUNIT_ASSERT(sizeOfTree(folder.path, {4096, 1000}).bytes > 4096);
        TreeMeasure inSteps(folder.path, {1 << 30, 1000});
        int steps = 0;
        for (; !inSteps.done(); ++steps) CPPUNIT_ASSERT(inSteps.look(10) <= 10);
        CPPUNIT_ASSERT_EQUAL(uint64_t{50}, inSteps.size().files);
        CPPUNIT_ASSERT(steps > 5);
    }

    void testPathsAreReplacedWhole() {
        const std::vector<Mount> mounts = {{"/real/tools", "/opt/tools"},
                                           {"/data/build", "/data/build"},
                                           {"/tmp/data/build", "/tmp/data/build"},
                                           {"/real/later", "/opt/tools"}};
        const auto now = [&](const char* text) {
            return translated(std::string(text), mounts, "/own");
        };
        CPPUNIT_ASSERT_EQUAL(std::string("/real/later"), now("/opt/tools"));
        CPPUNIT_ASSERT_EQUAL(std::string("/real/later/bin/x"), now("/opt/tools/bin/x"));
        CPPUNIT_ASSERT_EQUAL(std::string("/opt/toolset"), now("/opt/toolset"));
        CPPUNIT_ASSERT_EQUAL(std::string("A=/own/tmp:/own/tmp/b:/x"), now("A=/tmp:/tmp/b:/x"));
        CPPUNIT_ASSERT_EQUAL(std::string("--cache=/own/tmp/c"), now("--cache=/tmp/c"));
        // What is mounted at its own path stays, also below /tmp.
        CPPUNIT_ASSERT_EQUAL(std::string("/tmp/data/build/x"), now("/tmp/data/build/x"));
        CPPUNIT_ASSERT_EQUAL(std::string("echo /tmp; =:"), now("echo /tmp; =:"));
        CPPUNIT_ASSERT_EQUAL(std::string(), now(""));
    }

    void testTmpdirIsAddedOnce() {
        StartRequest request;
        request.environment = {"TMPDIR=/tmp/mine"};
        CPPUNIT_ASSERT_EQUAL(size_t{1}, translated(request, "/own").environment.size());
        CPPUNIT_ASSERT_EQUAL(std::string("TMPDIR=/own/tmp/mine"),
                             translated(request, "/own").environment[0]);
        request.environment.clear();
        CPPUNIT_ASSERT_EQUAL(std::string("TMPDIR=/own/tmp"),
                             translated(request, "/own").environment.at(0));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TreesTest);

}  // namespace cf::sandbox::test
