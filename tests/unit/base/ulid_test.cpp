#include "base/ulid.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <set>

namespace cf::base {

class UlidTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(UlidTest);
    CPPUNIT_TEST(testTimePart);
    CPPUNIT_TEST(testOrder);
    CPPUNIT_TEST(testClockStepsBack);
    CPPUNIT_TEST(testForm);
    CPPUNIT_TEST(testRandomBits);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTimePart() {
        // The example of the ULID specification.
        CPPUNIT_ASSERT_EQUAL(std::string("01ARYZ6S41"),
                             UlidGenerator().next(1469918176385).substr(0, 10));
        CPPUNIT_ASSERT_EQUAL(std::string("0000000000"), UlidGenerator().next(0).substr(0, 10));
        CPPUNIT_ASSERT_EQUAL(std::string("7ZZZZZZZZZ"),
                             UlidGenerator().next((int64_t{1} << 48) - 1).substr(0, 10));
    }

    void testOrder() {
        UlidGenerator generator;
        std::string last;
        std::set<std::string> all;
        for (int i = 0; i < 100'000; ++i) {
            const std::string id = generator.next(1'700'000'000'000 + i / 1000);
            CPPUNIT_ASSERT(last < id);
            CPPUNIT_ASSERT(isUlid(id));
            last = id;
        }
    }

    void testClockStepsBack() {
        UlidGenerator generator;
        const std::string before = generator.next(2000), after = generator.next(1000);
        CPPUNIT_ASSERT(before < after);
    }

    void testForm() {
        CPPUNIT_ASSERT(isUlid("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        CPPUNIT_ASSERT(isUlid("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"));
        for (const char* bad : {"", "01ARZ3NDEKTSV4RRFFQ69G5FA", "01ARZ3NDEKTSV4RRFFQ69G5FAVX",
                                "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01arz3ndektsv4rrffq69g5fav",
                                "01ARZ3NDEKTSV4RRFFQ69G5FAI", "01ARZ3NDEKTSV4RRFFQ69G5FAU",
                                "01ARZ3NDEKTSV4RRFFQ69G5FA-"})
            CPPUNIT_ASSERT_MESSAGE(bad, !isUlid(bad));
        CPPUNIT_ASSERT(!isUlid(std::string("01ARZ3NDEKTSV4RRFFQ69G5FA\0", 26)));
    }

    void testRandomBits() {
        std::set<uint64_t> seen;
        for (int i = 0; i < 1000; ++i) seen.insert(randomBits());
        CPPUNIT_ASSERT_EQUAL(size_t{1000}, seen.size());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(UlidTest);

}  // namespace cf::base
