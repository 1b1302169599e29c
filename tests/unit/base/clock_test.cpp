#include "base/clock.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <cstdlib>

namespace cf::base {

class ClockTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ClockTest);
    CPPUNIT_TEST(testRfc3339);
    CPPUNIT_TEST(testMilliseconds);
    CPPUNIT_TEST(testWallFromSteady);
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
    void testWallFromSteady() {
        using std::chrono::seconds;
        WallFromSteady wall;
        const auto now = std::chrono::steady_clock::now();
        const int64_t first = wall.unixMs(now);
        // Far more than a machine that others use needs between two lines, far less than an error
        // of epochs would be.
        CPPUNIT_ASSERT(std::abs(first - unixMs(WallClock::now())) < 10'000);
        CPPUNIT_ASSERT_EQUAL(first + 7, wall.unixMs(now + std::chrono::milliseconds(7)));
        // Asked anew, and of an hour ahead all the same.
        const int64_t ahead = wall.unixMs(now + seconds(3600)) - first;
        CPPUNIT_ASSERT(std::abs(ahead - 3'600'000) < 10'000);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ClockTest);

}  // namespace cf::base
