// What is cut out of an invoke body, and what is refused, however the client spells it.
#include <cppunit/extensions/HelperMacros.h>

#include "base/json.hpp"

namespace cf::base {

class InvokeBodyTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(InvokeBodyTest);
    CPPUNIT_TEST(testAbsent);
    CPPUNIT_TEST(testSlices);
    CPPUNIT_TEST(testNastyValues);
    CPPUNIT_TEST(testWhiteSpace);
    CPPUNIT_TEST(testContext);
    CPPUNIT_TEST(testUnknownFields);
    CPPUNIT_TEST(testEscapedKeys);
    CPPUNIT_TEST(testDuplicates);
    CPPUNIT_TEST(testMalformed);
    CPPUNIT_TEST(testDepth);
    CPPUNIT_TEST(testEveryPrefixAndEveryChangedByte);
    CPPUNIT_TEST_SUITE_END();

    JsonValidator validator_;
    std::string padded_;
    Result<InvokeBody> slice(std::string_view body) {
        padded_.assign(body).append(jsonPadding, '"');  // bytes behind the body that would mislead
        return sliceInvokeBody(validator_, std::string_view(padded_).substr(0, body.size()));
    }
    void expect(std::string_view event, std::string_view context, std::string_view body) {
        const auto parts = slice(body);
        CPPUNIT_ASSERT_MESSAGE(std::string(body) + (parts ? "" : parts.failure().detail),
                               bool(parts));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(body), std::string(event),
                                     std::string(parts->event));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(body), std::string(context),
                                     std::string(parts->context));
    }
    void refused(const std::string& reason, std::string_view body) {
        const auto parts = slice(body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(body), reason,
                                     parts ? std::string("taken") : parts.failure().reason);
    }

