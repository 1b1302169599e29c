// Requests to function URLs as events, results as responses.
#include <cppunit/extensions/HelperMacros.h>

#include "api/function_url_event.hpp"

namespace cf::api::test {

class FunctionUrlEventTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FunctionUrlEventTest);
    CPPUNIT_TEST(aNameThatComesAgainBecomesAnArray);
    CPPUNIT_TEST(namesThatAreEqualOnceTheyAreTextAreOneKey);
    CPPUNIT_TEST(bytesAreBase64InBothDirections);
    CPPUNIT_TEST(aPlainResultPassesWhateverItsNumbers);
    CPPUNIT_TEST(aBodyThatIsNotBase64IsRefused);
    CPPUNIT_TEST(aPageInTheOriginOfThePlatformIsNobodys);
    CPPUNIT_TEST(whatThePlatformSendsItselfIsLeftOut);
    CPPUNIT_TEST(whoseTheHeadersOfCorsAre);
    CPPUNIT_TEST(whatStandsOnceHasOneValue);
    CPPUNIT_TEST_SUITE_END();

    static std::string eventOf(std::string_view query, std::string_view body = {}) {
        http::Request request;
        request.method = "GET";
        request.query = query;
        request.body = body;
        return urlEvent(request, "/x");
    }
    static bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

public:
    void aNameThatComesAgainBecomesAnArray() {
        CPPUNIT_ASSERT(holds(eventOf("a=1&b=2&a=3"), R"("query":{"a":["1","3"],"b":"2"})"));
    }

    void namesThatAreEqualOnceTheyAreTextAreOneKey() {
        CPPUNIT_ASSERT(holds(eventOf("%ff=1&%fe=2"), "\"query\":{\"\\ufffd\":[\"1\",\"2\"]}") ||
                       holds(eventOf("%ff=1&%fe=2"), "\"query\":{\"\xef\xbf\xbd\":[\"1\",\"2\"]}"));
    }

    void bytesAreBase64InBothDirections() {
        CPPUNIT_ASSERT(holds(eventOf("", std::string_view("\xff\0\xfe", 3)), R"("body":"/wD+","is_base64":true)"));
        const auto response = urlResponse(R"({"status_code":200,"body":"/w\nD+\r\n","is_base64":true})");
        CPPUNIT_ASSERT(response);
        CPPUNIT_ASSERT_EQUAL(std::string("\xff\0\xfe", 3), response->body);
    }

    void aPlainResultPassesWhateverItsNumbers() {
        const std::string result = R"([123456789012345678901234567890,1e400,"\ud83d"])";
        const auto response = urlResponse(result);
        CPPUNIT_ASSERT(response);
        CPPUNIT_ASSERT_EQUAL(result, response->body);
        const auto own = urlResponse(R"({"status_code":200,"body":123456789012345678901234567890})");
        CPPUNIT_ASSERT(!own && holds(own.failure().detail, "64 bits"));
    }

    static base::Result<UrlResponse> responseOf(const std::string& headers, CorsBy cors = CorsBy::function, Origin origin = Origin::own) {
        return urlResponse(R"({"status_code":200,"body":"x","headers":{)" + headers + "}}", cors, origin);
    }

    void aPageInTheOriginOfThePlatformIsNobodys() {
        const std::string headers = R"("Content-Type":"text/html","Content-Security-Policy":"default-src *",)"
                                    R"("Service-Worker-Allowed":"/","CLEAR-SITE-DATA":"*","Alt-Svc":"x","NEL":"x","Report-To":"x",)"
                                    R"("Strict-Transport-Security":"max-age=1")";
        const auto shared = responseOf(headers, CorsBy::function, Origin::shared);
        CPPUNIT_ASSERT(shared);
        CPPUNIT_ASSERT(shared->headers.starts_with(
            "Content-Type: text/html\r\nContent-Security-Policy: default-src *\r\nContent-Security-Policy: sandbox "));
        CPPUNIT_ASSERT(!holds(shared->headers, "allow-same-origin") && !holds(shared->headers, "escape-sandbox"));
        for (const char* name : {"Service", "CLEAR", "Alt", "NEL", "Report", "Strict"}) CPPUNIT_ASSERT_MESSAGE(name, !holds(shared->headers, name));
        const auto bare = urlResponse(R"({"status_code":500})");
        CPPUNIT_ASSERT(bare && holds(bare->headers, "Content-Security-Policy: sandbox "));
        const auto own = responseOf(headers);
        CPPUNIT_ASSERT(own && !holds(own->headers, "sandbox"));
        CPPUNIT_ASSERT(holds(own->headers, "Service-Worker-Allowed: /"));
    }

    void whatThePlatformSendsItselfIsLeftOut() {
        const auto response = responseOf(
            R"("X-Request-Id":"forged","x-invocation-id":["a","b"],"X-DURATION-MS":1,"X-Queue-Ms":1,"X-Init-Ms":1,"Date":"now","X-Mine":["1","2"])");
        CPPUNIT_ASSERT(response);
        CPPUNIT_ASSERT_EQUAL(std::string("X-Mine: 1\r\nX-Mine: 2\r\nContent-Type: text/plain; charset=utf-8\r\n"), response->headers);
    }

    void whoseTheHeadersOfCorsAre() {
        const std::string headers = R"("Content-Type":"a/b","Access-Control-Allow-Origin":"*","access-control-allow-credentials":true,)"
                                    R"("Access-Control-Max-Age":5,"Access-Control-Expose-Headers":"X-Mine")";
        const auto own = responseOf(headers);
        CPPUNIT_ASSERT(own && holds(own->headers, "Access-Control-Allow-Origin: *\r\n"));
        CPPUNIT_ASSERT(holds(own->headers, "access-control-allow-credentials: true\r\n"));
        const auto platforms = responseOf(headers, CorsBy::platform);
        CPPUNIT_ASSERT(platforms);
        CPPUNIT_ASSERT_EQUAL(std::string("Content-Type: a/b\r\nAccess-Control-Expose-Headers: X-Mine\r\n"), platforms->headers);
    }

    void whatStandsOnceHasOneValue() {
        for (const char* headers : {R"("Content-Type":["a/b","c/d"])", R"("Content-Type":"a/b","content-type":"c/d")",
                                    R"("LOCATION":["/a","/b"])", R"("Access-Control-Allow-Origin":["a","b"])"}) {
            const auto response = responseOf(headers);
            CPPUNIT_ASSERT_MESSAGE(headers, !response && response.failure().reason == "invalid_response");
            CPPUNIT_ASSERT_MESSAGE(headers, holds(response.failure().detail, "has several values"));
        }
        const auto one = responseOf(R"("Content-Type":["a/b"],"Set-Cookie":["a=1","b=2"],"set-cookie":"c=3")");
        CPPUNIT_ASSERT(one);
        CPPUNIT_ASSERT_EQUAL(std::string("Content-Type: a/b\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nset-cookie: c=3\r\n"), one->headers);
        const auto none = responseOf(R"("Content-Type":[])");
        CPPUNIT_ASSERT(none && none->headers == "Content-Type: text/plain; charset=utf-8\r\n");
    }

    void aBodyThatIsNotBase64IsRefused() {
        for (const char* body : {"/wD", "/w!+", "/wD+=", "a b="}) {
            const auto response = urlResponse(R"({"status_code":200,"is_base64":true,"body":")" + std::string(body) + "\"}");
            CPPUNIT_ASSERT_MESSAGE(body, !response);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, std::string("invalid_response"), response.failure().reason);
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FunctionUrlEventTest);

}  // namespace cf::api::test
