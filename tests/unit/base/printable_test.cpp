#include "base/printable.hpp"

#include <cppunit/extensions/HelperMacros.h>

namespace cf::base {

class PrintableTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(PrintableTest);
    CPPUNIT_TEST(testText);
    CPPUNIT_TEST_SUITE_END();

public:
    void testText() {
        CPPUNIT_ASSERT_EQUAL(std::string("a\tb \xc3\xa4"), printable("a\tb \xc3\xa4"));
        CPPUNIT_ASSERT_EQUAL(std::string("a\\x0ab\\x1b[2J\\x7f\\x00"),
                             printable(std::string_view("a\nb\x1b[2J\x7f\0", 9)));
        CPPUNIT_ASSERT_EQUAL(std::string("\xef\xbf\xbd"
                                         "a\\x9b"),
                             printable("\xff"
                                       "a\xc2\x9b"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PrintableTest);

}  // namespace cf::base
