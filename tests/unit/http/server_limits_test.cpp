// Deadlines and limits: slow, idle, greedy and too many clients.
#include <sys/resource.h>

#include <atomic>
#include <fstream>

#include "support.hpp"

namespace cf::http {

using std::chrono::milliseconds;

class ServerLimitsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ServerLimitsTest);
    CPPUNIT_TEST(testSlowHead);
    CPPUNIT_TEST(testHeadTimeIsInAll);
    CPPUNIT_TEST(testSlowBody);
    CPPUNIT_TEST(testABurstBuysABodyNoTime);
    CPPUNIT_TEST(testSteadyBodyIsFine);
    CPPUNIT_TEST(testIdle);
    CPPUNIT_TEST(testIdleBeforeTheFirstRequest);
    CPPUNIT_TEST(testHandlingHasNoDeadline);
    CPPUNIT_TEST(testSlowReader);
    CPPUNIT_TEST(testABurstBuysAReaderNoTime);
    CPPUNIT_TEST(testConnectionLimit);
    CPPUNIT_TEST(testFarBeyondTheLimit);
    CPPUNIT_TEST(testReadAheadIsBounded);
    CPPUNIT_TEST(testBufferBudget);
    CPPUNIT_TEST(testBufferBudgetOfAnswers);
    CPPUNIT_TEST(testTheOldestReaderMakesRoom);
    CPPUNIT_TEST(testBufferBudgetOfHandledRequests);
    CPPUNIT_TEST(testBufferBudgetOfForgottenRequests);
    CPPUNIT_TEST(testADroppedBodyCountsNoMore);
    CPPUNIT_TEST(testWhatAHandlerKeepsCounts);
    CPPUNIT_TEST(testHandledRequestsCutNoReaderOff);
    CPPUNIT_TEST(testOneRequestBeyondTheBufferBudget);
    CPPUNIT_TEST(testIdleConnectionsAreCheap);
    CPPUNIT_TEST_SUITE_END();

    static constexpr const char* get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    static std::string post(std::string_view path, size_t bodyBytes) {
        return "POST " + std::string(path) +
               " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bodyBytes) + "\r\n\r\n" +
               std::string(bodyBytes, 'x');
    }

    // Echoes, but for requests for /held: these wait until the test lets them go.
    struct Holding {
        explicit Holding(ServerOptions options)
            : occupancy(options.occupancy = std::make_shared<Occupancy>()),
              server(
                  [this](std::shared_ptr<Exchange> exchange) {
                      most = std::max(most, occupancy->buffered() + occupancy->handled());
                      if (exchange->request().path != "/held") return echo(exchange);
                      held.push_back(std::move(exchange));
                  },
                  options) {}
        size_t count() {
            size_t now = 0;
            server.onLoop([&] { now = held.size(); });
            return now;
        }
        void answerAll() {
            server.onLoop([&] {
                for (const auto& exchange : std::exchange(held, {})) echo(exchange);
            });
        }
        bool empty() const { return occupancy->buffered() == 0 && occupancy->handled() == 0; }

        std::shared_ptr<Occupancy> occupancy;
        std::vector<std::shared_ptr<Exchange>> held{};
        size_t most = 0;  // bytes counted at once, as its handler sees it
        RunningServer server;
    };

