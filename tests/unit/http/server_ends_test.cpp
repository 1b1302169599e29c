// Listening, draining and going away.
#include <fcntl.h>

#include <atomic>

#include "support.hpp"

namespace cf::http {

using std::chrono::milliseconds;

class ServerEndsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ServerEndsTest);
    CPPUNIT_TEST(testTakenAddress);
    CPPUNIT_TEST(testSeveralAddresses);
    CPPUNIT_TEST(testDrain);
    CPPUNIT_TEST(testDrainOfNothing);
    CPPUNIT_TEST(testDrainFinishesWhatIsHalfSent);
    CPPUNIT_TEST(testStopAccepting);
    CPPUNIT_TEST(testTwoServersOnOneLoop);
    CPPUNIT_TEST_SUITE_END();

    static constexpr const char* get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

public:
    void testTakenAddress() {
        RunningServer server(echo);
        base::EventLoop loop;
        Server second(loop, {}, echo);
        const auto port = second.listen(Poco::Net::SocketAddress("127.0.0.1", server.port()));
        CPPUNIT_ASSERT(!port);
        CPPUNIT_ASSERT_EQUAL(std::string("address_unavailable"), port.failure().reason);
        CPPUNIT_ASSERT(port.failure().detail.find(std::to_string(server.port())) !=
                       std::string::npos);
    }

    void testSeveralAddresses() {
        RunningServer server(echo);
        uint16_t second = 0;
        server.onLoop(
            [&] { second = *server.server->listen(Poco::Net::SocketAddress("127.0.0.1", 0)); });
        CPPUNIT_ASSERT(second != server.port());
        CPPUNIT_ASSERT_EQUAL(200, statusOf(server.connect().send(get).readAnswer()));
        CPPUNIT_ASSERT_EQUAL(200, statusOf(Client(second).send(get).readAnswer()));
    }

    void testDrain() {
        std::shared_ptr<Exchange> held;
        std::atomic<bool> taken{false}, done{false};
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            if (exchange->request().path != "/held") return echo(exchange);
            held = std::move(exchange);
            taken = true;
        });
        Client idle = server.connect(), busy = server.connect(), fresh = server.connect();
        CPPUNIT_ASSERT_EQUAL(200, statusOf(idle.send(get).readAnswer()));
        busy.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        CPPUNIT_ASSERT(eventually([&] { return taken.load() && server.counters().open == 3; }));
        server.onLoop([&] { server.server->drain([&] { done = true; }); });
        CPPUNIT_ASSERT(idle.closed());
        CPPUNIT_ASSERT(fresh.closed());
        CPPUNIT_ASSERT(!done);
        server.onLoop([&] { std::exchange(held, nullptr)->respond(200, "", {"finished"}); });
        const std::string answer = busy.readAnswer();
        CPPUNIT_ASSERT_EQUAL(std::string("finished"), bodyOf(answer));
        CPPUNIT_ASSERT(answer.find("Connection: close\r\n") != std::string::npos);
        CPPUNIT_ASSERT(busy.closed());
        { Client closing = std::move(busy); }
        CPPUNIT_ASSERT(eventually([&] { return done.load(); }));
    }

    void testDrainOfNothing() {
        RunningServer server(echo);
        std::atomic<bool> done{false};
        server.onLoop([&] { server.server->drain([&] { done = true; }); });
        CPPUNIT_ASSERT(done);
    }

    void testDrainFinishesWhatIsHalfSent() {
        RunningServer server(echo);
        Client client = server.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo");
        CPPUNIT_ASSERT(eventually([&] { return server.counters().open == 1; }));
        std::this_thread::sleep_for(milliseconds(50));
        std::atomic<bool> done{false};
        server.onLoop([&] { server.server->drain([&] { done = true; }); });
        const std::string answer = client.send("dy").readAnswer();
        CPPUNIT_ASSERT_EQUAL(std::string("POST / body"), bodyOf(answer));
        CPPUNIT_ASSERT(answer.find("Connection: close\r\n") != std::string::npos);
        client.endOfInput();
        CPPUNIT_ASSERT(eventually([&] { return done.load(); }));
    }

    void testStopAccepting() {
        RunningServer server(echo);
        Client client = server.connect();
        CPPUNIT_ASSERT_EQUAL(200, statusOf(client.send(get).readAnswer()));
        server.onLoop([&] { server.server->stopAccepting(); });
        CPPUNIT_ASSERT_EQUAL(200, statusOf(client.send(get).readAnswer()));
        base::EventLoop loop;
        Server next(loop, {}, echo);
        CPPUNIT_ASSERT(next.listen(Poco::Net::SocketAddress("127.0.0.1", server.port())));
    }

    void testTwoServersOnOneLoop() {
        RunningServer first(echo);
        std::unique_ptr<Server> second;
        uint16_t port = 0;
        first.onLoop([&] {
            second = std::make_unique<Server>(
                first.loop, ServerOptions{},
                [](std::shared_ptr<Exchange> exchange) { exchange->respond(404, "", {}); });
            port = *second->listen(Poco::Net::SocketAddress("127.0.0.1", 0));
        });
        CPPUNIT_ASSERT_EQUAL(200, statusOf(first.connect().send(get).readAnswer()));
        CPPUNIT_ASSERT_EQUAL(404, statusOf(Client(port).send(get).readAnswer()));
        first.onLoop([&] { second.reset(); });
        CPPUNIT_ASSERT_EQUAL(200, statusOf(first.connect().send(get).readAnswer()));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServerEndsTest);

}  // namespace cf::http
