// Connections that go from the server of one loop to that of another.
#include <array>
#include <atomic>

#include "support.hpp"

namespace cf::http {

using std::chrono::milliseconds;

namespace {

// Two servers on two loops. A request for /a... is at home at the first, one for /b... at the
// second; each is answered with "<home> <target> <body>". Others are answered where they come in.
class Pair {
public:
    explicit Pair(ServerOptions options = {}) {
        options.occupancy = std::make_shared<Occupancy>();
        occupancy = options.occupancy;
        a = std::make_unique<RunningServer>([this](auto exchange) { handle('a', exchange); },
                                            options);
        b = std::make_unique<RunningServer>([this](auto exchange) { handle('b', exchange); },
                                            options);
        home[0] = a->server.get();
        home[1] = b->server.get();
    }

    void handle(char here, const std::shared_ptr<Exchange>& exchange) {
        const Request& request = exchange->request();
        const char there = request.path.size() > 1 ? request.path[1] : here;
        if (there != here && (there == 'a' || there == 'b')) {
            ++moves;
            return exchange->moveTo(*home[there - 'a']);
        }
        if (onHome && onHome(exchange)) return;
        const std::string text = std::string(1, here) + " " + std::string(request.target) + " ";
        exchange->respond(200, "", {text, request.body});
    }

    std::shared_ptr<Occupancy> occupancy;
    std::atomic<int> moves{0};
    std::function<bool(std::shared_ptr<Exchange>)> onHome{};
    std::array<Server*, 2> home{};
    std::unique_ptr<RunningServer> a, b;
};

std::string get(std::string_view path) {
    return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

std::string post(std::string_view path, const std::string& body) {
    return "POST " + std::string(path) +
           " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
}

}  // namespace

class ServerMovesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ServerMovesTest);
    CPPUNIT_TEST(testMovesOnceAndStays);
    CPPUNIT_TEST(testPipelineAcrossHomes);
    CPPUNIT_TEST(testBodiesTravel);
    CPPUNIT_TEST(testContinueWhereTheBodyIsRead);
    CPPUNIT_TEST(testHalfARequestBehind);
    CPPUNIT_TEST(testMoveFromAnotherTurn);
    CPPUNIT_TEST(testEndOfInputTravels);
    CPPUNIT_TEST(testUnreadAnswersStayInFront);
    CPPUNIT_TEST(testDeadlinesAtTheNewHome);
    CPPUNIT_TEST(testClientsThatGo);
    CPPUNIT_TEST(testLimitIsTheirsTogether);
    CPPUNIT_TEST(testBufferBudgetTravels);
    CPPUNIT_TEST(testDrain);
    CPPUNIT_TEST(testArrivesWhileDraining);
    CPPUNIT_TEST(testListenTogether);
    CPPUNIT_TEST(testHomeIsGone);
    CPPUNIT_TEST_SUITE_END();

