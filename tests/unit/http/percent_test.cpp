#include "http/percent.hpp"

#include "support.hpp"

namespace cf::http {

class PercentTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(PercentTest);
    CPPUNIT_TEST(testDecoding);
    CPPUNIT_TEST(testRefusals);
    CPPUNIT_TEST_SUITE_END();

public:
    void testDecoding() {
        std::string out = "left over";
        CPPUNIT_ASSERT(percentDecode("", out));
        CPPUNIT_ASSERT_EQUAL(std::string(), out);
        CPPUNIT_ASSERT(percentDecode("a+b%20%C3%a4%25", out));
        CPPUNIT_ASSERT_EQUAL(std::string("a+b \xc3\xa4%"), out);
    }

    void testRefusals() {
        std::string out;
        for (const char* bad :
             {"%", "%1", "a%", "%g0", "%0g", "%%20", "% 1", "%00", "%2f", "%2F", "%+1", "%-1"})
            CPPUNIT_ASSERT_MESSAGE(bad, !percentDecode(bad, out));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PercentTest);

}  // namespace cf::http
