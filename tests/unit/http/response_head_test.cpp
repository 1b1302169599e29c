#include "http/response_head.hpp"

#include <ctime>

#include "http/refusal.hpp"
#include "support.hpp"

namespace cf::http {

class ResponseHeadTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ResponseHeadTest);
    CPPUNIT_TEST(testLines);
    CPPUNIT_TEST(testOddStatuses);
    CPPUNIT_TEST(testProblems);
    CPPUNIT_TEST_SUITE_END();

    static std::string of(int status, std::string_view headers, size_t length,
                          ConnectionLine line) {
        ResponseHead head;
        Buffer out;
        out.append("before", 6);
        head.append(out, status, headers, length, line);
        const std::string text(out.data(), out.size());
        CPPUNIT_ASSERT(text.starts_with("before"));
        return text.substr(6);
    }

public:
    void testLines() {
        const std::string text =
            of(200, "X: y\r\n", static_cast<size_t>(-1), ConnectionLine::close);
        CPPUNIT_ASSERT(text.starts_with("HTTP/1.1 200 OK\r\nDate: "));
        CPPUNIT_ASSERT(text.ends_with(
            "\r\nContent-Length: 18446744073709551615\r\nConnection: close\r\nX: y\r\n\r\n"));
        const std::string date = text.substr(23, text.find("\r\n", 23) - 23);
        std::tm parts{};
        const char* end = ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        CPPUNIT_ASSERT_MESSAGE(date, end != nullptr && *end == '\0' && date.size() == 29);
        CPPUNIT_ASSERT(std::abs(::timegm(&parts) - std::time(nullptr)) <= 2);
        CPPUNIT_ASSERT(of(404, "", 0, ConnectionLine::keepAlive).find("404 Not Found\r\n") !=
                       std::string::npos);
        CPPUNIT_ASSERT(
            of(404, "", 0, ConnectionLine::keepAlive).find("Connection: keep-alive\r\n") !=
            std::string::npos);
        const std::string large = "X: " + std::string(100'000, 'x') + "\r\n";
        CPPUNIT_ASSERT(of(200, large, 1, ConnectionLine::none).ends_with(large + "\r\n"));
    }

    void testOddStatuses() {
        CPPUNIT_ASSERT(
            of(299, "", 0, ConnectionLine::none).starts_with("HTTP/1.1 299 Unknown\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string::npos,
                             of(204, "", 5, ConnectionLine::none).find("Content-Length"));
    }

    void testProblems() {
        const std::string document = plainProblem(
            {.status = 413,
             .failure = {.reason = "r", .detail = "say \"x\"", .hint = "h", .limit = "l"}});
        CPPUNIT_ASSERT_EQUAL(std::string("{\"type\":\"about:blank\",\"title\":\"Content Too "
                                         "Large\",\"status\":413,\"detail\":\"say \\\"x\\\"\","
                                         "\"reason\":\"r\",\"limit\":\"l\",\"hint\":\"h\"}"),
                             document);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ResponseHeadTest);

}  // namespace cf::http
