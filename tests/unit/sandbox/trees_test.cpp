// Whole folders that strangers filled, and what stands for a mount where there is none.
#include "sandbox/trees.hpp"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "platform.hpp"
#include "sandbox/files.hpp"
#include "sandbox/task_folder.hpp"

namespace cf::sandbox::test {

namespace fs = std::filesystem;

class TreesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(TreesTest);
    CPPUNIT_TEST(testLinksShareFilesAndNotFolders);
    CPPUNIT_TEST(testLinksOfLinksStayLinks);
    CPPUNIT_TEST(testRemovesWhatIsDeeperThanAPathCanBe);
    CPPUNIT_TEST(testRemovesNothingBehindALink);
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
