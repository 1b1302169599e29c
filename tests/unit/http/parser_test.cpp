// Requests that are taken and requests that are refused, whole and byte by byte.
#include <cppunit/extensions/HelperMacros.h>

#include "support.hpp"

namespace cf::http {

namespace {

std::string get(const std::string& lines) {
    return "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
}
std::string post(const std::string& lines, const std::string& body) {
    return "POST / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n" + body;
}

}  // namespace

class ParserTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ParserTest);
    CPPUNIT_TEST(testPlain);
    CPPUNIT_TEST(testTargets);
    CPPUNIT_TEST(testAbsoluteTargets);
    CPPUNIT_TEST(testRequestLines);
    CPPUNIT_TEST(testMethods);
    CPPUNIT_TEST(testVersions);
    CPPUNIT_TEST(testLineEnds);
    CPPUNIT_TEST(testContentLength);
    CPPUNIT_TEST(testTransferEncoding);
    CPPUNIT_TEST(testChunked);
    CPPUNIT_TEST(testHost);
    CPPUNIT_TEST(testExpect);
    CPPUNIT_TEST(testKeepAlive);
    CPPUNIT_TEST(testLimits);
    CPPUNIT_TEST(testBodyLimit);
    CPPUNIT_TEST(testBodyLimitOfOneRequest);
    CPPUNIT_TEST(testPipelining);
    CPPUNIT_TEST(testPiecesGiveTheSame);
    CPPUNIT_TEST(testEveryByteInEveryPlace);
    CPPUNIT_TEST_SUITE_END();

    static Parsed one(const std::string& bytes) {
        const ParseOutcome outcome = parseStream(bytes);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(bytes + outcome.detail, 0, outcome.status);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(bytes, size_t{1}, outcome.requests.size());
        CPPUNIT_ASSERT_MESSAGE(bytes, !outcome.incomplete);
        return outcome.requests[0];
    }

    static void refused(int status, const std::string& bytes) {
        const ParseOutcome outcome = parseStream(bytes);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(bytes.substr(0, 300), status, outcome.status);
        CPPUNIT_ASSERT_MESSAGE(bytes.substr(0, 300), outcome.requests.empty());
        CPPUNIT_ASSERT(outcome.detail.starts_with("the request"));
    }

