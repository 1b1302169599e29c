// The lines by which a probe process tells what it saw.
#include "executors/report.hpp"

#include <cppunit/extensions/HelperMacros.h>

namespace cf::test {

using namespace executors;

class ReportTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ReportTest);
    CPPUNIT_TEST(thereAndBack);
    CPPUNIT_TEST(theLastCompleteLine);
    CPPUNIT_TEST(garbage);
    CPPUNIT_TEST_SUITE_END();

public:
    void thereAndBack() {
        const ProbeReport report{"lua", "1.0",
                                 "1.0", "{\n \"x\": \"\\\"\"}",
                                 "{}",  Unavailable{"no \"lua\"\n", "install it"}};
        const std::string line = writeReport(report);
        CPPUNIT_ASSERT_EQUAL(line.size() - 1, line.find('\n'));
        const auto read = readReport(line);
        CPPUNIT_ASSERT(read);
        CPPUNIT_ASSERT_EQUAL(report.manifestJson, read->manifestJson);
        CPPUNIT_ASSERT_EQUAL(report.unavailable->reason, read->unavailable->reason);
        CPPUNIT_ASSERT_EQUAL(report.unavailable->hint, read->unavailable->hint);
        CPPUNIT_ASSERT(!readReport(writeReport({.id = "lua"}))->unavailable);
    }

    void theLastCompleteLine() {
        const std::string lines = writeReport({.id = "first"}) + writeReport({.id = "second"});
        CPPUNIT_ASSERT_EQUAL(std::string("second"), readReport(lines)->id);
        CPPUNIT_ASSERT_EQUAL(std::string("second"), readReport(lines + "{\"id\":\"thi")->id);
    }

    void garbage() {
        for (const char* text : {"", "x", "\n", "x\n", "[]\n", "{\"id\":\n"})
            CPPUNIT_ASSERT_MESSAGE(text, !readReport(text));
        CPPUNIT_ASSERT(readReport("{\"id\":7}\n")->id.empty());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ReportTest);

}  // namespace cf::test
