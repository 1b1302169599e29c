// Lines that come in pieces.
#include "telemetry/log_joiner.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

namespace cf::test {

using namespace telemetry;
using Clock = LogJoiner::Clock;

class LogJoinerTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LogJoinerTest);
    CPPUNIT_TEST(piecesMakeALine);
    CPPUNIT_TEST(callsAndStreamsAreKeptApart);
    CPPUNIT_TEST(aLineEndCutInTwo);
    CPPUNIT_TEST(whatThePlatformSaysIsComplete);
    CPPUNIT_TEST(longLinesDoNotWait);
    CPPUNIT_TEST(fewLinesWait);
    CPPUNIT_TEST(linesWaitForATime);
    CPPUNIT_TEST_SUITE_END();

    LogJoiner joiner_;
    Clock::time_point now_{};

    // What became complete, without times.
    std::string add(std::string_view text, std::string_view call = "01A",
                    LogStream stream = LogStream::output) {
        std::string out;
        joiner_.add(out, now_, 0, call, stream, text);
        return plain(out);
    }
    static std::string plain(std::string out) {
        for (size_t at = 0; at < out.size(); at = out.find('\n', at) + 1) out.erase(at, 25);
        return out;
    }
    static long lines(const std::string& text) {
        return std::count(text.begin(), text.end(), '\n');
    }

public:
    void setUp() override { joiner_ = {}; }

    void piecesMakeALine() {
        CPPUNIT_ASSERT_EQUAL(std::string(), add("a"));
        CPPUNIT_ASSERT_EQUAL(std::string(), add("\xC3"));
        CPPUNIT_ASSERT_EQUAL(std::string("01A stdout a\xC3\xA9\n01A stdout x\n"),
                             add("\xA9\nx\ny"));
        CPPUNIT_ASSERT_EQUAL(std::string("01A stdout y\n"), plain(joiner_.peek()));
        CPPUNIT_ASSERT_EQUAL(std::string("01A stdout y\n01A stdout \n"), add("\n\n"));
        CPPUNIT_ASSERT(joiner_.empty());
    }

    void callsAndStreamsAreKeptApart() {
        add("one");
        add("two", "01B");
        add("three", "01A", LogStream::errors);
        add("four", "");
        CPPUNIT_ASSERT_EQUAL(std::string("01B stdout two!\n"), add("!\n", "01B"));
        CPPUNIT_ASSERT_EQUAL(std::string("- stdout four!\n"), add("!\n", ""));
        std::string out;
        joiner_.finish(out, "01A");
        CPPUNIT_ASSERT_EQUAL(std::string("01A stdout one\n01A stderr three\n"), plain(out));
        CPPUNIT_ASSERT(joiner_.empty());
    }

    void aLineEndCutInTwo() {
        add("a\r");
        CPPUNIT_ASSERT_EQUAL(std::string("01A stdout a\n"), add("\n"));
    }

    void whatThePlatformSaysIsComplete() {
        add("open", "");
        CPPUNIT_ASSERT_EQUAL(std::string("- platform remark\n"),
                             add("remark", "", LogStream::platform));
        CPPUNIT_ASSERT_EQUAL(std::string("- platform remark\n"),
                             add("remark", "", LogStream::platform));
    }

    void longLinesDoNotWait() {
        std::string out;
        for (size_t i = 0; i < 3 * logLineLimit; i += 1024) {
            out += add(std::string(1023, 'x') + "\xC3");
            out += add("\xA9");
            CPPUNIT_ASSERT(joiner_.bytes() <= logLineLimit);
        }
        out += add("\n");
        CPPUNIT_ASSERT_EQUAL(4l, lines(out));
        CPPUNIT_ASSERT(out.find("\xEF\xBF\xBD") == std::string::npos);
    }

    void fewLinesWait() {
        std::string out;
        for (size_t i = 0; i < LogJoiner::most + 3; ++i) out += add("x", std::to_string(i));
        CPPUNIT_ASSERT_EQUAL(std::string("0 stdout x\n1 stdout x\n2 stdout x\n"), out);
        CPPUNIT_ASSERT_EQUAL(long{LogJoiner::most}, lines(joiner_.peek()));
    }

    void linesWaitForATime() {
        add("old");
        now_ += std::chrono::seconds(1);
        add("new", "01B");
        add("er");
        std::string out;
        joiner_.expire(out, now_ - std::chrono::milliseconds(1));
        CPPUNIT_ASSERT_EQUAL(std::string("01A stdout older\n"), plain(out));
        CPPUNIT_ASSERT_EQUAL(size_t{3}, joiner_.bytes());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogJoinerTest);

}  // namespace cf::test
