// What functions print: where it goes, under which name, what a flood costs whom.
#include "telemetry/function_logs.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <fstream>
#include <new>

#include "temp_folder.hpp"

namespace cf::test {

namespace fs = std::filesystem;
using telemetry::FunctionLogs;
using telemetry::LogStream;
using telemetry::Writer;

class FunctionLogsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FunctionLogsTest);
    CPPUNIT_TEST(writesAndReads);
    CPPUNIT_TEST(oneInvocation);
    CPPUNIT_TEST(aLargeLogIsReadInBlocks);
    CPPUNIT_TEST(theNewestLinesThatFit);
    CPPUNIT_TEST(linesAreJoined);
    CPPUNIT_TEST(aLineWithoutAnEndIsWritten);
    CPPUNIT_TEST(othersReadNothing);
    CPPUNIT_TEST(renaming);
    CPPUNIT_TEST(namesChangeHands);
    CPPUNIT_TEST(removing);
    CPPUNIT_TEST(theStartCleansUp);
    CPPUNIT_TEST(theStartMakesNothingAnew);
    CPPUNIT_TEST(whatSomebodyRemovedComesBack);
    CPPUNIT_TEST(whatCannotBeWrittenIsTold);
    CPPUNIT_TEST(whatLiesInTheWayStays);
    CPPUNIT_TEST(aFloodIsCutAndHarmsNoOther);
    CPPUNIT_TEST(manyShortLinesAreCut);
    CPPUNIT_TEST(emptyLinesTakeRoom);
    CPPUNIT_TEST(unsafeNames);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        folder_ = std::make_unique<TempFolder>();
        open({});
    }
    void tearDown() override {
        writer_.reset();
        logs_.reset();
        folder_.reset();
    }

    void writesAndReads() {
        logs_->ensureFunction("fn_1", "hello");
        CPPUNIT_ASSERT(fs::exists(*folder_ / "hello/logs/function.log"));
        logs_->write("fn_1", "01A", LogStream::output, "one\ntwo\n");
        logs_->write("fn_1", "", LogStream::errors, "three");
        logs_->write("fn_1", "01A", LogStream::output, "");
        const auto lines = logs_->tail("fn_1", {.tail = 2});
        CPPUNIT_ASSERT_EQUAL(size_t{2}, lines.size());
        CPPUNIT_ASSERT(
            lines[0].ends_with(R"("invocation_id":"01A","stream":"stdout","text":"two"})"));
        CPPUNIT_ASSERT(
            lines[1].ends_with(R"("invocation_id":"","stream":"stderr","text":"three"})"));
        const std::string text = readFile(*folder_ / "hello/logs/function.log");
        CPPUNIT_ASSERT_EQUAL(2l, std::count(text.begin(), text.end(), '\n'));
        CPPUNIT_ASSERT(logs_->tail("fn_unknown", {}).empty());
    }

    void oneInvocation() {
        logs_->ensureFunction("fn_1", "hello");
        for (const char* id : {"01A", "01B", "01C", "01A"})
            logs_->write("fn_1", id, LogStream::output, std::string("of ") + id + "\n");
        CPPUNIT_ASSERT_EQUAL(size_t{2},
                             logs_->tail("fn_1", {.tail = 100, .invocations = {"01A"}}).size());
        CPPUNIT_ASSERT_EQUAL(
            size_t{3}, logs_->tail("fn_1", {.tail = 100, .invocations = {"01A", "01C"}}).size());
        CPPUNIT_ASSERT(logs_->tail("fn_1", {.tail = 100, .invocations = {"01Z"}}).empty());
    }

    void aLargeLogIsReadInBlocks() {
        logs_->ensureFunction("fn_1", "hello");
        logs_->write("fn_1", "01A", LogStream::output, "first\n");
        writer_->flush();
        const std::string file = *folder_ / "hello/logs/function.log";
        const std::string line = readFile(file);
        {
            std::ofstream out(file, std::ios::app);
            for (int i = 0; i < 300'000; ++i) out << line;  // 20 MB
        }
        logs_->write("fn_1", "01B", LogStream::output, "last\n");
        CPPUNIT_ASSERT(logs_->tail("fn_1", {.tail = 1}).at(0).find("last") != std::string::npos);
        rlimit before{};
        ::getrlimit(RLIMIT_DATA, &before);
        const rlimit little{dataBytes() + (8u << 20), before.rlim_max};
        ::setrlimit(RLIMIT_DATA, &little);
        std::vector<std::string> lines;
        try {
            lines = logs_->tail("fn_1", {.tail = 1, .invocations = {"none"}});
            lines = logs_->tail("fn_1", {.tail = 2});
        } catch (const std::bad_alloc&) {
        }
        ::setrlimit(RLIMIT_DATA, &before);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, lines.size());
    }

    void theNewestLinesThatFit() {
        logs_->ensureFunction("fn_1", "hello");
        for (int i = 0; i < 10; ++i)
            logs_->write("fn_1", "01A", LogStream::output,
                         std::to_string(i) + std::string(1000, 'x') + "\n");
        const auto lines = logs_->tail("fn_1", {.tail = 100, .bytes = 4000});
        CPPUNIT_ASSERT_EQUAL(size_t{3}, lines.size());
        CPPUNIT_ASSERT(lines.front().find("\"7xxx") != std::string::npos);
        CPPUNIT_ASSERT(lines.back().find("\"9xxx") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, logs_->tail("fn_1", {.tail = 100, .bytes = 10}).size());
    }

    void linesAreJoined() {
        logs_->ensureFunction("fn_1", "hello");
        logs_->write("fn_1", "01A", LogStream::output, "caf\xC3");
        writer_->flush();
        CPPUNIT_ASSERT_EQUAL(size_t{1}, logs_->tail("fn_1", {.tail = 1}).size());
        logs_->write("fn_1", "01A", LogStream::output, "\xA9");
        logs_->write("fn_1", "01B", LogStream::output, "of another\n");
        // It is seen before it is complete, and is one line when it is.
        CPPUNIT_ASSERT(logs_->tail("fn_1", {}).at(1).ends_with("\"caf\xC3\xA9\"}"));
        logs_->write("fn_1", "01A", LogStream::output, "!\nnext\n");
        const auto lines = logs_->tail("fn_1", {.tail = 100, .invocations = {"01A"}});
        CPPUNIT_ASSERT_EQUAL(size_t{2}, lines.size());
        CPPUNIT_ASSERT(lines[0].ends_with("\"caf\xC3\xA9!\"}"));
        CPPUNIT_ASSERT(lines[1].ends_with("\"next\"}"));
    }

    void aLineWithoutAnEndIsWritten() {
        const auto written = [this] { return readFile(*folder_ / "hello/logs/function.log"); };
        logs_->ensureFunction("fn_1", "hello");
        logs_->write("fn_1", "01A", LogStream::output, "its call is over");
        logs_->write("fn_1", "01B", LogStream::output, "waits");
        logs_->finish("fn_1", "01A");
        writer_->flush();
        CPPUNIT_ASSERT(written().ends_with(" 01A stdout its call is over\n"));
        open({});  // the platform ends
        CPPUNIT_ASSERT(written().ends_with(" 01B stdout waits\n"));
        open({.linePatience = std::chrono::milliseconds(0)});
        logs_->ensureFunction("fn_1", "hello");
        logs_->write("fn_1", "01C", LogStream::output, "long enough");
        writer_->flush();
        CPPUNIT_ASSERT(written().ends_with(" 01C stdout long enough\n"));
        open({.queuedBytes = 5, .linePatience = std::chrono::hours(1)});
        logs_->ensureFunction("fn_1", "hello");
        logs_->write("fn_1", "01D", LogStream::output, "12345");
        writer_->flush();
        logs_->write("fn_1", "01E", LogStream::output, "6");
        writer_->flush();
        CPPUNIT_ASSERT(written().ends_with(" 01D stdout 12345\n" + written().substr(written().rfind('\n', written().size() - 2) + 1)));
        CPPUNIT_ASSERT(written().ends_with(" 01E stdout 6\n"));
    }

    void othersReadNothing() {
        const mode_t umask = ::umask(0);
        fs::create_directories(*folder_ / ".by-id/fn_old/logs");  // of an earlier release
        open({.retention = {.fileBytes = 100}});
        logs_->begin({{"fn_1", "hello"}, {"fn_old", "old"}});
        for (int i = 0; i < 2; ++i) {
            logs_->write("fn_1", "01A", LogStream::output, "a line of some length\n");
            logs_->write("fn_old", "01B", LogStream::output, "printed\n");
            writer_->flush();
        }
        ::umask(umask);
        CPPUNIT_ASSERT_EQUAL(0750u, modeOf(".by-id/fn_1"));
        CPPUNIT_ASSERT_EQUAL(0750u, modeOf(".by-id/fn_1/logs"));
        CPPUNIT_ASSERT_EQUAL(0640u, modeOf(".by-id/fn_1/logs/function.log"));
        CPPUNIT_ASSERT_EQUAL(0640u, modeOf(".by-id/fn_1/logs/function.log.1"));
        CPPUNIT_ASSERT_EQUAL(0770u, modeOf(".by-id/fn_old"));
        CPPUNIT_ASSERT_EQUAL(0640u, modeOf(".by-id/fn_old/logs/function.log"));
    }

    void renaming() {
        logs_->ensureFunction("fn_1", "old");
        logs_->write("fn_1", "", LogStream::output, "before\n");
        writer_->flush();
        logs_->renameFunction("fn_1", "new");
        logs_->write("fn_1", "", LogStream::output, "after\n");
        writer_->flush();
        CPPUNIT_ASSERT(!fs::exists(fs::symlink_status(*folder_ / "old")));
        const std::string text = readFile(*folder_ / "new/logs/function.log");
        CPPUNIT_ASSERT(text.find("before") != std::string::npos &&
                       text.find("after") != std::string::npos);
    }

    void namesChangeHands() {
        logs_->ensureFunction("fn_1", "a");
        logs_->ensureFunction("fn_2", "b");
        // fn_2 takes the name before fn_1 has told that it lost it.
        logs_->renameFunction("fn_2", "a");
        logs_->renameFunction("fn_1", "c");
        logs_->write("fn_2", "", LogStream::output, "second\n");
        writer_->flush();
        CPPUNIT_ASSERT(readFile(*folder_ / "a/logs/function.log").find("second") !=
                       std::string::npos);
        CPPUNIT_ASSERT(fs::exists(*folder_ / "c/logs/function.log"));
        CPPUNIT_ASSERT(!fs::exists(fs::symlink_status(*folder_ / "b")));
    }

    void removing() {
        logs_->ensureFunction("fn_1", "gone");
        logs_->removeFunction("fn_1");
        CPPUNIT_ASSERT(!fs::exists(fs::symlink_status(*folder_ / "gone")));
        // A call that still runs prints once more.
        logs_->write("fn_1", "", LogStream::output, "late\n");
        writer_->flush();
        CPPUNIT_ASSERT(!fs::exists(*folder_ / ".by-id/fn_1"));
        logs_->removeFunction("fn_1");
    }

    void theStartCleansUp() {
        logs_->ensureFunction("fn_1", "stays");
        logs_->ensureFunction("fn_2", "goes");
        logs_->ensureFunction("fn_3", "moved");
        logs_->write("fn_1", "", LogStream::output, "kept");
        writer_->flush();
        writeFile(*folder_ / "notes.txt", "of the operator");
        open({});
        logs_->begin({{"fn_1", "stays"}, {"fn_3", "goes"}, {"fn_4", "fresh"}});
        CPPUNIT_ASSERT(readFile(*folder_ / "stays/logs/function.log").find("kept") !=
                       std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string(".by-id/fn_3"),
                             fs::read_symlink(*folder_ / "goes").string());
        CPPUNIT_ASSERT(!fs::exists(fs::symlink_status(*folder_ / "moved")));
        CPPUNIT_ASSERT(!fs::exists(*folder_ / ".by-id/fn_2"));
        CPPUNIT_ASSERT(fs::exists(*folder_ / "fresh/logs/function.log"));
        CPPUNIT_ASSERT(fs::exists(*folder_ / "notes.txt"));
    }

    void theStartMakesNothingAnew() {
        logs_->ensureFunction("fn_1", "stays");
        logs_->ensureFunction("fn_2", "moved");
        struct stat before {}, after {};
        CPPUNIT_ASSERT_EQUAL(0, ::lstat((*folder_ / "stays").c_str(), &before));
        open({});
        logs_->look();
        logs_->ensureFunction("fn_1", "stays");  // as each function is that comes back
        logs_->ensureFunction("fn_2", "here");
        logs_->begin({{"fn_1", "stays"}, {"fn_2", "here"}});
        CPPUNIT_ASSERT_EQUAL(0, ::lstat((*folder_ / "stays").c_str(), &after));
        CPPUNIT_ASSERT_EQUAL(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
        CPPUNIT_ASSERT_EQUAL(before.st_ino, after.st_ino);
        CPPUNIT_ASSERT(fs::exists(*folder_ / "here/logs/function.log"));
        CPPUNIT_ASSERT(!fs::exists(fs::symlink_status(*folder_ / "moved")));
    }

    void whatSomebodyRemovedComesBack() {
        logs_->ensureFunction("fn_1", "hello");
        const auto printAndRead = [this] {
            logs_->write("fn_1", "01A", LogStream::output, "again\n");
            writer_->flush();
            CPPUNIT_ASSERT(readFile(*folder_ / "hello/logs/function.log").ends_with("again\n"));
            CPPUNIT_ASSERT_EQUAL(std::string(), logs_->trouble());
        };
        for (const char* what :
             {"hello/logs", ".by-id/fn_1", ".by-id", "hello/logs/function.log"}) {
            fs::remove_all(*folder_ / what);
            printAndRead();
        }
        fs::remove_all(*folder_ / ".by-id");
        fs::remove(*folder_ / "hello");
        printAndRead();
        fs::remove_all(*folder_ / "hello/logs");
        open({});
        logs_->begin({{"fn_1", "hello"}});
        CPPUNIT_ASSERT_MESSAGE("at the start", fs::exists(*folder_ / "hello/logs/function.log"));
    }

    void whatCannotBeWrittenIsTold() {
        open({.retry = std::chrono::milliseconds(0)});
        logs_->ensureFunction("fn_1", "hello");
        const std::string file = *folder_ / "hello/logs/function.log";
        fs::remove(file);
        fs::create_directory(file);
        for (int i = 0; i < 2; ++i) {
            logs_->write("fn_1", "01A", LogStream::output, "lost\n");
            writer_->flush();
        }
        const std::string trouble = logs_->trouble();
        CPPUNIT_ASSERT_MESSAGE(trouble, trouble.starts_with("log files of functions cannot be "
                                                            "written (1): " +
                                                            folder_->path()) &&
                                            trouble.ends_with(": Is a directory"));
        fs::remove(file);
        writer_->flush();  // without another line
        CPPUNIT_ASSERT_EQUAL(std::string(), logs_->trouble());
        logs_->write("fn_1", "01A", LogStream::output, "kept\n");
        const auto lines = logs_->tail("fn_1", {});
        CPPUNIT_ASSERT_EQUAL(size_t{2}, lines.size());
        CPPUNIT_ASSERT_MESSAGE(
            lines[0], lines[0].find("platform\",\"text\":\"[lost: ") != std::string::npos);
        CPPUNIT_ASSERT(lines[1].find("kept") != std::string::npos);
        fs::remove(file);
        fs::create_directory(file);
        logs_->write("fn_1", "01A", LogStream::output, "lost\n");
        writer_->flush();
        CPPUNIT_ASSERT(!logs_->trouble().empty());
        logs_->removeFunction("fn_1");
        writer_->flush();
        CPPUNIT_ASSERT_EQUAL(std::string(), logs_->trouble());
    }

    void whatLiesInTheWayStays() {
        fs::create_directory(*folder_ / "mine");
        writeFile(*folder_ / "mine/file", "of the operator");
        logs_->ensureFunction("fn_1", "mine");
        logs_->write("fn_1", "", LogStream::output, "x");
        CPPUNIT_ASSERT_EQUAL(size_t{1}, logs_->tail("fn_1", {}).size());
        logs_->removeFunction("fn_1");
        CPPUNIT_ASSERT_EQUAL(std::string("of the operator"), readFile(*folder_ / "mine/file"));
    }

    void aFloodIsCutAndHarmsNoOther() {
        open({.functionBytes = 1600, .queuedBytes = 1500});
        logs_->ensureFunction("fn_1", "loud");
        logs_->ensureFunction("fn_2", "quiet");
        for (int i = 0; i < 100; ++i)
            logs_->write("fn_1", "01A", LogStream::output, std::string(99, 'x') + "\n");
        logs_->write("fn_2", "01B", LogStream::output, "heard\n");
        CPPUNIT_ASSERT_EQUAL(size_t{1}, logs_->tail("fn_2", {}).size());
        const auto lines = logs_->tail("fn_1", {});
        CPPUNIT_ASSERT_EQUAL(size_t{11}, lines.size());
        CPPUNIT_ASSERT(
            lines.back().find("[cut: 9000 bytes were printed faster than they can be kept]") !=
            std::string::npos);
        CPPUNIT_ASSERT_EQUAL(uint64_t{9000}, logs_->cutBytes());
        // The next interval has room again.
        logs_->write("fn_1", "01A", LogStream::output, "again\n");
        CPPUNIT_ASSERT(logs_->tail("fn_1", {.tail = 1}).at(0).find("again") != std::string::npos);
    }

    // While the disk does not take them, short lines and ends of calls would fill the memory.
    void manyShortLinesAreCut() {
        open({.functionPieces = 10, .queuedPieces = 15});
        logs_->ensureFunction("fn_1", "loud");
        logs_->ensureFunction("fn_2", "other");
        const auto print = [&](const char* function, int lines) {
            for (int i = 0; i < lines; ++i) logs_->write(function, "01A", LogStream::output, "x\n");
        };
        print("fn_1", 30);
        for (int i = 0; i < 1000; ++i) logs_->finish("fn_2", "01B");
        print("fn_2", 30);
        CPPUNIT_ASSERT_EQUAL(size_t{11}, logs_->tail("fn_1", {}).size());
        CPPUNIT_ASSERT_EQUAL_MESSAGE("all are cut, and it is said", size_t{1},
                                     logs_->tail("fn_2", {}).size());
        CPPUNIT_ASSERT_EQUAL(uint64_t{100}, logs_->cutBytes());
        print("fn_2", 5);
        CPPUNIT_ASSERT_EQUAL(size_t{6}, logs_->tail("fn_2", {}).size());
    }

    // Sixty bytes in the file for one that is printed.
    void emptyLinesTakeRoom() {
        open({.functionBytes = 10'000});
        logs_->ensureFunction("fn_1", "loud");
        logs_->write("fn_1", "01A", LogStream::output, std::string(500, '\n') + "the end");
        CPPUNIT_ASSERT_EQUAL(uint64_t{507 - 163}, logs_->cutBytes());
        logs_->write("fn_1", "01A", LogStream::output, "no room\n");
        CPPUNIT_ASSERT_EQUAL(size_t{164}, logs_->tail("fn_1", {.tail = 1000}).size());
        logs_->write("fn_1", "01A", LogStream::output, "line\n");
        CPPUNIT_ASSERT_EQUAL(size_t{165}, logs_->tail("fn_1", {.tail = 1000}).size());
    }

    void unsafeNames() {
        for (const char* name : {"..", "a/b", "", ".hidden", "a b"}) {
            logs_->ensureFunction("fn_1", name);
            logs_->ensureFunction(name, "name");
        }
        CPPUNIT_ASSERT(fs::is_empty(folder_->path()));
    }

private:
    // Of this process, without what it only maps (proc_pid_statm(5)).
    static size_t dataBytes() {
        size_t pages[6]{};
        std::ifstream statm("/proc/self/statm");
        for (size_t& one : pages) statm >> one;
        return pages[5] * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    }
    unsigned modeOf(const char* path) {
        struct stat info {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat((*folder_ / path).c_str(), &info));
        return info.st_mode & 07777;
    }
    void open(telemetry::FunctionLogsOptions options) {
        writer_.reset();
        logs_.reset();
        options.workDir = folder_->path();
        // So slow that nothing is written but where a test asks for it.
        writer_ = std::make_unique<Writer>(std::chrono::hours(1));
        logs_ = std::make_unique<FunctionLogs>(std::move(options), *writer_);
        writer_->start();
    }

    std::unique_ptr<TempFolder> folder_;
    std::unique_ptr<Writer> writer_;
    std::unique_ptr<FunctionLogs> logs_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(FunctionLogsTest);

}  // namespace cf::test
