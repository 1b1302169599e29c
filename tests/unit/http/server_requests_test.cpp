// What clients do that is fine: over real sockets, the answer comes.
#include <atomic>

#include "support.hpp"

namespace cf::http {

class ServerRequestsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ServerRequestsTest);
    CPPUNIT_TEST(testKeepAlive);
    CPPUNIT_TEST(testPipelining);
    CPPUNIT_TEST(testPipeliningWithAnswersLater);
    CPPUNIT_TEST(testPipelinedBodiesOfAllSizes);
    CPPUNIT_TEST(testByteByByte);
    CPPUNIT_TEST(testChunked);
    CPPUNIT_TEST(testLargeBodies);
    CPPUNIT_TEST(testBodiesHaveReadableBytesBehindThem);
    CPPUNIT_TEST(testContinue);
    CPPUNIT_TEST(testContinueIsNotSentInVain);
    CPPUNIT_TEST(testHalfClosed);
    CPPUNIT_TEST(testHalfClosedWithAnswerLater);
    CPPUNIT_TEST(testHttp10);
    CPPUNIT_TEST(testConnectionClose);
    CPPUNIT_TEST(testEmptyLineBehindABody);
    CPPUNIT_TEST(testBodyLimitOfOneRequest);
    CPPUNIT_TEST(testRequestOutlivesTheEvent);
    CPPUNIT_TEST_SUITE_END();

    static std::string post(const std::string& target, const std::string& body,
                            const std::string& lines = "") {
        return "POST " + target + " HTTP/1.1\r\nHost: a\r\n" + lines +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }

