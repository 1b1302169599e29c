// How answers look on the wire, and what happens to those that come late, twice or never.
#include <atomic>

#include "support.hpp"

namespace cf::http {

class ServerAnswersTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ServerAnswersTest);
    CPPUNIT_TEST(testHead);
    CPPUNIT_TEST(testHeadRequests);
    CPPUNIT_TEST(testStatusesWithoutBody);
    CPPUNIT_TEST(testManyPieces);
    CPPUNIT_TEST(testAnswersLargerThanTheSocket);
    CPPUNIT_TEST(testRefusals);
    CPPUNIT_TEST(testRefusalsUseTheGivenDocument);
    CPPUNIT_TEST(testRefusedClientStillReadsItsAnswer);
    CPPUNIT_TEST(testUnanswered);
    CPPUNIT_TEST(testUnansweredOnAnotherThread);
    CPPUNIT_TEST(testHandlerThrows);
    CPPUNIT_TEST(testAnsweredTwice);
    CPPUNIT_TEST(testClientGone);
    CPPUNIT_TEST(testClientGoneAfterHalfClose);
    CPPUNIT_TEST(testTheEndBehindPipelinedRequests);
    CPPUNIT_TEST(testTheEndInTheMomentOfAnAnswer);
    CPPUNIT_TEST(testServerGoesFirst);
    CPPUNIT_TEST_SUITE_END();

    static constexpr const char* get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

