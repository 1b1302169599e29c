// Pairs in which a second request hides where a laxer reader would see a body or a header, or the
// other way round. The second must never come out as a request of its own.
#include "support.hpp"

namespace cf::http {

class SmugglingTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(SmugglingTest);
    CPPUNIT_TEST(testHiddenRequests);
    CPPUNIT_TEST(testBodyIsNeverTheNextRequest);
    CPPUNIT_TEST_SUITE_END();

public:
    void testHiddenRequests() {
        const std::string hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
        const std::string lines[] = {"Content-Length: 0\r\nContent-Length: 34\r\n",
                                     "Content-Length: 0, 34\r\n",
                                     "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
                                     "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                                     "Transfer-Encoding: xchunked\r\n",
                                     "Transfer-Encoding : chunked\r\n",
                                     "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
                                     "Transfer-Encoding:\x0b"
                                     "chunked\r\n",
                                     "X: y\nTransfer-Encoding: chunked\r\n",
                                     "X: y\rTransfer-Encoding: chunked\r\n",
                                     "X: y\r\n Transfer-Encoding: chunked\r\n",
                                     "Transfer-Encoding\r\n: chunked\r\n",
                                     "Transfer-Encoding: \"chunked\"\r\n",
                                     "Content-Length: 0x22\r\n",
                                     "Content-Length: +34\r\n",
                                     "Content_Length : 34\r\n",
                                     "Content-Length\t: 34\r\n",
                                     "Content-Length: 3 4\r\n",
                                     "\"Content-Length\": 34\r\n",
                                     "Host: b\r\n",
                                     "Content-Length: -1\r\n",
                                     "Content-Length: 18446744073709551616\r\n",
                                     "Transfer-Encoding: chunked\r\n\r\n0\r\n\n"};
        for (const std::string& line : lines) {
            const ParseOutcome outcome =
                parseStream("POST / HTTP/1.1\r\nHost: a\r\n" + line + "\r\n0\r\n\r\n" + hidden);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(line, 400, outcome.status);
            CPPUNIT_ASSERT_MESSAGE(line, outcome.requests.empty());
        }
    }

    // A handler that does not look at its body leaves nothing behind that could run as a request.
    void testBodyIsNeverTheNextRequest() {
        std::atomic<int> hidden{0};
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            if (exchange->request().path == "/hidden") ++hidden;
            exchange->respond(404, "", {});
        });
        const std::string request = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
        const std::string answers = server.ask(
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(request.size()) +
            "\r\n\r\n" + request + "GET /y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL(size_t{2}, count(answers, "HTTP/1.1 404"));
        CPPUNIT_ASSERT_EQUAL(0, hidden.load());
        // Framing that was lost is not found again.
        const std::string lost = server.ask(
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx" +
            request);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, count(lost, "HTTP/1.1 "));
        CPPUNIT_ASSERT_EQUAL(400, statusOf(lost));
        CPPUNIT_ASSERT_EQUAL(0, hidden.load());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SmugglingTest);

}  // namespace cf::http
