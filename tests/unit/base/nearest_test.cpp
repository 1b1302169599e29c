// Which word is said to be meant.
#include "base/nearest.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <string>

namespace cf::base::test {

class NearestTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(NearestTest);
    CPPUNIT_TEST(findsWhatWasMeant);
    CPPUNIT_TEST(guessesNothingWild);
    CPPUNIT_TEST_SUITE_END();

public:
    void findsWhatWasMeant() {
        CPPUNIT_ASSERT_EQUAL(std::string("timeout"), meant("timeot"));
        CPPUNIT_ASSERT_EQUAL(std::string("timeout"), meant("Timeout"));
        CPPUNIT_ASSERT_EQUAL(std::string("init_timeout"), meant("init-timeout"));
        CPPUNIT_ASSERT_EQUAL(std::string("memory"), meant("memory_mb"));
        CPPUNIT_ASSERT_EQUAL(std::string("name"), meant("nmae"));
    }

    void guessesNothingWild() {
        for (const auto& wrong : {"", "x", "foo", "schedule"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(wrong, std::string(), meant(wrong));
        CPPUNIT_ASSERT_EQUAL(std::string(), meant(std::string(10'000'000, 'n')));
        CPPUNIT_ASSERT(nearest("name", {}).empty());
    }

private:
    static std::string meant(const std::string& wrong) {
        return std::string(nearest(wrong, {"name", "timeout", "init_timeout", "memory", "http"}));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(NearestTest);

}  // namespace cf::base::test
