// Documents of the control plane, and text written into JSON.
#include "base/json.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include "base/json_fault.hpp"

namespace cf::base {

class JsonTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JsonTest);
    CPPUNIT_TEST(testDocument);
    CPPUNIT_TEST(testDepth);
    CPPUNIT_TEST(testDuplicateKeys);
    CPPUNIT_TEST(testLongKeysAroundManyValues);
    CPPUNIT_TEST(testMalformed);
    CPPUNIT_TEST(testValidatorKeepsWorking);
    CPPUNIT_TEST(testNumbersOfAnySize);
    CPPUNIT_TEST(testLoneSurrogates);
    CPPUNIT_TEST(testWhatIsPassedOnIsStillJson);
    CPPUNIT_TEST(testPlacesOfFaults);
    CPPUNIT_TEST(testStrings);
    CPPUNIT_TEST(testUtf8);
    CPPUNIT_TEST_SUITE_END();

    static std::string reason(const std::string& text, size_t depth = controlJsonDepth) {
        const auto document = JsonDocument::parse(text, depth);
        return document ? "fine" : document.failure().reason;
    }
    static std::string checked(const std::string& text, bool read = false) {
        const std::string padded = text + std::string(jsonPadding, '1');
        const auto part = std::string_view(padded).substr(0, text.size());
        JsonValidator validator;
        const auto root = read ? validator.parse(part) : validator.check(part);
        return root ? "fine" : root.failure().reason;
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

    // Whoever writes the key out for each value below it is at it for hours.
    void testLongKeysAroundManyValues() {
        std::string text = "{\"" + std::string(4'000'000, 'k') + "\":[0";
        for (int i = 1; i < 1'000'000; ++i) text += ",0";
        CPPUNIT_ASSERT_EQUAL(std::string("fine"), reason(text + "]}"));
        CPPUNIT_ASSERT_EQUAL(std::string("duplicate_key"), reason(text + ",{\"a\":0,\"a\":0}]}"));
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

    // A number that cannot be kept is beyond every limit of a document, and a fault of a text whose values are read by
    // themselves.
    void testNumbersOfAnySize() {
        const std::string digits(100'000, '7');
        for (const std::string& number :
             {std::string("18446744073709551616"), std::string("-9223372036854775809"), digits,
              "-" + digits, std::string("1e400"), std::string("-1E+400"), digits + ".5e-" + digits,
              std::string("0e99999999999999999999"), "0." + digits + "e1234567890123"})
            for (const std::string& text :
                 {number, " " + number + "\n", "[" + number + "]", "[0," + number + ",1]",
                  "{\"a\\\\\":" + number + ",\"b\\\"\":[true,-" + digits + "]}"}) {
                CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::string("fine"), checked(text));
                CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::string("fine"), reason(text));
                if (text.find('e') == std::string::npos) {
                    CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"), checked(text, true));
                }
            }
        CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"), checked("[1e400]", true));
        for (const std::string& number : {std::string("18446744073709551616"), digits, std::string("1e400")}) {
            const auto document = JsonDocument::parse("{\"\\\"a\":[" + number + ",-" + number + ",18446744073709551615]}");
            const auto values = document->root()["\"a"];
            CPPUNIT_ASSERT(double(values.at(0)) > 1e60 && double(values.at(1)) < -1e60);
            CPPUNIT_ASSERT_EQUAL(UINT64_MAX, uint64_t(values.at(2)));
        }
        for (const std::string bad :
             {"-", "+", "--", "+1", "01", "-01", "1.", ".1", "-.1", "1e", "1e+", "1e+-1", "1.e1",
              "1e1.1", "0x1", "1_0", "1-1", "--1", "-+1", "1e1e1", "1a", "a1", "true1", "1true",
              "1\"\"", "\"\"1", "1 1", "1\\", "\\1", "1/", "1;1", "1[]", "1{}", "Infinity", "NaN",
              "1\xc3\xa4", "1\x01", "1\v"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, std::string("malformed_json"), checked(bad));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, std::string("malformed_json"),
                                         reason("[" + digits + "," + bad + ",1e400]"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, std::string("malformed_json"),
                                         checked("[" + digits + "," + bad + ",1e400]"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, std::string("malformed_json"),
                                         checked("[\"\\uD83D\",{\"a\":" + bad + "}]"));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"), checked("1" + std::string(1, '\0')));
    }

    void testLoneSurrogates() {
        for (const char* text :
             {"\\ud83d", "\\uD83D", "\\udbff", "\\udc00", "\\uDFFF", "\\ud83dx", "\\ud83d\\n",
              "\\ud83d\\u0041", "\\ud83d\\ud83d", "\\ud83d\\ud83d\\ude00", "\\ude00\\ud83d",
              "\\ud83d\\ude00\\ude00", "\\ud83d\\\\", "\\\\\\ud83d", "\\ud83d\\\""}) {
            const std::string string = '"' + std::string(text) + '"';
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::string("fine"), checked(string));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::string("fine"),
                                         checked("{" + string + ":[" + string + ",\"x\"]}"));
        }
        for (const char* bad :
             {"\\ud83", "\\ud83g", "\\u", "\\ud83d\\", "\\ud83d\\x", "\\ud83d\\u", "\\ud83d\\ude0",
              "\\ud83d\\ude0g", "\\ud83d\\u-e00", "\\Ud83d", "\\ud83d\x01", "\\ud83d\xed\xa0\x80",
              "\\ud83d\xff"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, std::string("malformed_json"),
                                         checked('"' + std::string(bad) + '"'));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, std::string("malformed_json"),
                                         checked('"' + std::string(bad)));
        }
        // Outside of a string it is nothing.
        CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"), checked("\\ud83d"));
        CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"), checked("[1e400,\\\"]\"]"));
        CPPUNIT_ASSERT_EQUAL(std::string("malformed_json"), reason("[\"\\ud83d\"]"));
    }

    // A second look relaxes nothing else.
    void testWhatIsPassedOnIsStillJson() {
        const auto nested = [](size_t depth) {
            return std::string(depth, '[') + "1e400" + std::string(depth, ']');
        };
        CPPUNIT_ASSERT_EQUAL(std::string("fine"), checked(nested(invokeJsonDepth - 1)));
        CPPUNIT_ASSERT_EQUAL(std::string("json_too_deep"), checked(nested(invokeJsonDepth + 1)));
        CPPUNIT_ASSERT_EQUAL(std::string("json_too_deep"),
                             checked("[1e400," + nested(100'000) + "]"));
        const std::string text =
            R"( {"a\\":[1e400,"\ud83d\"]",-0.5E-7,true],"\ud83d\ude00":{"b":null} , "c":123456789012345678901} )";
        CPPUNIT_ASSERT_EQUAL(std::string("fine"), checked(text));
        for (size_t size = 0; size < text.size() - 1; ++size)
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text.substr(0, size), std::string("malformed_json"),
                                         checked(text.substr(0, size)));
        for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\x01", "\x7f", ",", "]", "x"})
            for (const size_t at : {0ul, 1ul, 7ul, 11ul, text.find("true"), text.size()})
                CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, std::string("malformed_json"),
                                             checked(std::string(text).insert(at, bad)));
        // Messages name what is wrong, not what simdjson has no value for.
        JsonValidator validator;
        const std::string padded = "[1e400,tru]" + std::string(jsonPadding, ' ');
        const auto root = validator.check(std::string_view(padded).substr(0, 11));
        CPPUNIT_ASSERT_EQUAL(std::string("the body is not valid JSON at line 1, column 8: a value is expected"),
                             root.failure().detail);
    }

    void testPlacesOfFaults() {
        const std::pair<std::string, std::string> faults[] = {
            {"{\"a\": 1,\n \"\xc3\xa4\": x}", "line 2, column 7: a value is expected"},
            {"{\"a\": 1,}", "line 1, column 9: a name in double quotes is expected"},
            {"{'a': 1}", "line 1, column 2: a name in double quotes is expected"},
            {"{\"a\" 1}", "line 1, column 6: \":\" is expected behind a name"},
            {"[1 2]", "line 1, column 4: \",\" or \"]\" is expected"},
            {"{\"a\":[]\n\n", "line 3, column 1: it ends too early, \",\" or \"}\" is expected"},
            {"[1]\n[2]", "line 2, column 1: nothing more is expected behind the end of the document"},
            {"[1,]", "line 1, column 4: a value is expected"},
            {"[", "line 1, column 2: it ends too early, a value is expected"},
            {"[01]", "line 1, column 2: this is no number as JSON writes them"},
            {"[NaN]", "line 1, column 2: a value is expected"},
            {"[\"a\nb\"]", "line 1, column 4: line ends, tabs and other control characters must be escaped inside of a text (\\n, \\t)"},
            {"[\"\\x\"]", "line 1, column 3: there is no such escape"},
            {"[\"\\u12g4\"]", "line 1, column 3: there is no such escape"},
            {"[\"abc]", "line 1, column 2: this text has no end"},
            {"[\"ab\xff\"]", "line 1, column 5: these bytes are not UTF-8"},
            {"[\"\\ud83d\\ude00\\ude00\"]", "line 1, column 15: this is half of a surrogate pair, which is no character"},
            {"[\"\\ud83d\",x]", "line 1, column 11: a value is expected"},
        };
        for (const auto& [text, place] : faults) {
            CPPUNIT_ASSERT_EQUAL(place, findJsonFault(text));
            CPPUNIT_ASSERT_EQUAL("the body is not valid JSON at " + place, JsonDocument::parse(text).failure().detail);
        }
        for (const char* fine : {" {\"a\" : [ ] , \"b\":{},\"\\\"\\u00e4\":[{}, -0.5E+7,true,null , \"\\ud83d\\ude00\"] } \n", "1e400", "\"\""})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(fine, std::string(), findJsonFault(fine));
        findJsonFault(std::string(1'000'000, '['));
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