public:
    void testSlowHead() {
        RunningServer server(echo, {.headerTimeout = milliseconds(100)});
        const std::string answer = server.connect().send("GET / HTTP/1.1\r\nHo").readAll();
        CPPUNIT_ASSERT_EQUAL(408, statusOf(answer));
        CPPUNIT_ASSERT(answer.find("request_timeout") != std::string::npos);
    }

    // Bytes do not buy time: a head that trickles in is cut off as well.
    void testHeadTimeIsInAll() {
        RunningServer server(echo, {.headerTimeout = milliseconds(200)});
        Client client = server.connect();
        client.send("GET / HTTP/1.1\r\nX: ");
        while (client.silentFor(milliseconds(20)))
            if (!client.trySend("x")) break;
        CPPUNIT_ASSERT_EQUAL(408, statusOf(client.readAll()));
        CPPUNIT_ASSERT_EQUAL(uint64_t{0}, server.counters().requests);
    }

    void testSlowBody() {
        RunningServer server(echo, {.bodyGrace = milliseconds(150), .minimumRate = 1'000'000});
        Client client = server.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
        while (client.silentFor(milliseconds(20)))
            if (!client.trySend("x")) break;
        CPPUNIT_ASSERT_EQUAL(408, statusOf(client.readAll()));
    }

    // At this rate what was sent at once would be worth ten minutes.
    void testABurstBuysABodyNoTime() {
        for (const bool trickles : {false, true}) {
            RunningServer server(echo, {.bodyGrace = milliseconds(150), .minimumRate = 1'000});
            Client client = server.connect();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" +
                        std::string(600'000, 'x'));
            while (trickles && client.silentFor(milliseconds(20)))
                if (!client.trySend("x")) break;
            CPPUNIT_ASSERT_EQUAL(408, statusOf(client.readAll()));
        }
    }

    void testSteadyBodyIsFine() {
        RunningServer server(echo, {.bodyGrace = milliseconds(150), .minimumRate = 100});
        Client client = server.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
        for (int i = 0; i < 10; ++i) {
            client.send(std::string(100, 'x'));
            std::this_thread::sleep_for(milliseconds(40));
        }
        CPPUNIT_ASSERT_EQUAL(200, statusOf(client.readAnswer()));
    }

    void testIdle() {
        RunningServer server(echo, {.idleTimeout = milliseconds(100)});
        Client client = server.connect();
        CPPUNIT_ASSERT_EQUAL(200, statusOf(client.send(get).readAnswer()));
        CPPUNIT_ASSERT(client.closed());
    }

    void testIdleBeforeTheFirstRequest() {
        RunningServer server(echo, {.idleTimeout = milliseconds(100)});
        CPPUNIT_ASSERT(server.connect().closed());
    }

    void testHandlingHasNoDeadline() {
        const milliseconds soon(50);
        RunningServer* running = nullptr;
        RunningServer server(
            [&](std::shared_ptr<Exchange> exchange) {
                running->loop.after(milliseconds(400), [exchange] { echo(exchange); });
            },
            {.headerTimeout = soon, .idleTimeout = soon, .bodyGrace = soon, .writeGrace = soon});
        running = &server;
        CPPUNIT_ASSERT_EQUAL(200, statusOf(server.connect().send(get).readAnswer()));
    }

    void testSlowReader() {
        const std::string body(20u << 20, 'x');
        RunningServer server(
            [&](std::shared_ptr<Exchange> exchange) { exchange->respond(200, "", {body}); },
            {.writeGrace = milliseconds(200), .minimumRate = 1'000'000'000});
        Client client(server.port(), 4096);
        client.send(get);
        CPPUNIT_ASSERT(eventually(
            [&] { return server.counters().requests == 1 && server.counters().open == 0; }));
        CPPUNIT_ASSERT(client.readAll().size() < body.size());
    }

    void testABurstBuysAReaderNoTime() {
        const std::string body(20u << 20, 'x');
        RunningServer server(
            [&](std::shared_ptr<Exchange> exchange) { exchange->respond(200, "", {body}); },
            {.writeGrace = milliseconds(200), .minimumRate = 1'000});
        Client client(server.port(), 4096);
        client.send(get);
        CPPUNIT_ASSERT_EQUAL(size_t{1'000'000}, client.read(1'000'000).size());
        CPPUNIT_ASSERT(eventually([&] { return server.counters().open == 0; }));
        CPPUNIT_ASSERT(client.readAll().size() < body.size());
    }

    void testConnectionLimit() {
        RunningServer server(echo, {.maxConnections = 2});
        Client first = server.connect();
        CPPUNIT_ASSERT_EQUAL(200, statusOf(first.send(get).readAnswer()));
        {
            Client second = server.connect();
            CPPUNIT_ASSERT_EQUAL(200, statusOf(second.send(get).readAnswer()));
            Client third = server.connect();
            third.trySend(get);
            const std::string answer = third.readAll();
            CPPUNIT_ASSERT_EQUAL(503, statusOf(answer));
            CPPUNIT_ASSERT(answer.find("Retry-After: 1\r\n") != std::string::npos);
            CPPUNIT_ASSERT(answer.find("2 connections") != std::string::npos);
            CPPUNIT_ASSERT_EQUAL(200, statusOf(first.send(get).readAnswer()));
        }
        CPPUNIT_ASSERT(eventually([&] { return server.counters().open == 1; }));
        CPPUNIT_ASSERT_EQUAL(200, statusOf(server.connect().send(get).readAnswer()));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, server.counters().refused);
    }

    void testFarBeyondTheLimit() {
        RunningServer server(echo, {.maxConnections = 1});
        Client first = server.connect();
        CPPUNIT_ASSERT_EQUAL(200, statusOf(first.send(get).readAnswer()));
        std::vector<Client> others;
        for (int i = 0; i < 300; ++i) others.push_back(server.connect());
        CPPUNIT_ASSERT(eventually([&] { return server.counters().accepted == 301; }));
        CPPUNIT_ASSERT(server.counters().open <= 129);
        CPPUNIT_ASSERT_EQUAL(200, statusOf(first.send(get).readAnswer()));
        others.clear();
        CPPUNIT_ASSERT(eventually([&] { return server.counters().open == 1; }));
    }

    // While a request is handled its client is read ahead of only so far.
    void testReadAheadIsBounded() {
        std::shared_ptr<Exchange> held;
        std::atomic<bool> taken{false};
        RunningServer server([&](std::shared_ptr<Exchange> exchange) {
            if (taken.exchange(true)) return echo(exchange);
            held = std::move(exchange);
        });
        Client client = server.connect();
        client.send(get);
        CPPUNIT_ASSERT(eventually([&] { return taken.load(); }));
        const std::string request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" +
                                    std::string(60'000, 'x');
        std::atomic<size_t> sent{0};
        std::thread sender([&] {
            for (int i = 0; i < 400 && client.trySend(request); ++i) ++sent;
        });
        size_t before;
        do {
            before = sent;
            std::this_thread::sleep_for(milliseconds(200));
        } while (sent != before);
        CPPUNIT_ASSERT(sent < 400);  // 24 MB do not fit into the sockets' buffers
        server.onLoop([&] { std::exchange(held, nullptr)->respond(200, "", {}); });
        for (int i = 0; i < 401; ++i) CPPUNIT_ASSERT_EQUAL(200, statusOf(client.readAnswer()));
        sender.join();
    }

    // Half-sent bodies fill the budget; then others are turned away, small requests go on, and
    // room comes back with the clients' end.
    void testBufferBudget() {
        RunningServer server(echo, {.bufferBytes = 1'000'000});
        const std::string body(3'000'000, 'x');
        const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n";
        {
            // Its buffer has grown to more than the budget when 600 000 bytes are there.
            Client greedy = server.connect();
            greedy.trySend(head + body.substr(0, 600'000));
            CPPUNIT_ASSERT(eventually([&] {
                Client other = server.connect();
                other.trySend(head);
                other.silentFor(milliseconds(5));
                other.trySend(body.substr(0, 200'000));
                other.silentFor(milliseconds(5));
                return server.counters().refused > 0;
            }));
            CPPUNIT_ASSERT(greedy.silentFor(milliseconds(20)));
            CPPUNIT_ASSERT_EQUAL(200, statusOf(server.connect().send(get).readAnswer()));
            Client small = server.connect();
            for (const std::string piece : {"POST / HTTP/1.1\r\nHost: a\r\nContent-Le", "ngth: 8000\r\n\r\n"})
                CPPUNIT_ASSERT(small.send(piece).silentFor(milliseconds(20)));
            for (int i = 0; i < 3; ++i) CPPUNIT_ASSERT(small.send(body.substr(0, 2000)).silentFor(milliseconds(20)));
            CPPUNIT_ASSERT_EQUAL(200, statusOf(small.send(body.substr(0, 2000)).readAnswer()));
            Client large = server.connect();
            large.trySend(head + body.substr(0, 20'000));
            CPPUNIT_ASSERT(large.silentFor(milliseconds(20)));
            large.trySend(body.substr(0, 20'000));
            CPPUNIT_ASSERT_EQUAL(503, statusOf(large.readAnswer()));
        }
        CPPUNIT_ASSERT(eventually([&] { return server.counters().open == 0; }));
        Client client = server.connect();
        client.trySend(head + body.substr(0, 500'000));
        std::this_thread::sleep_for(milliseconds(50));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, server.counters().open);
        CPPUNIT_ASSERT(client.silentFor(milliseconds(50)));
    }

    void testBufferBudgetOfAnswers() {
        const std::string body(12u << 20, 'x');
        RunningServer server(
            [&](std::shared_ptr<Exchange> exchange) { exchange->respond(200, "", {body}); },
            {.bufferBytes = 16u << 20});
        std::vector<Client> lazy;
        for (int i = 0; i < 3; ++i) {
            lazy.emplace_back(server.port(), 4096);
            lazy.back().send(get);
        }
        CPPUNIT_ASSERT(eventually([&] { return server.counters().requests == 3; }));
        CPPUNIT_ASSERT(eventually([&] { return server.counters().open == 1; }));
    }

    // Not whoever is answered at the moment and reads.
    void testTheOldestReaderMakesRoom() {
        const std::string body(12u << 20, 'x');
        for (const bool streams : {false, true}) {
            RunningServer server(
                [&](std::shared_ptr<Exchange> exchange) {
                    if (!streams) return exchange->respond(200, "", {body});
                    const auto stream = exchange->stream(200, "");
                    stream->write(body);
                    stream->end();
                },
                // The buffer of a stream grows to twice its size.
                {.bufferBytes = streams ? 32u << 20 : 16u << 20, .streamBytes = 32u << 20});
            Client lazy(server.port(), 4096), quick(server.port(), 4096);
            lazy.send(get);
            CPPUNIT_ASSERT(eventually([&] { return server.counters().requests == 1; }));
            for (int i = 0; i < 2; ++i)
                CPPUNIT_ASSERT(quick.send(get).read(body.size()).size() == body.size());
            CPPUNIT_ASSERT(eventually([&] { return server.counters().open == 1; }));
            CPPUNIT_ASSERT(lazy.readAll().size() < body.size());
        }
    }

    // Whole requests that wait for their answers fill the budget as half-sent ones do, also when
    // their clients ended their input or are gone.
    void testBufferBudgetOfHandledRequests() {
        Holding holding({.bufferBytes = 1'000'000});
        std::vector<Client> waiting;
        for (size_t i = 1; i <= 3; ++i) {
            waiting.push_back(holding.server.connect());
            waiting.back().send(post("/held", 400'000));
            CPPUNIT_ASSERT(eventually([&] { return holding.count() == i; }));
        }
        waiting[1].endOfInput();
        waiting[2].reset();
        CPPUNIT_ASSERT(eventually([&] { return holding.server.counters().open == 2; }));
        CPPUNIT_ASSERT(holding.occupancy->handled() >= 1'200'000);
        CPPUNIT_ASSERT(holding.most < 1'300'000);
        // The last one comes in one piece.
        for (const size_t size : {400'000, 100'000, 20'000}) {
            Client large = holding.server.connect();
            large.trySend(post("/", size));
            const std::string answer = large.readAnswer();
            CPPUNIT_ASSERT_EQUAL(503, statusOf(answer));
            CPPUNIT_ASSERT(answer.find("\"overloaded\"") != std::string::npos);
            CPPUNIT_ASSERT(answer.find("Retry-After: 1\r\n") != std::string::npos);
        }
        Client small = holding.server.connect();
        for (int i = 0; i < 3; ++i) {
            CPPUNIT_ASSERT_EQUAL(200, statusOf(small.send(get).readAnswer()));
            CPPUNIT_ASSERT_EQUAL(200, statusOf(small.send(post("/", 8'000)).readAnswer()));
        }
        holding.answerAll();
        for (size_t i = 0; i < 2; ++i) CPPUNIT_ASSERT_EQUAL(200, statusOf(waiting[i].readAnswer()));
        CPPUNIT_ASSERT_EQUAL(size_t{0}, holding.occupancy->handled());
        CPPUNIT_ASSERT_EQUAL(200, statusOf(small.send(post("/", 400'000)).readAnswer()));
        CPPUNIT_ASSERT_EQUAL(200, statusOf(small.send(post("/", 20'000)).readAnswer()));
        CPPUNIT_ASSERT(eventually([&] { return holding.empty(); }));
    }

    void testADroppedBodyCountsNoMore() {
        Holding holding({.bufferBytes = 1'000'000});
        Client first = holding.server.connect(), second = holding.server.connect();
        first.send(post("/held", 900'000));
        second.send(post("/held", 300'000));
        CPPUNIT_ASSERT(eventually([&] { return holding.count() == 2; }));
        const auto drops = [&](size_t left) {
            holding.server.onLoop([&] {
                for (const auto& exchange : holding.held) {
                    exchange->dropBody();
                    CPPUNIT_ASSERT(exchange->request().body.empty());
                    CPPUNIT_ASSERT_EQUAL(std::string_view("/held"), exchange->request().path);
                    CPPUNIT_ASSERT_EQUAL(std::string_view("a"), exchange->request().header("host"));
                }
            });
            CPPUNIT_ASSERT(holding.occupancy->handled() <= left);
        };
        drops(2 * 3 * 4096);  // parts of pages on both ends
        drops(2 * 3 * 4096);  // again: nothing
        Client third = holding.server.connect();
        CPPUNIT_ASSERT_EQUAL(200, statusOf(third.send(post("/", 900'000)).readAnswer()));
        holding.answerAll();
        CPPUNIT_ASSERT_EQUAL(200, statusOf(first.readAnswer()));
        CPPUNIT_ASSERT_EQUAL(200, statusOf(second.readAnswer()));
        CPPUNIT_ASSERT(eventually([&] { return holding.empty(); }));
    }

    // Wherever an exchange dies, its memory counts no more.
    void testBufferBudgetOfForgottenRequests() {
        Holding holding({.bufferBytes = 1'000'000});
        Client here = holding.server.connect(), elsewhere = holding.server.connect(),
               chunked = holding.server.connect();
        here.send(post("/held", 100'000));
        elsewhere.send(post("/held", 20'000));
        chunked.send(
            "POST /held HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" +
            std::string(100'000, 'x') + "\r\n0\r\n\r\n");
        CPPUNIT_ASSERT(eventually([&] { return holding.count() == 3; }));
        CPPUNIT_ASSERT(holding.occupancy->handled() >= 220'000);
        std::vector<std::shared_ptr<Exchange>> taken;
        holding.server.onLoop([&] {
            taken.swap(holding.held);
            taken.pop_back();
        });
        CPPUNIT_ASSERT(holding.occupancy->handled() > 0);
        taken.clear();
        CPPUNIT_ASSERT_EQUAL(size_t{0}, holding.occupancy->handled());
        for (Client* client : {&here, &elsewhere, &chunked})
            CPPUNIT_ASSERT_EQUAL(500, statusOf(client->readAnswer()));
        CPPUNIT_ASSERT(eventually([&] { return holding.empty(); }));
    }

    // What a small request has grown to keeps large ones out like a large one.
    void testWhatAHandlerKeepsCounts() {
        Holding holding({.bufferBytes = 1'000'000});
        Client client = holding.server.connect(), other = holding.server.connect();
        client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        CPPUNIT_ASSERT(eventually([&] { return holding.count() == 1; }));
        holding.server.onLoop([&] { holding.held.front()->holds(2'000'000); });
        CPPUNIT_ASSERT_EQUAL(size_t{2'000'000}, holding.occupancy->handled());
        CPPUNIT_ASSERT_EQUAL(503, statusOf(other.send(post("/", 20'000)).readAnswer()));
        holding.answerAll();
        CPPUNIT_ASSERT_EQUAL(200, statusOf(client.readAnswer()));
        CPPUNIT_ASSERT_EQUAL(size_t{0}, holding.occupancy->handled());
    }

    // An answer that is read slowly is not the price of others' requests.
    void testHandledRequestsCutNoReaderOff() {
        Holding holding({.bufferBytes = 16u << 20});
        std::vector<Client> waiting;
        for (size_t i = 1; i <= 3; ++i) {
            waiting.push_back(holding.server.connect());
            waiting.back().send(post("/held", 6'000'000));
            CPPUNIT_ASSERT(eventually([&] { return holding.count() == i; }));
        }
        CPPUNIT_ASSERT(holding.occupancy->handled() > 16u << 20);
        Client lazy(holding.server.port(), 4096);
        lazy.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        CPPUNIT_ASSERT(eventually([&] { return holding.count() == 4; }));
        const std::string body(12u << 20, 'x');
        holding.server.onLoop([&] {
            holding.held.back()->respond(200, "", {body});
            holding.held.pop_back();
        });
        CPPUNIT_ASSERT(holding.occupancy->buffered() > 0);
        CPPUNIT_ASSERT_EQUAL(uint64_t{4}, holding.server.counters().open);
        CPPUNIT_ASSERT_EQUAL(body.size(), bodyOf(lazy.readAnswer()).size());
        holding.answerAll();
    }

    // What is larger than the budget is let in while it is alone.
    void testOneRequestBeyondTheBufferBudget() {
        Holding holding({.bufferBytes = 100'000});
        Client client = holding.server.connect();
        for (int i = 0; i < 2; ++i)
            CPPUNIT_ASSERT_EQUAL(200, statusOf(client.send(post("/", 2'000'000)).readAnswer()));
        CPPUNIT_ASSERT(eventually([&] { return holding.empty(); }));
    }

    // 10 000 of them must fit 100 MB; these are fewer, for the sake of the descriptor limit.
    void testIdleConnectionsAreCheap() {
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
        const size_t wanted = std::min<size_t>(2000, files.rlim_cur / 2 - 100);
        const auto resident = [] {
            int64_t pages = 0, all = 0;
            std::ifstream("/proc/self/statm") >> all >> pages;
            return pages * 4096;
        };
        RunningServer server(echo);
        std::vector<Client> clients;
        clients.reserve(wanted);
        const int64_t before = resident();
        for (size_t i = 0; i < wanted; ++i) {
            clients.push_back(server.connect());
            CPPUNIT_ASSERT_EQUAL(200, statusOf(clients.back().send(get).readAnswer()));
        }
        CPPUNIT_ASSERT_EQUAL(uint64_t{wanted}, server.counters().open);
        const int64_t each = (resident() - before) / static_cast<int64_t>(wanted);
        CPPUNIT_ASSERT_MESSAGE(std::to_string(each) + " bytes a connection", each < 10'000);
        CPPUNIT_ASSERT_EQUAL(200, statusOf(clients.front().send(get).readAnswer()));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServerLimitsTest);

}  // namespace cf::http