public:
    void testPlain() {
        const Parsed parsed =
            one("POST /a/b?c=d HTTP/1.1\r\nHost: x\r\ncontent-length:3\r\nX: \t y z "
                "\t\r\nEmpty:\r\n\r\nabc");
        CPPUNIT_ASSERT_EQUAL(std::string("POST"), parsed.method);
        CPPUNIT_ASSERT_EQUAL(std::string("/a/b?c=d"), parsed.target);
        CPPUNIT_ASSERT_EQUAL(std::string("/a/b"), parsed.path);
        CPPUNIT_ASSERT_EQUAL(std::string("c=d"), parsed.query);
        CPPUNIT_ASSERT_EQUAL(std::string("abc"), parsed.body);
        CPPUNIT_ASSERT_EQUAL(size_t{4}, parsed.headers.size());
        CPPUNIT_ASSERT_EQUAL(std::string("y z"), parsed.header("x"));
        CPPUNIT_ASSERT_EQUAL(std::string("content-length"), parsed.headers[1].first);
        CPPUNIT_ASSERT(parsed.keepAlive);
    }

    void testTargets() {
        const auto target = [](const std::string& text) {
            return one("GET " + text + " HTTP/1.1\r\nHost: a\r\n\r\n");
        };
        CPPUNIT_ASSERT_EQUAL(std::string("b?c"), target("/a?b?c").query);
        CPPUNIT_ASSERT_EQUAL(std::string(""), target("/a?").query);
        CPPUNIT_ASSERT_EQUAL(std::string("//x"), target("//x").path);
        CPPUNIT_ASSERT_EQUAL(std::string("/%2e%00"), target("/%2e%00").path);
        CPPUNIT_ASSERT_EQUAL(std::string("*"), one("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path);
        for (const char* bad : {"*", "a", "a/b", "?x", "/a#b", "ftp://a/", "http:/a", "http:///x",
                                "/\xc3\xa4", "/a\tb", "/\x7f", "a:80"})
            refused(400, std::string("GET ") + bad + " HTTP/1.1\r\nHost: a\r\n\r\n");
        refused(400, std::string("GET /\0x HTTP/1.1\r\nHost: a\r\n\r\n", 30));
    }

    void testAbsoluteTargets() {
        const auto target = [](const std::string& text) {
            return one("GET " + text + " HTTP/1.1\r\nHost: other\r\n\r\n");
        };
        const Parsed parsed = target("http://name:81/p?q");
        CPPUNIT_ASSERT_EQUAL(std::string("/p"), parsed.path);
        CPPUNIT_ASSERT_EQUAL(std::string("q"), parsed.query);
        CPPUNIT_ASSERT_EQUAL(std::string("http://name:81/p?q"), parsed.target);
        // RFC 9112 section 3.2.2: what Host says is ignored.
        CPPUNIT_ASSERT_EQUAL(std::string("name:81"), parsed.header("Host"));
        CPPUNIT_ASSERT_EQUAL(std::string("/"), target("HTTP://name").path);
        CPPUNIT_ASSERT_EQUAL(std::string("/"), target("https://name?x=1").path);
        CPPUNIT_ASSERT_EQUAL(std::string("x=1"), target("https://name?x=1").query);
        CPPUNIT_ASSERT_EQUAL(std::string("name"),
                             one("GET http://name/ HTTP/1.0\r\n\r\n").header("host"));
        refused(400, "GET http://user@name/ HTTP/1.1\r\nHost: name\r\n\r\n");
        refused(400, "GET http://name/ HTTP/1.1\r\n\r\n");
    }

    void testRequestLines() {
        for (const char* bad :
             {"GET /  HTTP/1.1", "GET  / HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.1 ", "GET /",
              "GET", "GET /\tHTTP/1.1", "GET / HTTP/1.1\tx", "G@T / HTTP/1.1", "GET / http/1.1",
              "GET / HTTP/1", "GET / HTTP/1.10", "GET / HTTP/01.1", "GET / HTTP/1,1",
              "GET / XTTP/1.1", "GET / HTTP/a.b", "GET / x HTTP/1.1", "\xffGET / HTTP/1.1"})
            refused(400, std::string(bad) + "\r\nHost: a\r\n\r\n");
        refused(400, "\x16\x03\x01\x02");  // TLS: no line end needed
        refused(400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        refused(400, "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        refused(400, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        one("\r\n" + get(""));
    }

    void testMethods() {
        for (const char* method : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
            CPPUNIT_ASSERT_EQUAL(
                std::string(method),
                one(std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n").method);
        for (const char* method : {"CONNECT", "TRACE", "get", "PROPFIND", "M-SEARCH", "GETX", "GE"})
            refused(501, std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n");
    }

    void testVersions() {
        one("GET / HTTP/1.0\r\n\r\n");
        for (const char* version : {"HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/5.6", "HTTP/3.1"})
            refused(505, "GET / " + std::string(version) + "\r\nHost: a\r\n\r\n");
    }

    void testLineEnds() {
        for (const std::string& bad :
             {std::string("GET / HTTP/1.1\nHost: a\r\n\r\n"),
              std::string("GET / HTTP/1.1\r\nHost: a\n\r\n"),
              std::string("GET / HTTP/1.1\r\nHost: a\r\n\n"),
              std::string("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"), get("A: b\r\r\n"),
              get("A: b\r\n c\r\n"), get(" A: b\r\n"), get("A: b\r\n\tc\r\n"),
              get("A: b\r\n\x0b\r\n"), get(std::string("A: \0\r\n", 6)), get("A: \x1b\r\n"),
              get("A\r\n"), get(": b\r\n"), get("A : b\r\n")})
            refused(400, bad);
        CPPUNIT_ASSERT_EQUAL(std::string("\xff\xc3"), one(get("A: \xff\xc3\r\n")).header("A"));
    }

    void testContentLength() {
        CPPUNIT_ASSERT_EQUAL(std::string("abc"), one(post("Content-Length: 003\r\n", "abc")).body);
        CPPUNIT_ASSERT_EQUAL(std::string(), one(post("Content-Length: 0\r\n", "")).body);
        for (const char* bad : {"", "+3", "-3", " 3 3", "3,3", "3, 3", "0x3", "3.0", "3;", "1e1",
                                "\xb3", "99999999999999999999", "18446744073709551619", "\"3\""})
            refused(400, post("Content-Length: " + std::string(bad) + "\r\n", "abc"));
        refused(400, post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"));
        refused(400, post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"));
        refused(400, post("Content-Length: 3\r\ncontent-length: 0\r\n", "abc"));
        refused(400, post("Content-Length: 0\r\ncontent-length: 3\r\n", "abc"));
        CPPUNIT_ASSERT(parseStream(post("Content-Length: 4\r\n", "abc")).incomplete);
    }

    void testTransferEncoding() {
        const std::string body = "3\r\nabc\r\n0\r\n\r\n";
        CPPUNIT_ASSERT_EQUAL(std::string("abc"),
                             one(post("Transfer-Encoding: Chunked\r\n", body)).body);
        for (const char* bad :
             {"gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "identity", "",
              "xchunked", "chunked;q=1", "\"chunked\"", "chunkedchunked", ",chunked", "chunked,"})
            refused(400, post("Transfer-Encoding: " + std::string(bad) + "\r\n", body));
        refused(400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body));
        refused(400, post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", body));
        refused(400, post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", body));
        refused(400, post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", body));
        refused(400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
    }

    void testChunked() {
        const auto chunked = [](const std::string& body) {
            return post("Transfer-Encoding: chunked\r\n", body);
        };
        CPPUNIT_ASSERT_EQUAL(
            std::string("hello world"),
            one(chunked("5\r\nhello\r\n006;a=b;c=\"d;\\\"\"\r\n world\r\n000\r\n\r\n")).body);
        const Parsed trailers =
            one(chunked("A\r\n0123456789\r\n0\r\nContent-Length: 5\r\nHost: evil\r\nX: y\r\n\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("0123456789"), trailers.body);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, trailers.headers.size());
        CPPUNIT_ASSERT_EQUAL(std::string("a"), trailers.header("Host"));
        for (const char* bad : {"x\r\n",
                                "\r\n",
                                "-1\r\nabc\r\n",
                                "+3\r\nabc\r\n",
                                "0x3\r\nabc\r\n",
                                "3 \r\nabc\r\n0\r\n\r\n",
                                " 3\r\nabc\r\n0\r\n\r\n",
                                "3\nabc\r\n0\r\n\r\n",
                                "3\r\nabcd\r\n0\r\n\r\n",
                                "3\r\nabc\n0\r\n\r\n",
                                "3\r\nabc0\r\n\r\n",
                                "3;\r\nabc\r\n",
                                "3;a=\r\nabc\r\n",
                                "3;a=\"b\r\nabc\r\n",
                                "3 ;a\r\nabc\r\n",
                                "3;a =b\r\nabc\r\n",
                                "3\r\nabc\r\n0\r\nX : y\r\n\r\n",
                                "3\r\nabc\r\n0\r\n X: y\r\n\r\n",
                                "3\r\nabc\r\n0\r\nX: y\n\r\n",
                                "3\r\r\nabc\r\n",
                                "10000000000000000\r\nabc",
                                "00000000000000003\r\nabc\r\n",
                                "3;\x01\r\nabc\r\n",
                                "0\r\n\n"})
            refused(400, chunked(bad));
        refused(413, chunked("ffffffffffffffff\r\nabc"));
        refused(413, chunked("3\r\nabc\r\nfffffffffffffffd\r\nabc"));
        refused(400, chunked("3;" + std::string(5000, 'x') + "\r\nabc\r\n0\r\n\r\n"));
        refused(400, chunked("3;" + std::string(5000, 'x')));
        std::string many;
        for (int i = 0; i < 100; ++i) many += "1;" + std::string(400, 'x') + "\r\na\r\n";
        refused(400, chunked(many));
        many = "0\r\n";
        for (int i = 0; i < 100; ++i) many += "X: " + std::string(400, 'x') + "\r\n";
        refused(400, chunked(many + "\r\n"));
    }

    void testHost() {
        refused(400, "GET / HTTP/1.1\r\n\r\n");
        refused(400, "GET / HTTP/1.1\r\nHost:\r\n\r\n");
        refused(400, "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n");
        refused(400, "GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n");
        refused(400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
        refused(400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n");
        refused(400, "GET / HTTP/1.1\r\nHost: a,b@c\r\n\r\n");
    }

    void testExpect() {
        one(post("Expect: 100-Continue\r\nContent-Length: 1\r\n", "x"));
        refused(417, post("Expect: 200-ok\r\nContent-Length: 1\r\n", "x"));
        refused(417, post("Expect: 100-continue, x\r\nContent-Length: 1\r\n", "x"));
        one("GET / HTTP/1.0\r\nExpect: whatever\r\n\r\n");
    }

    void testKeepAlive() {
        CPPUNIT_ASSERT(!one(get("Connection: close\r\n")).keepAlive);
        CPPUNIT_ASSERT(!one(get("Connection: keep-alive, Close\r\n")).keepAlive);
        CPPUNIT_ASSERT(!one(get("Connection: keep-alive\r\nConnection: close\r\n")).keepAlive);
        CPPUNIT_ASSERT(one(get("Connection: upgrade\r\n")).keepAlive);
        CPPUNIT_ASSERT(!one("GET / HTTP/1.0\r\n\r\n").keepAlive);
        CPPUNIT_ASSERT(one("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keepAlive);
    }

    void testLimits() {
        const auto target = [](size_t size) {
            return "GET /" + std::string(size - 1, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n";
        };
        one(target(8192));
        refused(414, target(8193));
        refused(414, "GET /" + std::string(9000, 'x'));  // no line end in sight
        const auto headers = [](size_t size) {
            const std::string fixed = "Host: a\r\nX: \r\n\r\n";
            return "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(size - fixed.size() + 2, 'x') +
                   "\r\n\r\n";
        };
        one(headers(32 * 1024));
        // The line that ends them may come in two pieces.
        CPPUNIT_ASSERT_EQUAL(size_t{1}, parseStream(headers(32 * 1024), 1).requests.size());
        refused(431, headers(32 * 1024 + 1));
        refused(431, get("X: " + std::string(33000, 'x')).substr(0, 33000));
        std::string fields;
        for (int i = 0; i < 99; ++i) fields += "A: b\r\n";
        CPPUNIT_ASSERT_EQUAL(size_t{100}, one(get(fields)).headers.size());
        refused(431, get(fields + "A: b\r\n"));
    }

    void testBodyLimit() {
        const ParserLimits limits{.bodyBytes = 10};
        CPPUNIT_ASSERT_EQUAL(
            0, parseStream(post("Content-Length: 10\r\n", "0123456789"), 0, limits).status);
        CPPUNIT_ASSERT_EQUAL(413,
                             parseStream(post("Content-Length: 11\r\n", ""), 0, limits).status);
        CPPUNIT_ASSERT_EQUAL(
            413, parseStream(post("Content-Length: 999999999999999999\r\n", ""), 0, limits).status);
        CPPUNIT_ASSERT_EQUAL(0, parseStream(post("Transfer-Encoding: chunked\r\n",
                                                 "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"),
                                            0, limits)
                                    .status);
        CPPUNIT_ASSERT_EQUAL(
            413,
            parseStream(post("Transfer-Encoding: chunked\r\n", "5\r\n01234\r\n6\r\n"), 0, limits)
                .status);
    }

    void testBodyLimitOfOneRequest() {
        const ParserLimits limits{.bodyBytes = 4};
        std::string bytes = post("Content-Length: 5\r\n", "01234");
        for (const size_t limit : {size_t{5}, size_t{4}}) {
            RequestParser parser(limits);
            size_t size = bytes.size();
            CPPUNIT_ASSERT(parser.parse(bytes.data(), size) == RequestParser::State::head);
            CPPUNIT_ASSERT_EQUAL(uint64_t{5}, parser.contentLength());
            parser.setBodyLimit(limit);
            const auto state = parser.parse(bytes.data(), size);
            CPPUNIT_ASSERT(state == (limit == 5 ? RequestParser::State::complete
                                                : RequestParser::State::failed));
            if (limit == 4)
                CPPUNIT_ASSERT_EQUAL(std::string("4 bytes"), parser.refusal().failure.limit);
        }
    }

    void testPipelining() {
        const ParseOutcome outcome = parseStream(
            get("") + post("Content-Length: 3\r\n", "abc") + "\r\n" +
            post("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\n\r\n") + get("A: b\r\n") + "GE");
        CPPUNIT_ASSERT_EQUAL(0, outcome.status);
        CPPUNIT_ASSERT_EQUAL(size_t{4}, outcome.requests.size());
        CPPUNIT_ASSERT_EQUAL(std::string("x"), outcome.requests[2].body);
        CPPUNIT_ASSERT_EQUAL(std::string("b"), outcome.requests[3].header("a"));
        CPPUNIT_ASSERT(outcome.incomplete);
    }

    void testPiecesGiveTheSame() {
        const std::string big(3000, 'y');
        const std::string stream =
            "\r\n" + get("A: b\r\n") + post("Content-Length: 3000\r\n", big) +
            post("Transfer-Encoding: chunked\r\n",
                 "5;x=\"y\"\r\nhello\r\nbb8\r\n" + big + "\r\n0\r\nT: u\r\n\r\n") +
            "GET http://h?q HTTP/1.1\r\nHost: z\r\n\r\n" + post("Content-Length: 0\r\n", "");
        const ParseOutcome whole = parseStream(stream);
        CPPUNIT_ASSERT_EQUAL(size_t{5}, whole.requests.size());
        CPPUNIT_ASSERT_EQUAL("hello" + big, whole.requests[2].body);
        for (const size_t piece : {1, 2, 3, 5, 7, 64, 1000})
            CPPUNIT_ASSERT(parseStream(stream, piece) == whole);
    }

    // No byte anywhere makes pieces differ from the whole, nor gives a request that holds what it
    // must not.
    void testEveryByteInEveryPlace() {
        const std::string sample =
            "POST /p?q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
            "chunked\r\n\r\n3;e=f\r\nabc\r\n0\r\nT: u\r\n\r\n";
        for (size_t at = 0; at < sample.size(); ++at)
            for (int byte = 0; byte < 256; ++byte) {
                std::string changed = sample;
                changed[at] = static_cast<char>(byte);
                const ParseOutcome whole = parseStream(changed), pieces = parseStream(changed, 1);
                // Pieces may be refused sooner and for another reason, but never differ in what is
                // taken.
                CPPUNIT_ASSERT_EQUAL_MESSAGE(changed, whole.status == 0, pieces.status == 0);
                CPPUNIT_ASSERT_MESSAGE(changed, whole.requests == pieces.requests);
                for (const Parsed& parsed : whole.requests)
                    for (const auto& [name, value] : parsed.headers)
                        CPPUNIT_ASSERT_MESSAGE(changed, value.find_first_of(std::string_view(
                                                            "\0\r\n", 3)) == std::string::npos);
            }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ParserTest);

}  // namespace cf::http
