// Rotation: nothing is lost but the oldest, and the active file stays the same file.
#include "telemetry/log_file.hpp"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/stat.h>
#include <utime.h>

#include <filesystem>

#include "temp_folder.hpp"

namespace cf::test {

using telemetry::LogRetention;

class LogFileTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LogFileTest);
    CPPUNIT_TEST(rotates);
    CPPUNIT_TEST(keepsItsInode);
    CPPUNIT_TEST(readsBackwards);
    CPPUNIT_TEST(onlyOneFile);
    CPPUNIT_TEST(expires);
    CPPUNIT_TEST(noSuchFolder);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { folder_ = std::make_unique<TempFolder>(); }
    void tearDown() override { folder_.reset(); }

    void rotates() {
        for (int i = 0; i < 10; ++i) CPPUNIT_ASSERT(append(std::to_string(i) + "234567\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("8234567\n9234567\n"), readFile(file()));
        CPPUNIT_ASSERT_EQUAL(std::string("6234567\n7234567\n"), readFile(file() + ".1"));
        CPPUNIT_ASSERT_EQUAL(std::string("4234567\n5234567\n"), readFile(file() + ".2"));
        CPPUNIT_ASSERT_EQUAL(
            std::ptrdiff_t{3},
            std::distance(std::filesystem::directory_iterator(folder_->path()), {}));
    }

    void keepsItsInode() {
        CPPUNIT_ASSERT(append("first\n"));
        struct stat before {
        }, after{};
        ::stat(file().c_str(), &before);
        for (int i = 0; i < 20; ++i) CPPUNIT_ASSERT(append("1234567\n"));
        ::stat(file().c_str(), &after);
        CPPUNIT_ASSERT_EQUAL(before.st_ino, after.st_ino);
    }

    void readsBackwards() {
        for (int i = 0; i < 6; ++i) CPPUNIT_ASSERT(append(std::to_string(i) + "234567\n"));
        std::string seen;
        telemetry::readLogBackwards(file(), retention_, [&](std::string_view line) {
            seen += line[0];
            return seen.size() < 5;
        });
        CPPUNIT_ASSERT_EQUAL(std::string("54321"), seen);
    }

    void onlyOneFile() {
        retention_.files = 1;
        for (int i = 0; i < 3; ++i) CPPUNIT_ASSERT(append(std::to_string(i) + "234567\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("2234567\n"), readFile(file()));
        CPPUNIT_ASSERT(!std::filesystem::exists(file() + ".1"));
    }

    void expires() {
        for (int i = 0; i < 5; ++i) CPPUNIT_ASSERT(append(std::to_string(i) + "234567\n"));
        const utimbuf longAgo{1, 1};
        ::utime((file() + ".2").c_str(), &longAgo);
        ::utime(file().c_str(), &longAgo);
        telemetry::expireLog(file(), retention_);
        CPPUNIT_ASSERT(std::filesystem::exists(file()) && readFile(file()).empty());
        CPPUNIT_ASSERT(std::filesystem::exists(file() + ".1"));
        CPPUNIT_ASSERT(!std::filesystem::exists(file() + ".2"));
    }

    void noSuchFolder() {
        CPPUNIT_ASSERT(!telemetry::appendToLog(*folder_ / "no/where.log", "x\n", retention_));
    }

private:
    std::string file() const { return *folder_ / "function.log"; }
    bool append(const std::string& line) {
        return telemetry::appendToLog(file(), line, retention_);
    }

    std::unique_ptr<TempFolder> folder_;
    LogRetention retention_{20, 3, std::chrono::hours(24)};
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogFileTest);

}  // namespace cf::test