public:
    void testKeepAlive() {
        RunningServer server(echo);
        Client client = server.connect();
        for (int i = 0; i < 3; ++i) {
            const std::string answer = client.send(post("/" + std::to_string(i), "x")).readAnswer();
            CPPUNIT_ASSERT_EQUAL(200, statusOf(answer));
            CPPUNIT_ASSERT_EQUAL("POST /" + std::to_string(i) + " x", bodyOf(answer));
            CPPUNIT_ASSERT_EQUAL(std::string::npos, answer.find("Connection:"));
        }
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, server.counters().accepted);
        CPPUNIT_ASSERT_EQUAL(uint64_t{3}, server.counters().requests);
    }

    void testPipelining() {
        RunningServer server(echo);
        Client client = server.connect();
        std::string requests;
        for (int i = 0; i < 1000; ++i)
            requests +=
                post("/" + std::to_string(i), std::string(static_cast<size_t>(i % 50), 'x'));
        client.send(requests);
        for (int i = 0; i < 1000; ++i)
            CPPUNIT_ASSERT_EQUAL(
                "POST /" + std::to_string(i) + " " + std::string(static_cast<size_t>(i % 50), 'x'),
                bodyOf(client.readAnswer()));
    }

    // One answer at a time, from another thread's hand, in the order of the requests; never two
    // handed over at once.
    void testPipeliningWithAnswersLater() {
        std::atomic<int> out{0}, most{0};
        RunningServer* running = nullptr;
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            most = std::max(most.load(), ++out);
            running->loop.post([&, exchange] {
                --out;
                echo(exchange);
            });
        });
        running = &server;
        Client client = server.connect();
        std::string requests;
        for (int i = 0; i < 1000; ++i) requests += post("/" + std::to_string(i), "body");
        client.send(requests);
        for (int i = 0; i < 1000; ++i)
            CPPUNIT_ASSERT_EQUAL("POST /" + std::to_string(i) + " body",
                                 bodyOf(client.readAnswer()));
        CPPUNIT_ASSERT_EQUAL(1, most.load());
    }

    void testPipelinedBodiesOfAllSizes() {
        RunningServer server(echo);
        Client client = server.connect();
        std::string requests;
        std::vector<std::string> bodies;
        for (const size_t size : {0ul, 1ul, 4000ul, 70'000ul, 0ul, 200'000ul, 3ul, 65'536ul,
                                  65'400ul, 1'000'000ul, 10ul}) {
            bodies.emplace_back(size, static_cast<char>('a' + bodies.size()));
            requests += post("/", bodies.back());
        }
        std::thread sender([&] { client.trySend(requests); });
        for (const std::string& body : bodies)
            CPPUNIT_ASSERT("POST / " + body == bodyOf(client.readAnswer()));
        sender.join();
    }

    void testByteByByte() {
        RunningServer server(echo);
        Client client = server.connect();
        for (const char c : post("/slow", "hello") + post("/next", "x")) client.send({&c, 1});
        CPPUNIT_ASSERT_EQUAL(std::string("POST /slow hello"), bodyOf(client.readAnswer()));
        CPPUNIT_ASSERT_EQUAL(std::string("POST /next x"), bodyOf(client.readAnswer()));
    }

    void testChunked() {
        RunningServer server(echo);
        Client client = server.connect();
        const std::string head =
            "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(head + "5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nT: u\r\n\r\n" +
                    post("/next", "y"));
        CPPUNIT_ASSERT_EQUAL(std::string("POST /c hello world"), bodyOf(client.readAnswer()));
        CPPUNIT_ASSERT_EQUAL(std::string("POST /next y"), bodyOf(client.readAnswer()));
        client.send(head);
        std::string body;
        for (int i = 0; i < 300; ++i) {
            client.send("3e8\r\n" + std::string(1000, 'z') + "\r\n");
            body += std::string(1000, 'z');
        }
        client.send("0\r\n\r\n");
        CPPUNIT_ASSERT("POST /c " + body == bodyOf(client.readAnswer()));
    }

    void testLargeBodies() {
        RunningServer server(echo);
        Client client = server.connect();
        const std::string body(6u << 20, 'b');
        std::thread sender([&] { client.trySend(post("/l", body)); });
        const std::string answer = client.readAnswer();
        sender.join();
        CPPUNIT_ASSERT("POST /l " + body == bodyOf(answer));
    }

    void testBodiesHaveReadableBytesBehindThem() {
        std::atomic<unsigned> sum{0};
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            const std::string_view body = exchange->request().body;
            for (size_t i = 0; i < 64; ++i)
                sum +=
                    static_cast<unsigned char>(body.data()[body.size() + i]);  // a sanitizer minds
            exchange->respond(204, "", {});
        });
        for (const size_t size : {0ul, 1ul, 2000ul, 70'000ul, 300'000ul})
            CPPUNIT_ASSERT_EQUAL(204, statusOf(server.ask(post("/", std::string(size, 'x')))));
    }

    void testContinue() {
        RunningServer server(echo);
        Client client = server.connect();
        client.send(
            "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL(std::string("HTTP/1.1 100 Continue\r\n\r\n"), client.readAnswer());
        client.send("hello");
        CPPUNIT_ASSERT_EQUAL(std::string("POST /e hello"), bodyOf(client.readAnswer()));
    }

    void testContinueIsNotSentInVain() {
        RunningServer server(echo, {.limits = {.bodyBytes = 10}});
        const std::string head = "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n";
        CPPUNIT_ASSERT_EQUAL(413, statusOf(server.ask(head + "Content-Length: 11\r\n\r\n")));
        CPPUNIT_ASSERT_EQUAL(
            200, statusOf(server.ask(
                     head + "Content-Length: 5\r\n\r\nhello")));  // the body is there already
        CPPUNIT_ASSERT_EQUAL(200, statusOf(server.ask(head + "Content-Length: 0\r\n\r\n")));
        CPPUNIT_ASSERT_EQUAL(
            417, statusOf(server.ask(
                     "POST /e HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n")));
    }

    void testHalfClosed() {
        RunningServer server(echo);
        const std::string answers = server.ask(post("/1", "a") + post("/2", "b"));
        CPPUNIT_ASSERT_EQUAL(size_t{2}, count(answers, "HTTP/1.1 200"));
        CPPUNIT_ASSERT(answers.ends_with("POST /2 b"));
    }

    void testHalfClosedWithAnswerLater() {
        RunningServer* running = nullptr;
        std::atomic<bool> gone{false};
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            exchange->onClientGone([&] { gone = true; });
            running->loop.after(std::chrono::milliseconds(150), [exchange] { echo(exchange); });
        });
        running = &server;
        Client client = server.connect();
        client.send(post("/1", "a") + post("/2", "b")).endOfInput();
        CPPUNIT_ASSERT_EQUAL(std::string("POST /1 a"), bodyOf(client.readAnswer()));
        const std::string last = client.readAnswer();
        CPPUNIT_ASSERT_EQUAL(std::string("POST /2 b"), bodyOf(last));
        CPPUNIT_ASSERT(last.find("Connection: close\r\n") != std::string::npos);
        CPPUNIT_ASSERT(client.closed());
        CPPUNIT_ASSERT(!gone);
    }

    void testHttp10() {
        RunningServer server(echo);
        Client client = server.connect();
        const std::string answer = client.send("GET /old HTTP/1.0\r\n\r\n").readAll();
        CPPUNIT_ASSERT_EQUAL(std::string("GET /old "), bodyOf(answer));
        CPPUNIT_ASSERT(answer.find("Connection: close\r\n") != std::string::npos);
        Client kept = server.connect();
        for (int i = 0; i < 2; ++i)
            CPPUNIT_ASSERT(kept.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                               .readAnswer()
                               .find("Connection: keep-alive\r\n") != std::string::npos);
    }

    void testConnectionClose() {
        RunningServer server(echo);
        Client client = server.connect();
        client.send(
            "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: "
            "a\r\n\r\n");
        const std::string answer = client.readAnswer();
        CPPUNIT_ASSERT_EQUAL(std::string("GET /1 "), bodyOf(answer));
        CPPUNIT_ASSERT(answer.find("Connection: close\r\n") != std::string::npos);
        CPPUNIT_ASSERT(client.closed());
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, server.counters().requests);
    }

    void testEmptyLineBehindABody() {
        RunningServer server(echo);
        Client client = server.connect();
        CPPUNIT_ASSERT_EQUAL(std::string("POST /1 a"),
                             bodyOf(client.send(post("/1", "a") + "\r\n").readAnswer()));
        CPPUNIT_ASSERT(client.silentFor(std::chrono::milliseconds(50)));
        CPPUNIT_ASSERT_EQUAL(std::string("POST /2 b"),
                             bodyOf(client.send(post("/2", "b")).readAnswer()));
    }

    void testBodyLimitOfOneRequest() {
        ServerOptions options{.limits = {.bodyBytes = 1000}};
        options.bodyLimit = [](const Request& head) {
            return head.path == "/large" && head.header("X-Kind") == "code" ? size_t{200'000}
                                                                            : size_t{1000};
        };
        RunningServer server(echo, std::move(options));
        const std::string body(150'000, 'c');
        CPPUNIT_ASSERT_EQUAL(200, statusOf(server.ask(post("/large", body, "X-Kind: code\r\n"))));
        Client client = server.connect();
        client.trySend(post("/other", body));
        const std::string refused = client.readAnswer();
        CPPUNIT_ASSERT_EQUAL(413, statusOf(refused));
        CPPUNIT_ASSERT(refused.find("\"limit\":\"1000 bytes\"") != std::string::npos);
        CPPUNIT_ASSERT(refused.find("body_too_large") != std::string::npos);
    }

    // The views of a request last as long as somebody holds its exchange, whatever the connection
    // does meanwhile.
    void testRequestOutlivesTheEvent() {
        std::vector<std::shared_ptr<Exchange>> held;
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            held.push_back(exchange);
            exchange->respond(200, "", {});
        });
        Client client = server.connect();
        for (int i = 0; i < 50; ++i)
            client
                .send(post(
                    "/" + std::to_string(i) + "?q",
                    std::string(static_cast<size_t>(i) * 3000, static_cast<char>('A' + i % 26))))
                .readAnswer();
        server.onLoop([&] {
            for (size_t i = 0; i < held.size(); ++i) {
                const Request& request = held[i]->request();
                CPPUNIT_ASSERT_EQUAL("/" + std::to_string(i), std::string(request.path));
                CPPUNIT_ASSERT_EQUAL(std::string("a"), std::string(request.header("HOST")));
                CPPUNIT_ASSERT_EQUAL(std::string("127.0.0.1"), std::string(request.peer));
                CPPUNIT_ASSERT(request.body ==
                               std::string(i * 3000, static_cast<char>('A' + i % 26)));
            }
            held.clear();
        });
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServerRequestsTest);

}  // namespace cf::http
