// Lines of a function's log: one for each line printed, none that a function could forge.
#include "telemetry/log_line.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

#include "base/json.hpp"

namespace cf::test {

using namespace telemetry;

class LogLineTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LogLineTest);
    CPPUNIT_TEST(lines);
    CPPUNIT_TEST(hostileText);
    CPPUNIT_TEST(longLines);
    CPPUNIT_TEST(readBack);
    CPPUNIT_TEST(notALine);
    CPPUNIT_TEST_SUITE_END();

public:
    void lines() {
        CPPUNIT_ASSERT_EQUAL(std::string("2026-01-31T12:00:00.123Z 01ID stdout "
                                         "one\n2026-01-31T12:00:00.123Z 01ID stdout two\n"),
                             write("one\ntwo"));
        CPPUNIT_ASSERT_EQUAL(std::string("2026-01-31T12:00:00.123Z 01ID stdout one\n"),
                             write("one\r\n"));
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                "2026-01-31T12:00:00.123Z 01ID stdout \n2026-01-31T12:00:00.123Z 01ID stdout x\n"),
            write("\nx\n"));
    }

    void hostileText() {
        CPPUNIT_ASSERT_EQUAL(std::string("2026-01-31T12:00:00.123Z 01ID stdout "
                                         "a\\x00b\\x1b[2Jc\\x9bd\\x0d\xEF\xBF\xBD\te\n"),
                             write({"a\0b\x1b[2Jc\xC2\x9b"
                                    "d\r\xff\te\n",
                                    16}));
    }

    void longLines() {
        const std::string out = write(std::string(logLineLimit - 1, 'x') +
                                      "\xC3\xA9"
                                      "end");
        // The character at the edge stays whole.
        CPPUNIT_ASSERT(
            out.ends_with(" stdout \xC3\xA9"
                          "end\n"));
        CPPUNIT_ASSERT_EQUAL(2l, std::count(out.begin(), out.end(), '\n'));
    }

    void readBack() {
        const std::string out = write("say \"hi\"  twice ");
        const auto line = parseLogLine({out.data(), out.size() - 1});
        CPPUNIT_ASSERT(line);
        CPPUNIT_ASSERT(line->invocationId == "01ID" && line->stream == "stdout" &&
                       line->text == "say \"hi\"  twice ");
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                R"({"time":"2026-01-31T12:00:00.123Z","invocation_id":"01ID","stream":"stdout","text":"say \"hi\"  twice "})"),
            logLineJson(*line));
        std::string outside;
        appendLogLines(outside, 0, "", LogStream::errors, "x");
        CPPUNIT_ASSERT_EQUAL(std::string("1970-01-01T00:00:00.000Z - stderr x\n"), outside);
        CPPUNIT_ASSERT(parseLogLine("1970-01-01T00:00:00.000Z - stderr x")->invocationId.empty());
        CPPUNIT_ASSERT(parseLogLine("1970-01-01T00:00:00.000Z - stderr ")->text.empty());
    }

    void notALine() {
        for (const char* text : {"", " ", "x", "1970-01-01T00:00:00.000Z",
                                 "1970-01-01T00:00:00.000Z - stderr", "a b c d"})
            CPPUNIT_ASSERT_MESSAGE(text, !parseLogLine(text));
    }

private:
    static std::string write(std::string_view text) {
        std::string out;
        appendLogLines(out, 1769860800123, "01ID", LogStream::output, text);
        return out;
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LogLineTest);

}  // namespace cf::test
