// Documents of the control plane, and text written into JSON.
#include "base/json.hpp"

#include <cppunit/extensions/HelperMacros.h>

namespace cf::base {

class JsonTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JsonTest);
    CPPUNIT_TEST(testDocument);
    CPPUNIT_TEST(testDepth);
    CPPUNIT_TEST(testDuplicateKeys);
    CPPUNIT_TEST(testMalformed);
    CPPUNIT_TEST(testValidatorKeepsWorking);
    CPPUNIT_TEST(testStrings);
    CPPUNIT_TEST(testUtf8);
    CPPUNIT_TEST_SUITE_END();

    static std::string reason(const std::string& text, size_t depth = controlJsonDepth) {
        const auto document = JsonDocument::parse(text, depth);
        return document ? "fine" : document.failure().reason;
    }

public:
    void testDocument() {
        auto document = JsonDocument::parse(" {\"a\":[1,2,{\"b\":null}]} \n");
        CPPUNIT_ASSERT(document);
        CPPUNIT_ASSERT_EQUAL(int64_t{2}, int64_t(document->root()["a"].at(1)));
        const JsonDocument moved = *std::move(document);
        CPPUNIT_ASSERT_EQUAL(int64_t{1}, int64_t(moved.root()["a"].at(0)));
    }

    void testDepth() {
        const auto nested = [](size_t depth) {
            return std::string(depth, '[') + std::string(depth, ']');
        };
        CPPUNIT_ASSERT_EQUAL(std::string("fine"), reason(nested(63)));
        CPPUNIT_ASSERT_EQUAL(std::string("json_too_deep"), reason(nested(65)));
        CPPUNIT_ASSERT_EQUAL(std::string("json_too_deep"), reason(nested(100'000)));
        CPPUNIT_ASSERT(reason(std::string(100'000, '[')) != "fine");
    }

    void testDuplicateKeys() {
        CPPUNIT_ASSERT_EQUAL(std::string("duplicate_key"), reason("{\"a\":1,\"a\":1}"));
        CPPUNIT_ASSERT_EQUAL(std::string("duplicate_key"), reason("{\"a\":1,\"\\u0061\":2}"));
        CPPUNIT_ASSERT_EQUAL(std::string("duplicate_key"),
                             reason("[{\"x\":{\"b\":1,\"c\":2,\"b\":3}}]"));
        CPPUNIT_ASSERT_EQUAL(std::string("fine"),
                             reason("[{\"a\":1},{\"a\":2},{\"A\":1,\"a\":{\"a\":1}}]"));
        const auto document = JsonDocument::parse("{\"x\":[{\"a/b~\":1,\"a/b~\":2}]}");
        CPPUNIT_ASSERT_EQUAL(std::string("/x/0/a~1b~0"), document.failure().fields.at(0).pointer);
    }

    void testMalformed() {
        for (const char* bad : {"",
                                " ",
                                "{",
                                "nonsense",
                                "{\"a\":1,}",
                                "{'a':1}",
                                "[1",
                                "{\"a\":1}{\"a\":1}",
                                "01",
                                "1.",
                                "+1",
                                "\"\\x\"",
                                "\"\x01\"",
                                "NaN",
                                "\"\xff\"",
                                "\"\xc0\x80\"",
                                "\"\xed\xa0\x80\"",
                                "[1,]",
                                "// x\n1",
                                "\"\t\"",
                                "tru",
                                "\xef\xbb\xbf{}"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, std::string("malformed_json"), reason(bad));
        CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"), reason(std::string("\0", 1)));
        CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"), reason(std::string("{}\0", 3)));
        CPPUNIT_ASSERT(!JsonDocument::parse({}));
    }

    void testValidatorKeepsWorking() {
        JsonValidator validator;
        for (const size_t size : {10ul, 100'000ul, 3ul, 1'000'000ul, 20ul}) {
            const std::string text = "[\"" + std::string(size, 'x') + "\"]",
                              padded = text + std::string(jsonPadding, '\0');
            CPPUNIT_ASSERT(validator.parse(std::string_view(padded).substr(0, text.size())));
            CPPUNIT_ASSERT(!validator.parse(std::string_view(padded).substr(0, text.size() - 1)));
        }
    }

    void testStrings() {
        CPPUNIT_ASSERT_EQUAL(std::string("\"a\\\"\\\\/\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa4\""),
                             jsonString("a\"\\/\n\r\t\x01\x1f\x7f\xc3\xa4"));
        CPPUNIT_ASSERT_EQUAL(std::string("\"\\u0000\""), jsonString(std::string_view("\0", 1)));
        CPPUNIT_ASSERT_EQUAL(std::string("\"\""), jsonString(""));
        // Whatever goes in, what comes out is JSON.
        std::string all;
        for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
        CPPUNIT_ASSERT(JsonDocument::parse(jsonString(all)));
        CPPUNIT_ASSERT(JsonDocument::parse(jsonString("\xf0\x9f\x98")));
    }

    void testUtf8() {
        const std::string bad = "\xef\xbf\xbd";
        for (const char* good : {"", "abc", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                 "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
            CPPUNIT_ASSERT_EQUAL(std::string(good), toValidUtf8(good));
        CPPUNIT_ASSERT_EQUAL(bad, toValidUtf8("\x80"));
        CPPUNIT_ASSERT_EQUAL(bad + bad, toValidUtf8("\xc0\x80"));
        CPPUNIT_ASSERT_EQUAL(bad + bad + bad, toValidUtf8("\xe0\x9f\x80"));
        CPPUNIT_ASSERT_EQUAL(bad + bad + bad, toValidUtf8("\xed\xa0\x80"));
        CPPUNIT_ASSERT_EQUAL(bad + bad + bad + bad, toValidUtf8("\xf4\x90\x80\x80"));
        CPPUNIT_ASSERT_EQUAL(bad + "a", toValidUtf8("\xc3"
                                                    "a"));
        CPPUNIT_ASSERT_EQUAL("a" + bad, toValidUtf8("a\xc3"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(JsonTest);

}  // namespace cf::base
