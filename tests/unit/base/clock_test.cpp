#include "base/clock.hpp"

#include <cppunit/extensions/HelperMacros.h>

namespace cf::base {

class ClockTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ClockTest);
    CPPUNIT_TEST(testRfc3339);
    CPPUNIT_TEST(testMilliseconds);
    CPPUNIT_TEST_SUITE_END();

public:
    void testRfc3339() {
        CPPUNIT_ASSERT_EQUAL(std::string("1970-01-01T00:00:00.000Z"), rfc3339(fromUnixMs(0)));
        CPPUNIT_ASSERT_EQUAL(std::string("2024-02-29T23:59:59.007Z"),
                             rfc3339(fromUnixMs(1709251199007)));
        CPPUNIT_ASSERT_EQUAL(std::string("1969-12-31T23:59:59.999Z"), rfc3339(fromUnixMs(-1)));
    }
    void testMilliseconds() {
        for (const int64_t ms : {int64_t{0}, int64_t{-5}, int64_t{1709251199007}})
            CPPUNIT_ASSERT_EQUAL(ms, unixMs(fromUnixMs(ms)));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ClockTest);

}  // namespace cf::base