public:
    void testHead() {
        RunningServer server([](std::shared_ptr<Exchange> exchange) {
            exchange->respond(201, "X-A: b\r\nX-C: d\r\n", {"ab", "", "c"});
        });
        const std::string answer = server.connect().send(get).readAnswer();
        CPPUNIT_ASSERT(answer.starts_with("HTTP/1.1 201 Created\r\n"));
        CPPUNIT_ASSERT(answer.ends_with("X-A: b\r\nX-C: d\r\n\r\nabc"));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, count(answer, "Content-Length: 3\r\n"));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, count(answer, "\r\nDate: "));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, count(answer, " GMT\r\n"));
    }

    void testHeadRequests() {
        RunningServer server(echo);
        Client client = server.connect();
        client.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n");
        const std::string head = client.readAnswer(true);
        CPPUNIT_ASSERT(head.find("Content-Length: 8\r\n") != std::string::npos);
        CPPUNIT_ASSERT(head.ends_with("\r\n\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("GET /y "), bodyOf(client.readAnswer()));
    }

    void testStatusesWithoutBody() {
        for (const int status : {204, 304}) {
            RunningServer server([=](std::shared_ptr<Exchange> exchange) {
                exchange->respond(status, "", {"must not be sent"});
            });
            Client client = server.connect();
            for (int i = 0; i < 2; ++i) {
                const std::string answer = client.send(get).readAnswer();
                CPPUNIT_ASSERT_EQUAL(status, statusOf(answer));
                CPPUNIT_ASSERT_EQUAL(std::string::npos, answer.find("Content-Length"));
                CPPUNIT_ASSERT(answer.ends_with("\r\n\r\n"));
            }
        }
    }

    void testManyPieces() {
        const std::string large(20'000, 'x');
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            const std::string_view p = large;
            exchange->respond(200, "",
                              {p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p});
        });
        Client client = server.connect();
        CPPUNIT_ASSERT_EQUAL(size_t{400'000}, bodyOf(client.send(get).readAnswer()).size());
        RunningServer few([&](std::shared_ptr<Exchange> exchange) {
            exchange->respond(200, "", {"a", large, "b"});
        });
        CPPUNIT_ASSERT("a" + large + "b" == bodyOf(few.connect().send(get).readAnswer()));
    }

    // The handler's bytes may go as soon as respond returns; the next request waits until the
    // answer is through.
    void testAnswersLargerThanTheSocket() {
        RunningServer server([](std::shared_ptr<Exchange> exchange) {
            std::string body(5u << 20, exchange->request().path[1]);
            exchange->respond(200, "", {"<", body, ">"});
            std::fill(body.begin(), body.end(), '!');
        });
        Client client(server.port(), 4096);
        client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, server.counters().requests);
        CPPUNIT_ASSERT("<" + std::string(5u << 20, 'a') + ">" == bodyOf(client.readAnswer()));
        CPPUNIT_ASSERT("<" + std::string(5u << 20, 'b') + ">" == bodyOf(client.readAnswer()));
    }

    void testRefusals() {
        RunningServer server(echo);
        const std::pair<int, std::string> cases[] = {
            {400, "GET / HTTP/1.1\r\n\r\n"},
            {414, "GET /" + std::string(9000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n"},
            {431, "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(40'000, 'x') + "\r\n\r\n"},
            {413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6291457\r\n\r\n"},
            {417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n"},
            {501, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n"},
            {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"}};
        for (const auto& [status, request] : cases) {
            const std::string answer = server.ask(request);
            CPPUNIT_ASSERT_EQUAL(status, statusOf(answer));
            CPPUNIT_ASSERT(answer.find("Connection: close\r\n") != std::string::npos);
            CPPUNIT_ASSERT(answer.find("Content-Type: application/problem+json\r\n") !=
                           std::string::npos);
            CPPUNIT_ASSERT(bodyOf(answer).find("\"status\":" + std::to_string(status)) !=
                           std::string::npos);
            CPPUNIT_ASSERT(bodyOf(answer).find("\"detail\":\"the request") != std::string::npos);
        }
        CPPUNIT_ASSERT_EQUAL(uint64_t{7}, server.counters().refused);
        CPPUNIT_ASSERT_EQUAL(uint64_t{0}, server.counters().requests);
    }

    void testRefusalsUseTheGivenDocument() {
        ServerOptions options;
        options.problem = [](const Refusal& refusal, const Request& request) {
            return Problem{.headers = "X-Seen: " + std::string(request.header("X-Id")) + "\r\n",
                           .document = "<" + refusal.failure.reason +
                                       std::to_string(refusal.status) +
                                       std::string(request.path) + ">"};
        };
        options.headerTimeout = std::chrono::milliseconds(50);
        RunningServer server(echo, std::move(options));
        const auto refused = [&](const std::string& document, const std::string& id,
                                 const std::string& request) {
            const std::string answer = server.ask(request);
            CPPUNIT_ASSERT_EQUAL(document, bodyOf(answer));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer, size_t{1}, count(answer, "X-Seen: " + id + "\r\n"));
        };
        refused("<malformed_request400/a>", "1", "GET /a?b HTTP/1.1\r\nX-Id: 1\r\n\r\n");
        refused("<malformed_request400/>", "1",
                "GET http://a HTTP/1.1\r\nX-Id: 1\r\nHost: a\r\nHost: b\r\n\r\n");
        refused("<malformed_request400/>", "",
                "GET http://a HTTP/1.1\r\nHost: \"\r\nX-Id: 1\r\n\r\n");
        refused("<body_too_large413/a>", "1",
                "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6291457\r\nX-Id: 1\r\n\r\n");
        // Nothing of the request before is taken for one of this.
        Client second = server.connect();
        second.send("GET /a HTTP/1.1\r\nHost: a\r\nX-Id: 1\r\n\r\nBREW /b HTTP/1.1\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL(200, statusOf(second.readAnswer()));
        const std::string unknown = second.readAnswer();
        CPPUNIT_ASSERT_EQUAL(std::string("<method_not_implemented501>"), bodyOf(unknown));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, count(unknown, "X-Seen: \r\n"));
        Client slow = server.connect();
        const std::string late = slow.send("GET /a HTTP/1.1\r\nX-Id: 1\r\nX-Re").readAnswer();
        CPPUNIT_ASSERT_EQUAL(std::string("<request_timeout408/a>"), bodyOf(late));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, count(late, "X-Seen: 1\r\n"));
    }

    // A client that is still sending when it is refused must get the answer, not a reset.
    void testRefusedClientStillReadsItsAnswer() {
        RunningServer server(echo);
        Client client = server.connect();
        const bool all =
            client.trySend("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n" +
                           std::string(8'000'000, 'x'));
        CPPUNIT_ASSERT(all);
        client.endOfInput();
        const std::string answer = client.readAll();
        CPPUNIT_ASSERT_EQUAL(413, statusOf(answer));
        CPPUNIT_ASSERT_EQUAL(std::string::npos, answer.find("<reset>"));
    }

    void testUnanswered() {
        RunningServer server([](std::shared_ptr<Exchange>) {});
        const std::string answer = server.connect().send(get).readAnswer();
        CPPUNIT_ASSERT_EQUAL(500, statusOf(answer));
        CPPUNIT_ASSERT(answer.find("internal_error") != std::string::npos);
    }

    void testUnansweredOnAnotherThread() {
        std::promise<std::shared_ptr<Exchange>> taken;
        RunningServer server(
            [&](std::shared_ptr<Exchange> exchange) { taken.set_value(std::move(exchange)); });
        Client client = server.connect();
        client.send(get);
        taken.get_future().get().reset();  // the last one, here
        CPPUNIT_ASSERT_EQUAL(500, statusOf(client.readAnswer()));
    }

    void testHandlerThrows() {
        RunningServer server(
            [](std::shared_ptr<Exchange>) { throw std::runtime_error("meant to be"); });
        CPPUNIT_ASSERT_EQUAL(500, statusOf(server.connect().send(get).readAnswer()));
        CPPUNIT_ASSERT_EQUAL(500, statusOf(server.connect().send(get).readAnswer()));
    }

    void testAnsweredTwice() {
        RunningServer server([](std::shared_ptr<Exchange> exchange) {
            exchange->respond(200, "", {"1"});
            exchange->respond(200, "", {"2"});
        });
        Client client = server.connect();
        CPPUNIT_ASSERT_EQUAL(std::string("1"), bodyOf(client.send(get).readAnswer()));
        CPPUNIT_ASSERT(client.silentFor(std::chrono::milliseconds(50)));
    }

    void testClientGone() {
        std::shared_ptr<Exchange> held;
        std::atomic<int> gone{0};
        std::atomic<bool> taken{false};
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            exchange->onClientGone([&] { ++gone; });
            held = std::move(exchange);
            taken = true;
        });
        Client client = server.connect();
        client.send("POST /kept HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        CPPUNIT_ASSERT(eventually([&] { return taken.load(); }));
        server.onLoop([&] { CPPUNIT_ASSERT(!held->clientGone()); });
        client.reset();
        CPPUNIT_ASSERT(eventually([&] { return gone == 1; }));
        server.onLoop([&] {
            CPPUNIT_ASSERT(held->clientGone());
            CPPUNIT_ASSERT_EQUAL(
                std::string("/kept body"),
                std::string(held->request().path) + " " + std::string(held->request().body));
            held->respond(200, "", {"nobody reads this"});
            held.reset();
        });
        CPPUNIT_ASSERT_EQUAL(uint64_t{0}, server.counters().open);
        CPPUNIT_ASSERT_EQUAL(1, gone.load());
    }

    // The end of input alone is not leaving, a reset behind it is.
    void testClientGoneAfterHalfClose() {
        std::shared_ptr<Exchange> held;
        std::atomic<bool> gone{false}, ended{false}, taken{false};
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            exchange->onClientGone([&] { gone = true; });
            exchange->onInputEnd([&] { ended = true; });
            held = std::move(exchange);
            taken = true;
        });
        Client client = server.connect();
        client.send(get);
        CPPUNIT_ASSERT(eventually([&] { return taken.load(); }));
        CPPUNIT_ASSERT(!ended);
        client.endOfInput();
        CPPUNIT_ASSERT(eventually([&] { return ended.load(); }));
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        CPPUNIT_ASSERT(!gone);
        client.reset();
        CPPUNIT_ASSERT(eventually([&] { return gone.load(); }));
        server.onLoop([&] { held.reset(); });
    }

    // It is the end of their row and says nothing of the one that is being handled.
    void testTheEndBehindPipelinedRequests() {
        std::shared_ptr<Exchange> held;
        std::atomic<bool> ended{false}, taken{false};
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            if (exchange->request().path != "/held") return echo(std::move(exchange));
            exchange->onInputEnd([&] { ended = true; });
            held = std::move(exchange);
            taken = true;
        });
        Client client = server.connect();
        client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
        client.endOfInput();
        CPPUNIT_ASSERT(eventually([&] { return taken.load(); }));
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        CPPUNIT_ASSERT(!ended);
        server.onLoop([&] { std::exchange(held, nullptr)->respond(200, "", {"first"}); });
        CPPUNIT_ASSERT_EQUAL(std::string("first"), bodyOf(client.readAnswer()));
        CPPUNIT_ASSERT_EQUAL(std::string("GET /b "), bodyOf(client.readAnswer()));
        CPPUNIT_ASSERT(client.closed());
    }

    // The request behind it waits for the end of the round then.
    void testTheEndInTheMomentOfAnAnswer() {
        std::shared_ptr<Exchange> held;
        std::atomic<bool> taken{false};
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            const std::string path(exchange->request().path);
            if (path == "/release") std::exchange(held, nullptr)->respond(200, "", {"first"});
            if (path != "/held") return echo(std::move(exchange));
            held = std::move(exchange);
            taken = true;
        });
        Client client = server.connect(), other = server.connect();
        client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
        CPPUNIT_ASSERT(eventually([&] { return taken.load(); }));
        std::promise<void> asleep, wake;
        server.loop.post([&] {
            asleep.set_value();
            wake.get_future().wait();
        });
        asleep.get_future().wait();
        other.send("GET /release HTTP/1.1\r\nHost: a\r\n\r\n");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        client.endOfInput();
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        wake.set_value();
        CPPUNIT_ASSERT_EQUAL(std::string("first"), bodyOf(client.readAnswer()));
        CPPUNIT_ASSERT_EQUAL(std::string("GET /b "), bodyOf(client.readAnswer()));
    }

    void testServerGoesFirst() {
        std::shared_ptr<Exchange> held;
        std::atomic<bool> gone{false}, taken{false};
        auto server = std::make_unique<RunningServer>([&](std::shared_ptr<Exchange> exchange) {
            exchange->onClientGone([&] { gone = true; });
            held = std::move(exchange);
            taken = true;
        });
        Client client = server->connect();
        client.send(get);
        CPPUNIT_ASSERT(eventually([&] { return taken.load(); }));
        server.reset();
        CPPUNIT_ASSERT(gone);
        CPPUNIT_ASSERT(held->clientGone());
        CPPUNIT_ASSERT_EQUAL(std::string("/"), std::string(held->request().path));
        held->respond(200, "", {"late"});
        held.reset();
        CPPUNIT_ASSERT(client.closed());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServerAnswersTest);

}  // namespace cf::http