public:
    void testAbsent() {
        expect("", "", "");
        expect("", "", "{}");
        expect("", "", " \n{ } ");
        expect("null", "", "{\"event\":null}");
        expect("", "", "{\"context\":null}");
    }

    void testSlices() {
        expect("1", "{}", "{\"event\":1,\"context\":{}}");
        expect("1", "{\"a\":1}", "{\"context\":{\"a\":1},\"event\":1}");
        expect("{\"event\":2,\"context\":3}", "", "{\"event\":{\"event\":2,\"context\":3}}");
    }

    void testNastyValues() {
        for (const char* value :
             {"\"\"", "\"}\"", "\",\"", "\"\\\"\\\\\\\"}\\\\\"", "[\"\\\\\",\"\\\\\\\"\"]", "\"\\\"\"", "\"\\\\\"", "\"\\\\\\\"}\"", "\"{[\"", "[]",
              "[{}]", "{\"a\":\"}\"}", "[[\"]\"],{\"}\":[]}]", "-1.5e+10", "true", "\"\\u0022}\"",
              "{\"\\\"\":1}", "\"\xe2\x82\xac\"", "123456789012345678901234567890",
              "[-18446744073709551616,\"}\",1e400]", "\"\\ud83d}\"", "{\"\\udc00\\\"\":-1e-999}"}) {
            const std::string text = value;
            expect(text, "", "{\"event\":" + text + "}");
            expect(text, "{\"x\":" + text + "}",
                   "{\"event\":" + text + ",\"context\":{\"x\":" + text + "}}");
            expect(text, "{\"x\":" + text + "}",
                   "{\"context\":{\"x\":" + text + "},\"event\":" + text + "}");
        }
    }

    void testWhiteSpace() {
        expect("1", "{ }", "\r\n\t { \t\"event\" \r:\n 1 \t,\n\"context\"\t:\r{ } \n}\n ");
        expect("[ 1 , 2 ]", "", "{\"event\" : [ 1 , 2 ] }");
    }

    void testContext() {
        for (const char* value : {"1", "\"x\"", "[]", "true", "[{}]"})
            refused("invalid_request", "{\"context\":" + std::string(value) + "}");
        const auto parts = slice("{\"context\":5}");
        CPPUNIT_ASSERT_EQUAL(std::string("/context"), parts.failure().fields.at(0).pointer);
    }

    void testUnknownFields() {
        refused("unknown_field", "{\"message\":\"hi\"}");
        refused("unknown_field", "{\"event\":1,\"Context\":{}}");
        refused("unknown_field", "{\"\":1}");
        refused("unknown_field", "{\"event \":1}");
        const auto parts = slice("{\"event\":1,\"a/b\":2}");
        CPPUNIT_ASSERT(parts.failure().detail.find("\"a/b\"") != std::string::npos);
        CPPUNIT_ASSERT(parts.failure().hint.find("event") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("/a~1b"), parts.failure().fields.at(0).pointer);
        refused("unknown_field", "{\"" + std::string(10'000, 'k') + "\":1}");
        for (const char* body : {"[1]", "5", "\"text\"", "null", "[]"})
            refused("invalid_request", body);
    }

    // An escaped key means what its plain form means.
    void testEscapedKeys() {
        expect("1", "", "{\"\\u0065vent\":1}");
        expect("1", "{}", "{\"\\u0065\\u0076\\u0065\\u006E\\u0074\":1,\"conte\\u0078t\":{}}");
        refused("duplicate_key", "{\"event\":1,\"\\u0065vent\":2}");
        refused("unknown_field", "{\"\\u0022\":1}");
        refused("unknown_field", "{\"event\\u0000\":1}");
        refused("unknown_field", "{\"\\\\\":1,\"event\":2}");
        refused("unknown_field", "{\"\\\"event\":1}");
        refused("unknown_field", "{\"\\ud83d\":1e400}");
        const auto parts = slice("{\"event\":1e400,\"\\ud83d\\ude00\\udc00\":2}");
        CPPUNIT_ASSERT_EQUAL(std::string("/\xf0\x9f\x98\x80\xef\xbf\xbd"),
                             parts.failure().fields.at(0).pointer);
        expect("1e400", "{\"a\":1e400}",
               "{\"\\u0065vent\":1e400,\"conte\\u0078t\":{\"a\":1e400}}");
    }

    void testDuplicates() {
        refused("duplicate_key", "{\"event\":1,\"event\":1}");
        refused("duplicate_key", "{\"context\":{},\"event\":1,\"context\":null}");
        expect("{\"a\":1,\"a\":2}", "",
               "{\"event\":{\"a\":1,\"a\":2}}");  // the function's own affair
    }

    void testMalformed() {
        for (const char* body :
             {"{", "nonsense", "{\"event\":}", "{\"event\":1,}", "{\"event\":\"\x01\"}",
              "{\"event\":1}x", "{\"event\":01}", "{\"event\":1}{}", " ", "{\"event\" 1}",
              "{event:1}", "{\"event\":\"\xc0\x80\"}", "{,}", "{\"event\":1 \"context\":{}}",
              "\xef\xbb\xbf{}", "{\"event\":--1e400}", "{\"event\":1e400,}", "{\"event\":\"\\ud83\"}"})
            refused("malformed_json", body);
        refused("malformed_json", std::string_view("\0", 1));
        refused("malformed_json", std::string_view("{\"event\":1}\0", 12));
    }

    void testDepth() {
        const auto nested = [](size_t depth) {
            return "{\"event\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
        };
        CPPUNIT_ASSERT(slice(nested(254)));
        refused("json_too_deep", nested(257));
        refused("json_too_deep", nested(300'000));
        CPPUNIT_ASSERT(!slice("{\"event\":" + std::string(300'000, '[')));
    }

    void testEveryPrefixAndEveryChangedByte() {
        const std::string body =
            " {\"event\" : {\"k\":[\"v\\\"}\",1.5e3,{}]} ,\"context\":{\"u\":\"\\u0041\xc3\xa4\"} "
            "} ";
        for (size_t size = 1; size < body.size() - 1; ++size)
            refused("malformed_json", std::string_view(body).substr(0, size));
        for (size_t at = 0; at < body.size(); ++at)
            for (int byte = 0; byte < 256; ++byte) {
                std::string changed = body;
                changed[at] = static_cast<char>(byte);
                const auto parts = slice(changed);
                if (!parts) continue;
                const std::string event(parts->event), context(parts->context);
                CPPUNIT_ASSERT_MESSAGE(changed, event.empty() || JsonDocument::parse(event));
                CPPUNIT_ASSERT_MESSAGE(changed, context.empty() || (context[0] == '{' &&
                                                                    JsonDocument::parse(context)));
            }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(InvokeBodyTest);

}  // namespace cf::base
