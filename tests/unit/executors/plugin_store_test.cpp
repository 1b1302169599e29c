// Plugins as files: which are found, which are refused, and that copies are named by what they
// hold.
#include "executors/plugin_store.hpp"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/stat.h>

#include <filesystem>

#include "temp_folder.hpp"

namespace cf::test {

using namespace executors;

class PluginStoreTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(PluginStoreTest);
    CPPUNIT_TEST(finds);
    CPPUNIT_TEST(copies);
    CPPUNIT_TEST(aSpoiledCopyIsReplaced);
    CPPUNIT_TEST(refuses);
    CPPUNIT_TEST(clears);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { folder_ = std::make_unique<TempFolder>(); }
    void tearDown() override { folder_.reset(); }

    void finds() {
        for (const char* name : {"b.so", "a.so", "c.txt", "d.so.1"})
            writeFile(*folder_ / name, "x");
        const auto files = findPlugins(folder_->path() + "/.");
        CPPUNIT_ASSERT(*files == (std::vector<std::string>{*folder_ / "a.so", *folder_ / "b.so"}));
        CPPUNIT_ASSERT(!findPlugins(*folder_ / "nowhere"));
        ::chmod(folder_->path().c_str(), 01777);
        const auto open = findPlugins(folder_->path());
        CPPUNIT_ASSERT_EQUAL("chmod o-w " + folder_->path(), open.failure().hint);
    }

    void copies() {
        writeFile(*folder_ / "a.so", "abc");
        const auto copy = copyPlugin(*folder_ / "a.so", folder_->path());
        // FIPS 180-2, appendix B.1.
        CPPUNIT_ASSERT_EQUAL(
            *folder_ / "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.so",
            *copy);
        CPPUNIT_ASSERT_EQUAL(std::string("abc"), readFile(*copy));
        CPPUNIT_ASSERT_EQUAL(*copy, *copyPlugin(*folder_ / "a.so", folder_->path()));
    }

    void aSpoiledCopyIsReplaced() {
        writeFile(*folder_ / "a.so", "abc");
        const std::string copy = *copyPlugin(*folder_ / "a.so", folder_->path());
        writeFile(copy, "abX");
        CPPUNIT_ASSERT_EQUAL(copy, *copyPlugin(*folder_ / "a.so", folder_->path()));
        CPPUNIT_ASSERT_EQUAL(std::string("abc"), readFile(copy));
    }

    void refuses() {
        CPPUNIT_ASSERT(!copyPlugin(*folder_ / "nowhere.so", folder_->path()));
        ::mkfifo((*folder_ / "pipe.so").c_str(), 0600);
        CPPUNIT_ASSERT_EQUAL(std::string("it is not a regular file"),
                             copyPlugin(*folder_ / "pipe.so", folder_->path()).failure().detail);
        writeFile(*folder_ / "open.so", "x");
        ::chmod((*folder_ / "open.so").c_str(), 0602);
        CPPUNIT_ASSERT_EQUAL(std::string("the file may be written by every user of this machine"),
                             copyPlugin(*folder_ / "open.so", folder_->path()).failure().detail);
        writeFile(*folder_ / "a.so", "x");
        CPPUNIT_ASSERT(!copyPlugin(*folder_ / "a.so", *folder_ / "nowhere"));
    }

    void clears() {
        for (const char* name : {"a.so", "b.so", "b.so.new"}) writeFile(*folder_ / name, "x");
        removeOtherCopies(folder_->path(), {*folder_ / "a.so"});
        CPPUNIT_ASSERT(std::filesystem::exists(*folder_ / "a.so"));
        CPPUNIT_ASSERT_EQUAL(
            std::ptrdiff_t{1},
            std::distance(std::filesystem::directory_iterator(folder_->path()), {}));
    }

private:
    std::unique_ptr<TempFolder> folder_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(PluginStoreTest);

}  // namespace cf::test
