#include "base/short_text.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <string>

namespace cf::base {

class ShortTextTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ShortTextTest);
    CPPUNIT_TEST(testPieces);
    CPPUNIT_TEST(testWhatDoesNotFit);
    CPPUNIT_TEST_SUITE_END();

public:
    void testPieces() {
        ShortText<64> text;
        CPPUNIT_ASSERT_EQUAL(std::string(), std::string(text.text()));
        (text += "a ") += 'b';
        (text.number(0) += ' ').number(UINT64_MAX) += "";
        CPPUNIT_ASSERT_EQUAL(std::string("a b0 18446744073709551615"), std::string(text.text()));
    }

    void testWhatDoesNotFit() {
        ShortText<24> text;
        text += "abcd";
        CPPUNIT_ASSERT_THROW(text += std::string(21, 'x'), std::length_error);
        text.number(7);  // as the largest number would
        CPPUNIT_ASSERT_THROW(text.number(7), std::length_error);
        CPPUNIT_ASSERT_EQUAL(std::string("abcd7"), std::string((text += std::string(19, 'x')).text().substr(0, 5)));
        CPPUNIT_ASSERT_THROW(text += 'x', std::length_error);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ShortTextTest);

}  // namespace cf::base
