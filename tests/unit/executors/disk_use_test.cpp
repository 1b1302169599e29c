// How much room a build takes, empty files and files without a name included.
#include "executors/disk_use.hpp"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.hpp"

namespace cf::executors::test {

namespace fs = std::filesystem;

class DiskUseTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(DiskUseTest);
    CPPUNIT_TEST(testEmptyFilesCount);
    CPPUNIT_TEST(testAnAlmostFullDiskEndsIt);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        std::string name = (fs::temp_directory_path() / "disk-use-XXXXXX").string();
        CPPUNIT_ASSERT(::mkdtemp(name.data()) != nullptr);
        folder_ = name;
    }
    void tearDown() override {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }

private:
    void testEmptyFilesCount() {
        for (int i = 0; i < 300; ++i) std::ofstream(folder_ / std::to_string(i));
        CPPUNIT_ASSERT_EQUAL(uint64_t{300} * 4096, diskUse({folder_.string()}));
        CPPUNIT_ASSERT(DiskWatch(1 << 20).look({folder_.string()}));
        CPPUNIT_ASSERT(!DiskWatch(2 << 20).look({folder_.string()}));
    }

    void testAnAlmostFullDiskEndsIt() {
        // A disk of its own, which this process alone sees.
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=1m") != 0) {
            std::fprintf(stderr, "  skipped: needs root for a disk of its own\n");
            return;
        }
        DiskWatch watch(1ull << 40);
        CPPUNIT_ASSERT(!watch.look({folder_.string()}));
        const std::string name = folder_ / "file";
        const base::UniqueFd file(::open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        CPPUNIT_ASSERT(file && ::unlink(name.c_str()) == 0);
        CPPUNIT_ASSERT_EQUAL(0, ::posix_fallocate(file.get(), 0, 1'000'000));
        CPPUNIT_ASSERT_EQUAL(uint64_t{0}, diskUse({folder_.string()}));
        CPPUNIT_ASSERT(watch.look({folder_.string()}));
        CPPUNIT_ASSERT(watch.almostFull());
        CPPUNIT_ASSERT_EQUAL(0, ::umount2(folder_.c_str(), MNT_DETACH));
    }

    fs::path folder_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(DiskUseTest);

}  // namespace cf::executors::test
