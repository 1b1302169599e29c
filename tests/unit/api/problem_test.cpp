// Failures as RFC 9457 documents.
#include "api/problem.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include "client.hpp"

namespace cf::api::test {

class ProblemTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ProblemTest);
    CPPUNIT_TEST(everyReasonHasItsStatus);
    CPPUNIT_TEST(titlesFitEveryDetail);
    CPPUNIT_TEST(theDocumentSaysEverything);
    CPPUNIT_TEST(whatDoesNotApplyIsAbsent);
    CPPUNIT_TEST(strangersTextIsQuoted);
    CPPUNIT_TEST(retryAfter);
    CPPUNIT_TEST(requestIds);
    CPPUNIT_TEST_SUITE_END();

    void everyReasonHasItsStatus() {
        const std::pair<const char*, int> rows[] = {{"malformed_json", 400},
                                                    {"unknown_field", 400},
                                                    {"duplicate_key", 400},
                                                    {"json_too_deep", 400},
                                                    {"unauthorized", 401},
                                                    {"cross_origin", 403},
                                                    {"foreign_origin", 403},
                                                    {"not_found", 404},
                                                    {"method_not_allowed", 405},
                                                    {"name_taken", 409},
                                                    {"precondition_failed", 412},
                                                    {"body_too_large", 413},
                                                    {"unsupported_media_type", 415},
                                                    {"misdirected_request", 421},
                                                    {"unknown_host", 421},
                                                    {"invalid_function", 422},
                                                    {"build_failed", 422},
                                                    {"runtime_unavailable", 422},
                                                    {"queue_full", 429},
                                                    {"memory_exceeded", 502},
                                                    {"worker_crashed", 502},
                                                    {"worker_protocol_error", 502},
                                                    {"worker_lost", 502},
                                                    {"response_too_large", 502},
                                                    {"load_failed", 502},
                                                    {"platform_full", 503},
                                                    {"draining", 503},
                                                    {"control_busy", 503},
                                                    {"function_timeout", 504},
                                                    {"disk_full", 507},
                                                    {"nobody_listed_this", 500}};
        for (const auto& [reason, status] : rows) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(reason, status, statusOf(reason));
            CPPUNIT_ASSERT_MESSAGE(reason, !titleOf(reason).empty());
        }
    }

    // The detail may say that it was built, or that there is nobody else.
    void titlesFitEveryDetail() {
        CPPUNIT_ASSERT_EQUAL(std::string_view("Function does not build or load"),
                             titleOf("build_failed"));
        CPPUNIT_ASSERT_EQUAL(std::string_view("Precondition failed"),
                             titleOf("precondition_failed"));
    }

    void theDocumentSaysEverything() {
        const base::Failure failure{
            .reason = "memory_exceeded",
            .detail = "too much",
            .hint = "raise memory",
            .limit = "128 MB",
            .observed = "130 MB",
            .fields = {{"/a~1b", "odd"}},
            .remarks = {
                {.file = "m", .line = 2, .column = 3, .message = "here", .warning = false}}};
        const Response response =
            problem(failure, {.instance = "/x", .requestId = "r-1", .invocationId = "01J"});
        CPPUNIT_ASSERT_EQUAL(502, response.status);
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                R"({"type":"about:blank","title":"Function needs more memory","status":502,"detail":"too much",)"
                R"("instance":"/x","reason":"memory_exceeded","invocation_id":"01J","errors":[{"pointer":"/a~1b",)"
                R"("detail":"odd"},{"file":"m","line":2,"column":3,"message":"here"}],"limit":"128 MB",)"
                R"("observed":"130 MB","hint":"raise memory"})"),
            response.body);
        CPPUNIT_ASSERT(response.headers.find("Content-Type: application/problem+json\r\n") !=
                       std::string::npos);
        CPPUNIT_ASSERT(response.headers.find("X-Request-Id: r-1\r\n") != std::string::npos);
    }

    void whatDoesNotApplyIsAbsent() {
        const std::string document =
            problemDocument({.reason = "not_found"}, {.instance = "/x", .requestId = "r"});
        for (const char* member : {"invocation_id", "errors", "limit", "observed", "hint"})
            CPPUNIT_ASSERT_MESSAGE(member, document.find(member) == std::string::npos);
        CPPUNIT_ASSERT(document.find(R"("detail":"Not found")") != std::string::npos);
        const std::string nowhere = problemDocument(
            {.reason = "build_failed", .remarks = {{.message = "odd"}, {.file = "m", .line = 1, .message = "odd"}}}, {});
        CPPUNIT_ASSERT(nowhere.find(R"("errors":[{"message":"odd"},{"file":"m","line":1,"message":"odd"}])") !=
                       std::string::npos);
    }

    void strangersTextIsQuoted() {
        const std::string document =
            problemDocument({.reason = "not_found", .detail = "\"\n\x01\xFF"}, {});
        CPPUNIT_ASSERT(base::JsonDocument::parse(document));
    }

    void retryAfter() {
        CPPUNIT_ASSERT(problem({.reason = "queue_full"}, ProblemContext{})
                           .headers.find("Retry-After: 1\r\n") != std::string::npos);
        CPPUNIT_ASSERT(
            problem({.reason = "not_found"}, ProblemContext{}).headers.find("Retry-After") ==
            std::string::npos);
    }

    void requestIds() {
        const auto idFor = [](const std::string& given) {
            return requestIdOf(FakeExchange("GET", "/", "", {{"x-request-ID", given}}).request());
        };
        CPPUNIT_ASSERT_EQUAL(std::string("a.b:c_d-1"), idFor("a.b:c_d-1"));
        for (const std::string& odd :
             {std::string(), std::string("a b"), std::string("a\"b"), std::string(129, 'x')})
            CPPUNIT_ASSERT_EQUAL(size_t{26}, idFor(odd).size());
        CPPUNIT_ASSERT(idFor("") != idFor(""));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ProblemTest);

}  // namespace cf::api::test
