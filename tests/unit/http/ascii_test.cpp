// Character classes and the rules for single field lines and hosts.
#include "http/ascii.hpp"

#include "http/field.hpp"
#include "support.hpp"

namespace cf::http {

class AsciiTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AsciiTest);
    CPPUNIT_TEST(testTokens);
    CPPUNIT_TEST(testValues);
    CPPUNIT_TEST(testFields);
    CPPUNIT_TEST(testHosts);
    CPPUNIT_TEST(testLists);
    CPPUNIT_TEST_SUITE_END();

public:
    void testTokens() {
        // RFC 9110 section 5.6.2, every character of it and none besides.
        const std::string tchar =
            "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        for (int c = 0; c < 256; ++c)
            CPPUNIT_ASSERT_EQUAL(tchar.find(static_cast<char>(c)) != std::string::npos,
                                 is(static_cast<char>(c), ascii::token));
    }

    void testValues() {
        for (int c = 0; c < 256; ++c)
            CPPUNIT_ASSERT_EQUAL(c == '\t' || (c >= 0x20 && c != 0x7f),
                                 is(static_cast<char>(c), ascii::value));
    }

    void testFields() {
        const FieldLine field = splitField("X-Name: \t some value\t ");
        CPPUNIT_ASSERT(field.error == nullptr);
        CPPUNIT_ASSERT_EQUAL(std::string("X-Name"), std::string(field.name));
        CPPUNIT_ASSERT_EQUAL(std::string("some value"), std::string(field.value));
        CPPUNIT_ASSERT(splitField("Empty:").error == nullptr);
        CPPUNIT_ASSERT(splitField("Colons:a:b").value == "a:b");
        for (const std::string_view bad :
             {":v", "no colon", "nocolon", "Name : v", " Name: v", "\tName: v", "Na me: v",
              "N@me: v", "Name: a\rb", "Name: a\x01", "Name: \x7f", "N\xc3\xa4me: v"})
            CPPUNIT_ASSERT_MESSAGE(std::string(bad), splitField(bad).error != nullptr);
        CPPUNIT_ASSERT(splitField({"Name: a\0b", 9}).error != nullptr);
    }

    void testHosts() {
        for (const char* good : {"a", "localhost:8080", "127.0.0.1", "[::1]", "[::1]:80",
                                 "a-b.example.", "x_y", "0.0.0.0=5000", "a:"})
            CPPUNIT_ASSERT_MESSAGE(good, isHost(good));
        for (const char* bad : {"", ":80", "a b", "a/b", "a@b", "a:b", "a:123456", "[::1", "[]",
                                "[x]", "::1", "a?b", "a#b", "[::1]x"})
            CPPUNIT_ASSERT_MESSAGE(bad, !isHost(bad));
    }

    void testLists() {
        CPPUNIT_ASSERT(listHas("close", "close"));
        CPPUNIT_ASSERT(listHas("Upgrade , CLOSE", "close"));
        CPPUNIT_ASSERT(!listHas("closed", "close"));
        CPPUNIT_ASSERT(!listHas("", "close"));
        CPPUNIT_ASSERT(!listHas("a,,b", "close"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(AsciiTest);

}  // namespace cf::http