    static void expect(Client& client, const std::string& body) {
        const std::string answer = client.readAnswer();
        CPPUNIT_ASSERT_EQUAL(200, statusOf(answer));
        CPPUNIT_ASSERT_EQUAL(body, bodyOf(answer));
    }

public:
    void testMovesOnceAndStays() {
        Pair pair;
        Client client = pair.a->connect();
        for (int i = 0; i < 5; ++i) {
            client.send(get("/b"));
            expect(client, "b /b ");
        }
        CPPUNIT_ASSERT_EQUAL(1, pair.moves.load());
        CPPUNIT_ASSERT_EQUAL(uint64_t{0}, pair.a->counters().open);
        CPPUNIT_ASSERT_EQUAL(uint64_t{0}, pair.a->counters().requests);
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, pair.b->counters().open);
        CPPUNIT_ASSERT_EQUAL(uint64_t{5}, pair.b->counters().requests);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, pair.occupancy->connections());
        client.send(get("/neither"));
        expect(client, "b /neither ");
    }

    void testPipelineAcrossHomes() {
        Pair pair;
        std::string requests;
        for (int i = 0; i < 300; ++i)
            requests += get((i * 7 % 5 < 2 ? "/a"
                             : i % 11 == 0 ? "/other"
                                           : "/b") +
                            std::to_string(i));
        Client client = pair.a->connect();
        client.send(requests);
        int expected = 0;
        for (int i = 0; i < 300; ++i) {
            const std::string answer = bodyOf(client.readAnswer());
            const std::string target = (i * 7 % 5 < 2 ? "/a"
                                        : i % 11 == 0 ? "/other"
                                                      : "/b") +
                                       std::to_string(i);
            CPPUNIT_ASSERT_EQUAL(target + " ", answer.substr(2));
            if (target[1] != 'o') CPPUNIT_ASSERT_EQUAL(target[1], answer[0]);
            expected += target[1] != 'o' ? 1 : 0;
        }
        CPPUNIT_ASSERT(pair.moves > 50);
        CPPUNIT_ASSERT(expected > pair.moves);
    }

    void testBodiesTravel() {
        Pair pair;
        Client client = pair.a->connect();
        const std::string big(300'000, 'x');
        client.send(post("/b1", big) + post("/a2", "small") + post("/b3", big) +
                    "POST /a4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                    "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" +
                    get("/b5"));
        expect(client, "b /b1 " + big);
        expect(client, "a /a2 small");
        expect(client, "b /b3 " + big);
        expect(client, "a /a4 abcde");
        expect(client, "b /b5 ");
    }

    void testContinueWhereTheBodyIsRead() {
        Pair pair;
        Client client = pair.a->connect();
        for (int i = 0; i < 2; ++i) {
            client.send(
                "POST /b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
            const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
            CPPUNIT_ASSERT_EQUAL(interim, client.read(interim.size()));
            client.send("body");
            expect(client, "b /b body");
        }
    }

    void testHalfARequestBehind() {
        Pair pair;
        Client client = pair.a->connect();
        const std::string next = get("/b2");
        for (size_t cut = 1; cut < next.size(); cut += 5) {
            client.send(get("/b1") + next.substr(0, cut));
            expect(client, "b /b1 ");
            client.send(next.substr(cut) + get("/a3"));
            expect(client, "b /b2 ");
            expect(client, "a /a3 ");
        }
    }

    // The handler need not decide at once.
    void testMoveFromAnotherTurn() {
        std::atomic<bool> sent{false};
        Pair pair;
        pair.onHome = [&](std::shared_ptr<Exchange> exchange) {
            if (exchange->request().path != "/late" || sent.exchange(true)) return false;
            pair.a->loop.post([&, exchange] { exchange->moveTo(*pair.home[1]); });
            return true;
        };
        Client client = pair.a->connect();
        client.send(get("/late") + get("/other"));
        expect(client, "b /late ");
        expect(client, "b /other ");
    }

    void testEndOfInputTravels() {
        Pair pair;
        Client client = pair.a->connect();
        client.send(get("/b1") + get("/a2") + get("/b3"));
        client.endOfInput();
        const std::string all = client.readAll();
        CPPUNIT_ASSERT_EQUAL(size_t{3}, count(all, "HTTP/1.1 200"));
        CPPUNIT_ASSERT(all.ends_with("b /b3 "));
        CPPUNIT_ASSERT(eventually([&] { return pair.occupancy->connections() == 0; }));
    }

    // What the client has not read yet goes along, in front of the answers of the new home.
    void testUnreadAnswersStayInFront() {
        const std::string big(60'000, 'y');
        Pair pair;
        pair.onHome = [&](std::shared_ptr<Exchange> exchange) {
            exchange->respond(200, "", {exchange->request().path, big});
            return true;
        };
        Client client(pair.a->port(), 4096);
        std::string requests;
        for (int i = 0; i < 200; ++i)
            requests += get((i % 4 < 3 ? "/a" : "/b") + std::to_string(i));
        std::thread sender([&] { client.send(requests); });
        std::this_thread::sleep_for(milliseconds(50));
        for (int i = 0; i < 200; ++i)
            expect(client, (i % 4 < 3 ? "/a" : "/b") + std::to_string(i) + big);
        sender.join();
        CPPUNIT_ASSERT(eventually([&] { return pair.occupancy->buffered() == 0; }));
    }

    void testDeadlinesAtTheNewHome() {
        Pair pair({.headerTimeout = milliseconds(100), .idleTimeout = milliseconds(200)});
        Client slow = pair.a->connect(), idle = pair.a->connect();
        slow.send(get("/b") + "GET / HT");
        expect(slow, "b /b ");
        CPPUNIT_ASSERT_EQUAL(408, statusOf(slow.readAll()));
        idle.send(get("/b"));
        expect(idle, "b /b ");
        CPPUNIT_ASSERT(idle.closed());
    }

    void testClientsThatGo() {
        Pair pair;
        for (int i = 0; i < 100; ++i) {
            Client client = pair.a->connect();
            client.send(get("/b1") + get("/a2") + get("/b3") + get("/a4"));
            if (i % 2 == 0) client.reset();
        }
        CPPUNIT_ASSERT(eventually([&] {
            return pair.a->counters().accepted == 100 && pair.occupancy->connections() == 0;
        }));
        CPPUNIT_ASSERT_EQUAL(size_t{0}, pair.occupancy->buffered());
        CPPUNIT_ASSERT_EQUAL(uint64_t{0}, pair.a->counters().open + pair.b->counters().open);
    }

    void testLimitIsTheirsTogether() {
        Pair pair({.maxConnections = 2});
        Client first = pair.a->connect(), second = pair.b->connect();
        first.send(get("/b"));
        expect(first, "b /b ");
        second.send(get("/b"));
        expect(second, "b /b ");
        CPPUNIT_ASSERT_EQUAL(503, statusOf(pair.a->ask(get("/"))));
        CPPUNIT_ASSERT_EQUAL(503, statusOf(pair.b->ask(get("/"))));
        { Client gone = std::move(first); }
        CPPUNIT_ASSERT(eventually([&] { return pair.occupancy->connections() == 1; }));
        Client third = pair.a->connect();
        third.send(get("/a"));
        expect(third, "a /a ");
    }

    // A large request counts once, wherever it is handled, for the requests of all servers.
    void testBufferBudgetTravels() {
        const std::string body(400'000, 'x');
        std::vector<std::shared_ptr<Exchange>> held;
        std::atomic<size_t> taken{0};
        Pair pair({.bufferBytes = 1'000'000});
        pair.onHome = [&](std::shared_ptr<Exchange> exchange) {
            if (exchange->request().path != "/b/held") return false;
            held.push_back(std::move(exchange));
            return ++taken > 0;
        };
        std::vector<Client> waiting;
        for (size_t i = 1; i <= 3; ++i) {
            waiting.push_back(pair.a->connect());
            waiting.back().send(post("/b/held", body) + get("/a"));
            CPPUNIT_ASSERT(eventually([&] { return taken == i; }));
            CPPUNIT_ASSERT(pair.occupancy->handled() >= i * body.size());
            CPPUNIT_ASSERT(pair.occupancy->handled() < i * body.size() + 100'000);
        }
        CPPUNIT_ASSERT_EQUAL(3, pair.moves.load());
        for (RunningServer* server : {pair.a.get(), pair.b.get()}) {
            Client client = server->connect();
            client.trySend(post("/b", body));
            CPPUNIT_ASSERT_EQUAL(503, statusOf(client.readAnswer()));
            CPPUNIT_ASSERT_EQUAL(200, statusOf(server->connect().send(get("/b")).readAnswer()));
        }
        // One is answered, one is dropped where it is, one elsewhere.
        std::shared_ptr<Exchange> elsewhere;
        pair.b->onLoop([&] {
            held[0]->respond(200, "", {});
            elsewhere = std::move(held[1]);
            held.clear();
        });
        elsewhere.reset();
        CPPUNIT_ASSERT_EQUAL(size_t{0}, pair.occupancy->handled());
        for (const size_t i : {0, 1, 2})
            CPPUNIT_ASSERT_EQUAL(i == 0 ? 200 : 500, statusOf(waiting[i].readAnswer()));
        Client client = pair.a->connect();
        client.send(post("/b", body));
        expect(client, "b /b " + body);
        waiting.clear();
        CPPUNIT_ASSERT(eventually(
            [&] { return pair.occupancy->buffered() == 0 && pair.occupancy->handled() == 0; }));
    }

    void testDrain() {
        std::shared_ptr<Exchange> held;
        std::atomic<bool> taken{false};
        Pair pair;
        pair.onHome = [&](std::shared_ptr<Exchange> exchange) {
            held = std::move(exchange);
            return taken = true;
        };
        Client client = pair.a->connect();
        client.send(get("/b"));
        CPPUNIT_ASSERT(eventually([&] { return taken.load(); }));
        pair.a->onLoop([&] { pair.a->server->drain([] {}); });
        pair.b->onLoop([&] { pair.b->server->drain([] {}); });
        CPPUNIT_ASSERT_EQUAL(size_t{1}, pair.occupancy->connections());
        pair.b->onLoop([&] { std::exchange(held, nullptr)->respond(200, "", {"finished"}); });
        const std::string answer = client.readAnswer();
        CPPUNIT_ASSERT_EQUAL(std::string("finished"), bodyOf(answer));
        CPPUNIT_ASSERT(answer.find("Connection: close\r\n") != std::string::npos);
        CPPUNIT_ASSERT(client.closed());
        { Client closing = std::move(client); }
        CPPUNIT_ASSERT(eventually([&] { return pair.occupancy->connections() == 0; }));
    }

    // A request that was half there when the drain began, and whose home has drained already.
    void testArrivesWhileDraining() {
        Pair pair;
        Client client = pair.a->connect();
        client.send("POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo");
        CPPUNIT_ASSERT(eventually([&] { return pair.a->counters().open == 1; }));
        CPPUNIT_ASSERT(client.silentFor(milliseconds(50)));
        std::atomic<bool> drained{false};
        pair.b->onLoop([&] { pair.b->server->drain([&] { drained = true; }); });
        pair.a->onLoop([&] { pair.a->server->drain([] {}); });
        CPPUNIT_ASSERT(drained);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, pair.occupancy->connections());
        client.send("dy");
        const std::string answer = client.readAnswer();
        CPPUNIT_ASSERT_EQUAL(std::string("b /b body"), bodyOf(answer));
        CPPUNIT_ASSERT(answer.find("Connection: close\r\n") != std::string::npos);
        CPPUNIT_ASSERT(client.closed());
    }

    void testListenTogether() {
        RunningServer a(echo);
        base::EventLoop loop;
        std::atomic<int> handled{0};
        Server b(loop, {}, [&](std::shared_ptr<Exchange> exchange) {
            ++handled;
            echo(std::move(exchange));
        });
        a.onLoop([&] { b.listenWith(*a.server); });
        std::thread thread([&] { loop.run(); });
        for (int i = 0; i < 20; ++i)
            CPPUNIT_ASSERT_EQUAL(200, statusOf(a.connect().send(get("/")).readAnswer()));
        a.onLoop([&] { a.server->stopAccepting(); });
        const int before = handled;
        for (int i = 0; i < 20; ++i)
            CPPUNIT_ASSERT_EQUAL(200, statusOf(a.connect().send(get("/")).readAnswer()));
        CPPUNIT_ASSERT_EQUAL(before + 20, handled.load());
        loop.stop();
        thread.join();
    }

    // The connection that is on its way is closed, and nothing is left of it.
    void testHomeIsGone() {
        Pair pair;
        pair.b->loop.post([&] {
            eventually([&] { return pair.a->counters().open == 0 && pair.moves == 1; });
            pair.b->server.reset();
        });
        Client client = pair.a->connect();
        client.send(post("/b", std::string(100'000, 'x')));
        CPPUNIT_ASSERT(client.closed());
        CPPUNIT_ASSERT_EQUAL(1, pair.moves.load());
        CPPUNIT_ASSERT(eventually([&] { return pair.occupancy->connections() == 0; }));
        CPPUNIT_ASSERT(eventually([&] { return pair.occupancy->handled() == 0; }));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServerMovesTest);

}  // namespace cf::http
