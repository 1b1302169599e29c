// Records as the API shows them.
#include <cppunit/extensions/HelperMacros.h>

#include "base/json.hpp"
#include "samples.hpp"

namespace cf::test {

using telemetry::recordJson;
using telemetry::Status;

class RecordJsonTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(RecordJsonTest);
    CPPUNIT_TEST(success);
    CPPUNIT_TEST(errorsAndFailures);
    CPPUNIT_TEST(printed);
    CPPUNIT_TEST_SUITE_END();

public:
    void success() {
        auto record = sampleRecord(1);
        record.receivedAtMs = 1769860800123;
        CPPUNIT_ASSERT_EQUAL(std::string("{\"invocation_id\":\"" + sampleId(1) +
                                         "\",\"request_id\":\"request-1\",\"function_id\":\"fn_a\","
                                         "\"function_name\":\"hello\",\"version\":3,"
                                         "\"source\":\"http\",\"status\":\"success\",\"status_"
                                         "code\":200,\"started_at\":\"2026-01-31T12:00:00.123Z\","
                                         "\"duration_ms\":1.92,\"queue_ms\":0.02,\"init_ms\":30.00,"
                                         "\"memory_mb\":13.00,\"cold_start\":true,"
                                         "\"node\":\"n1\"}"),
                             recordJson(record, "n1", false));
    }

    void errorsAndFailures() {
        const std::string error = recordJson(sampleRecord(1, Status::error), "", false);
        CPPUNIT_ASSERT(error.find(R"("status":"error")") != std::string::npos);
        CPPUNIT_ASSERT(
            error.ends_with(R"("error":{"type":"ValueError","message":"what went wrong"}})"));
        const std::string failure = recordJson(sampleRecord(1, Status::failure), "", false);
        CPPUNIT_ASSERT(failure.ends_with(
            R"("error":{"reason":"function_timeout","message":"what went wrong"}})"));
    }

    void printed() {
        auto record = sampleRecord(1);
        record.log = "one\r\ntwo \x1b[31m \xff\n\nlast";
        record.logDropped = 7;
        const std::string json = recordJson(record, "", true);
        const std::string expected =
            "\"logs\":[\"one\",\"two \\\\x1b[31m \xEF\xBF\xBD\",\"\",\"last\",\"[cut: 7 more bytes";
        CPPUNIT_ASSERT_MESSAGE(json, json.find(expected) != std::string::npos);
        CPPUNIT_ASSERT(base::JsonDocument::parse(json));
        CPPUNIT_ASSERT(recordJson(sampleRecord(1), "", true).ends_with("\"logs\":[]}"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RecordJsonTest);

}  // namespace cf::test
