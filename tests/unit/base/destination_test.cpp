#include "base/destination.hpp"

#include <cppunit/extensions/HelperMacros.h>

namespace cf::base {

class DestinationTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(DestinationTest);
    CPPUNIT_TEST(testAccepted);
    CPPUNIT_TEST(testRefusedWithTheReason);
    CPPUNIT_TEST(testAddresses);
    CPPUNIT_TEST_SUITE_END();

    static Destination read(const std::string& text) {
        std::string why;
        const auto destination = parseDestination(text, why);
        CPPUNIT_ASSERT_MESSAGE(text + " " + why, destination.has_value());
        return *destination;
    }

    void testAccepted() {
        CPPUNIT_ASSERT(read("API.Example.com.:443") == (Destination{"api.example.com", 0, 32, 443}));
        CPPUNIT_ASSERT(read("db") == (Destination{"db", 0, 32, 0}));
        CPPUNIT_ASSERT(read("_x-1.example") == (Destination{"_x-1.example", 0, 32, 0}));
        CPPUNIT_ASSERT(read("198.51.100.7") == (Destination{"", 0xC6336407, 32, 0}));
        CPPUNIT_ASSERT(read("10.0.0.0/8:5432") == (Destination{"", 0x0A000000, 8, 5432}));
        CPPUNIT_ASSERT(read("0.0.0.0/0") == (Destination{"", 0, 0, 0}));
    }

    void testRefusedWithTheReason() {
        const std::pair<std::string, const char*> cases[] = {
            {"", "empty"},
            {"https://example.com", "URL"},
            {"*.example.com", "wildcard"},
            {"::1", "IPv6"},
            {"[fd00::1]:443", "IPv6"},
            {"example.com:0", "ports are"},
            {"example.com:65536", "ports are"},
            {"example.com:", "ports are"},
            {"example.com:4x", "ports are"},
            {"10.0.0.1/8", "write 10.0.0.0/8"},
            {"10.0.0.0/33", "address/prefix"},
            {"example.com/8", "address/prefix"},
            {"256.1.1.1", "neither"},
            {"1.2.3", "neither"},
            {"010.1.1.1", "neither"},
            {"-a.com", "neither"},
            {"a..b", "neither"},
            {"a b", "neither"},
            {std::string("a\0b", 3), "neither"},
            {"a\nb", "neither"},
            {std::string(64, 'a'), "neither"},
            {std::string(256, 'a'), "256 bytes"}};
        for (const auto& [text, part] : cases) {
            std::string why;
            CPPUNIT_ASSERT_MESSAGE(text, !parseDestination(text, why));
            CPPUNIT_ASSERT_MESSAGE(text + ": " + why, why.find(part) != std::string::npos);
        }
    }

    void testAddresses() {
        CPPUNIT_ASSERT_EQUAL(uint32_t(0x7F000001), *parseAddress("127.0.0.1"));
        CPPUNIT_ASSERT_EQUAL(std::string("127.0.0.1"), addressText(0x7F000001));
        CPPUNIT_ASSERT_EQUAL(std::string("10.0.0.0/8"), rangeText(0x0A000000, 8));
        for (const char* text : {"1.2.3.", "1.2.3.4.5", "1..2.3", "a.b.c.d", "", "1.2.3.4 "})
            CPPUNIT_ASSERT_MESSAGE(text, !parseAddress(text));
        CPPUNIT_ASSERT_EQUAL(uint32_t(0), maskOf(0));
        CPPUNIT_ASSERT_EQUAL(~uint32_t(0), maskOf(32));
        CPPUNIT_ASSERT_EQUAL(uint32_t(0xFFFFF000), maskOf(20));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DestinationTest);

}  // namespace cf::base
