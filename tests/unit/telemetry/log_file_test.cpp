// Rotation: nothing is lost but the oldest, and the active file stays the same file.
#include "telemetry/log_file.hpp"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/stat.h>
#include <utime.h>

#include <filesystem>

#include "telemetry/log_reader.hpp"
#include "temp_folder.hpp"

namespace cf::test {

using telemetry::LogReader;
using telemetry::LogRetention;

class LogFileTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LogFileTest);
    CPPUNIT_TEST(rotates);
    CPPUNIT_TEST(manyLinesAtOnce);
    CPPUNIT_TEST(keepsItsInode);
    CPPUNIT_TEST(readsBackwards);
    CPPUNIT_TEST(readsLongLines);
    CPPUNIT_TEST(whatIsRotatedWhileItIsRead);
    CPPUNIT_TEST(onlyOneFile);
    CPPUNIT_TEST(expires);
    CPPUNIT_TEST(fewerFilesThanBefore);
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

    void manyLinesAtOnce() {
        std::string lines;
        for (int i = 0; i < 100; ++i) lines += std::to_string(i % 10) + "234567\n";
        CPPUNIT_ASSERT(append(lines));
        CPPUNIT_ASSERT_EQUAL(std::string("8234567\n9234567\n"), readFile(file()));
        CPPUNIT_ASSERT_EQUAL(std::string("6234567\n7234567\n"), readFile(file() + ".1"));
        CPPUNIT_ASSERT_EQUAL(std::string("4234567\n5234567\n"), readFile(file() + ".2"));
        // A line that no file has room for is one all the same.
        const std::string longLine(50, 'x');
        CPPUNIT_ASSERT(append(longLine + "\n" + longLine + "\nlast\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("last\n"), readFile(file()));
        CPPUNIT_ASSERT_EQUAL(longLine + "\n", readFile(file() + ".1"));
        CPPUNIT_ASSERT_EQUAL(longLine + "\n", readFile(file() + ".2"));
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
        CPPUNIT_ASSERT_EQUAL(std::string("54321"), firstLetters(5));
        std::filesystem::remove(file() + ".1");
        CPPUNIT_ASSERT_EQUAL(std::string("5410"), firstLetters(5));
    }

    // Lines begin and end in any place of the blocks that are read.
    void readsLongLines() {
        retention_.fileBytes = 1u << 30;
        std::vector<std::string> lines;
        for (size_t i = 0; i < 500; ++i)
            lines.push_back(std::string(i * i * 7919 % 3001 + (i % 50 == 0 ? 70'000 : 0),
                                        static_cast<char>('a' + i % 26)));
        for (const std::string& line : lines) CPPUNIT_ASSERT(append(line + "\n"));
        const auto expectAll = [&] {
            size_t left = lines.size();
            LogReader reader(file(), 3);
            CPPUNIT_ASSERT(reader.open());
            CPPUNIT_ASSERT(reader.read([&](std::string_view line) {
                CPPUNIT_ASSERT(left > 0 && lines[--left] == line);
                return true;
            }));
            CPPUNIT_ASSERT_EQUAL(size_t{0}, left);
            CPPUNIT_ASSERT(!reader.open());
        };
        expectAll();
        // Not ours, and not kept in memory.
        CPPUNIT_ASSERT(append(std::string(1'000'000, 'x') + "\nlast\n"));
        lines.push_back("last");
        expectAll();
    }

    void whatIsRotatedWhileItIsRead() {
        for (int i = 0; i < 6; ++i) CPPUNIT_ASSERT(append(std::to_string(i) + "234567\n"));
        LogReader reader(file(), retention_.files);
        CPPUNIT_ASSERT(reader.open());
        CPPUNIT_ASSERT(reader.read([](std::string_view) { return true; }));
        // What was the first rotated file is the second one now.
        for (int i = 6; i < 8; ++i) CPPUNIT_ASSERT(append(std::to_string(i) + "234567\n"));
        CPPUNIT_ASSERT(reader.open());
        CPPUNIT_ASSERT(reader.read([](std::string_view line) { return line == "3234567"; }));
        CPPUNIT_ASSERT(!reader.open());

        LogReader another(file(), retention_.files);
        CPPUNIT_ASSERT(another.open());
        CPPUNIT_ASSERT_MESSAGE("it is told", !another.read([&](std::string_view) {
            for (int i = 8; i < 10; ++i) CPPUNIT_ASSERT(append(std::to_string(i) + "234567\n"));
            return false;
        }));
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

    void fewerFilesThanBefore() {
        retention_.files = 12;
        for (int i = 0; i < 30; ++i) CPPUNIT_ASSERT(append(std::to_string(i % 10) + "234567\n"));
        writeFile(file() + ".saved", "of the operator");
        CPPUNIT_ASSERT(std::filesystem::exists(file() + ".11"));
        retention_.files = 2;
        telemetry::expireLog(file(), retention_);
        CPPUNIT_ASSERT_EQUAL(std::string("8234567\n9234567\n"), readFile(file()));
        CPPUNIT_ASSERT_EQUAL(std::string("6234567\n7234567\n"), readFile(file() + ".1"));
        CPPUNIT_ASSERT_EQUAL(std::string("of the operator"), readFile(file() + ".saved"));
        CPPUNIT_ASSERT_EQUAL(
            std::ptrdiff_t{3},
            std::distance(std::filesystem::directory_iterator(folder_->path()), {}));
        retention_.files = 1;
        telemetry::expireLog(file(), retention_);
        CPPUNIT_ASSERT(!std::filesystem::exists(file() + ".1"));
    }

    void noSuchFolder() {
        CPPUNIT_ASSERT(!telemetry::appendToLog(*folder_ / "no/where.log", "x\n", retention_));
    }

private:
    std::string file() const { return *folder_ / "function.log"; }
    std::string firstLetters(size_t most) const {
        std::string seen;
        LogReader reader(file(), retention_.files);
        while (seen.size() < most && reader.open())
            CPPUNIT_ASSERT(reader.read([&](std::string_view line) {
                seen += line[0];
                return seen.size() < most;
            }));
        return seen;
    }
    bool append(const std::string& line) {
        return telemetry::appendToLog(file(), line, retention_);
    }

    std::unique_ptr<TempFolder> folder_;
    LogRetention retention_{20, 3, std::chrono::hours(24)};
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogFileTest);

}  // namespace cf::test
