// Answers whose body comes piece by piece.
#include <atomic>

#include "support.hpp"

namespace cf::http {

using std::chrono::milliseconds;

class ServerStreamsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ServerStreamsTest);
    CPPUNIT_TEST(testPiecesAreChunks);
    CPPUNIT_TEST(testKeepsTheConnection);
    CPPUNIT_TEST(testRequestsBehindAStreamWait);
    CPPUNIT_TEST(testOldClientsReadUntilTheEnd);
    CPPUNIT_TEST(testHeadHasNoBody);
    CPPUNIT_TEST(testClientThatLeaves);
    CPPUNIT_TEST(testClientThatReadsNothing);
    CPPUNIT_TEST(testClientThatReadsTooSlowly);
    CPPUNIT_TEST(testDrained);
    CPPUNIT_TEST(testDrainTellsStreams);
    CPPUNIT_TEST(testDrainWaitsForStreams);
    CPPUNIT_TEST(testStreamsHaveNoIdleTimeout);
    CPPUNIT_TEST(testServerThatGoesAway);
    CPPUNIT_TEST_SUITE_END();

    static constexpr const char* get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    // A server that begins a stream for each GET of "/" and echoes everything else.
    struct Streaming {
        std::shared_ptr<Stream> stream{};  // the latest; loop thread
        std::atomic<int> begun{0};
        std::atomic<int> gone{0};
        std::unique_ptr<RunningServer> server{};

        explicit Streaming(ServerOptions options = {}) {
            server = std::make_unique<RunningServer>(
                [this](std::shared_ptr<Exchange> exchange) {
                    if (exchange->request().path != "/") return echo(exchange);
                    stream = exchange->stream(200, "Content-Type: text/plain\r\n");
                    stream->onClosed([this] { ++gone; });
                    ++begun;
                },
                options);
        }
        ~Streaming() {
            server->onLoop([this] { stream = nullptr; });
        }
        Client ask(const char* request = get) {
            const int before = begun;
            Client client = server->connect();
            client.send(request);
            CPPUNIT_ASSERT(eventually([&] { return begun > before; }));
            return client;
        }
        bool write(std::string_view bytes) {
            bool taken = false;
            server->onLoop([&] { taken = stream->write(bytes); });
            return taken;
        }
        void end() {
            server->onLoop([this] { stream->end(); });
        }
        size_t pending() {
            size_t bytes = 0;
            server->onLoop([&] { bytes = stream->pending(); });
            return bytes;
        }
    };

    // What is before the empty line, and what is behind it.
    static std::string head(Client& client) {
        std::string text;
        while (text.size() < 4 || text.substr(text.size() - 4) != "\r\n\r\n") {
            const std::string more = client.read(1);
            if (more.empty()) break;
            text += more;
        }
        return text;
    }
    static bool has(const std::string& text, const char* part) {
        return text.find(part) != std::string::npos;
    }

public:
    void testPiecesAreChunks() {
        Streaming streaming;
        Client client = streaming.ask();
        const std::string answer = head(client);
        CPPUNIT_ASSERT_EQUAL(200, statusOf(answer));
        CPPUNIT_ASSERT(has(answer, "Transfer-Encoding: chunked\r\n"));
        CPPUNIT_ASSERT(has(answer, "Content-Type: text/plain\r\n"));
        CPPUNIT_ASSERT(!has(answer, "Content-Length"));
        CPPUNIT_ASSERT(streaming.write("hello"));
        CPPUNIT_ASSERT_EQUAL(std::string("5\r\nhello\r\n"), client.read(10));
        CPPUNIT_ASSERT(streaming.write(""));  // would be the end
        CPPUNIT_ASSERT(client.silentFor(milliseconds(50)));
        CPPUNIT_ASSERT(streaming.write(std::string(300, 'x')));
        CPPUNIT_ASSERT_EQUAL("12c\r\n" + std::string(300, 'x') + "\r\n", client.read(307));
        streaming.end();
        CPPUNIT_ASSERT_EQUAL(std::string("0\r\n\r\n"), client.read(5));
        CPPUNIT_ASSERT(!streaming.write("too late"));
        CPPUNIT_ASSERT_EQUAL(0, streaming.gone.load());
    }

    void testKeepsTheConnection() {
        Streaming streaming;
        Client client = streaming.ask();
        head(client);
        streaming.end();
        CPPUNIT_ASSERT_EQUAL(std::string("0\r\n\r\n"), client.read(5));
        const std::string next =
            client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").readAnswer();
        CPPUNIT_ASSERT_EQUAL(std::string("GET /next "), bodyOf(next));
    }

    void testRequestsBehindAStreamWait() {
        Streaming streaming;
        Client client =
            streaming.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        head(client);
        CPPUNIT_ASSERT(client.silentFor(milliseconds(50)));
        streaming.end();
        CPPUNIT_ASSERT_EQUAL(std::string("0\r\n\r\n"), client.read(5));
        CPPUNIT_ASSERT_EQUAL(std::string("GET /next "), bodyOf(client.readAnswer()));
    }

    void testOldClientsReadUntilTheEnd() {
        Streaming streaming;
        Client client = streaming.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        const std::string answer = head(client);
        CPPUNIT_ASSERT(has(answer, "Connection: close\r\n"));
        CPPUNIT_ASSERT(!has(answer, "Transfer-Encoding") && !has(answer, "Content-Length"));
        streaming.write("plain");
        streaming.end();
        CPPUNIT_ASSERT_EQUAL(std::string("plain"), client.readAll());
    }

    void testHeadHasNoBody() {
        Streaming streaming;
        Client client = streaming.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        CPPUNIT_ASSERT(has(head(client), "Transfer-Encoding: chunked\r\n"));
        streaming.write("nothing");
        streaming.end();
        const std::string next =
            client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").readAnswer();
        CPPUNIT_ASSERT_EQUAL(std::string("GET /next "), bodyOf(next));
    }

    void testClientThatLeaves() {
        Streaming streaming;
        Client client = streaming.ask();
        client.reset();
        CPPUNIT_ASSERT(eventually([&] { return streaming.gone == 1; }));
        CPPUNIT_ASSERT(!streaming.write("nobody"));
        streaming.end();
        CPPUNIT_ASSERT_EQUAL(size_t{0}, streaming.pending());
        CPPUNIT_ASSERT_EQUAL(1, streaming.gone.load());
    }

    void testClientThatReadsNothing() {
        ServerOptions options;
        options.streamBytes = 100'000;
        Streaming streaming(options);
        Client client = streaming.ask();
        const std::string piece(50'000, 'x');
        size_t written = 0;
        while (written < 1000 && streaming.write(piece)) ++written;
        CPPUNIT_ASSERT(written < 1000);
        CPPUNIT_ASSERT_EQUAL(1, streaming.gone.load());
        CPPUNIT_ASSERT(eventually([&] { return streaming.server->counters().open == 0; }));
    }

    void testClientThatReadsTooSlowly() {
        ServerOptions options;
        options.streamBytes = 64u << 20;
        options.writeGrace = milliseconds(100);
        options.minimumRate = 1u << 30;
        Streaming streaming(options);
        Client client = streaming.ask();
        streaming.write(std::string(32u << 20, 'x'));
        CPPUNIT_ASSERT(eventually([&] { return streaming.gone == 1; }));
    }

    void testDrained() {
        ServerOptions options;
        options.streamBytes = 64u << 20;
        Streaming streaming(options);
        Client client = streaming.ask();
        std::atomic<int> drained{0};
        streaming.server->onLoop([&] { streaming.stream->onDrained([&] { ++drained; }); });
        head(client);
        streaming.write("little");
        CPPUNIT_ASSERT_EQUAL(size_t{0}, streaming.pending());
        CPPUNIT_ASSERT_EQUAL(0, drained.load());
        const std::string much(32u << 20, 'x');
        streaming.write(much);
        CPPUNIT_ASSERT(streaming.pending() > 0);
        CPPUNIT_ASSERT_EQUAL(much.size() + 22, client.read(much.size() + 22).size());
        CPPUNIT_ASSERT(eventually([&] { return drained == 1; }));
        CPPUNIT_ASSERT_EQUAL(size_t{0}, streaming.pending());
    }

    void testDrainTellsStreams() {
        Streaming streaming;
        Client client = streaming.ask();
        head(client);
        std::atomic<bool> done{false};
        streaming.server->onLoop([&] {
            streaming.stream->onStopping([&] {
                streaming.stream->write("bye");
                streaming.stream->end();
            });
            streaming.server->server->drain([&] { done = true; });
        });
        CPPUNIT_ASSERT_EQUAL(std::string("3\r\nbye\r\n0\r\n\r\n"), client.readAll());
        client.endOfInput();
        CPPUNIT_ASSERT(eventually([&] { return done.load(); }));
    }

    void testDrainWaitsForStreams() {
        Streaming streaming;
        Client client = streaming.ask();
        head(client);
        std::atomic<bool> done{false};
        streaming.server->onLoop([&] { streaming.server->server->drain([&] { done = true; }); });
        CPPUNIT_ASSERT(streaming.write("more"));
        CPPUNIT_ASSERT(!done);
        streaming.end();
        CPPUNIT_ASSERT_EQUAL(std::string("4\r\nmore\r\n0\r\n\r\n"), client.readAll());
        client.endOfInput();
        CPPUNIT_ASSERT(eventually([&] { return done.load(); }));
    }

    void testStreamsHaveNoIdleTimeout() {
        ServerOptions options;
        options.idleTimeout = options.headerTimeout = options.writeGrace = milliseconds(50);
        Streaming streaming(options);
        Client client = streaming.ask();
        head(client);
        CPPUNIT_ASSERT(client.silentFor(milliseconds(300)));
        CPPUNIT_ASSERT(streaming.write("still here"));
        CPPUNIT_ASSERT_EQUAL(std::string("a\r\nstill here\r\n"), client.read(15));
        streaming.end();
        CPPUNIT_ASSERT_EQUAL(std::string("0\r\n\r\n"), client.read(5));
        CPPUNIT_ASSERT(client.closed());  // idle from here on
    }

    void testServerThatGoesAway() {
        Streaming streaming;
        Client client = streaming.ask();
        streaming.server->onLoop([&] { streaming.server->server.reset(); });
        CPPUNIT_ASSERT_EQUAL(1, streaming.gone.load());
        CPPUNIT_ASSERT(!streaming.write("nobody"));
    }
};
CPPUNIT_TEST_SUITE_REGISTRATION(ServerStreamsTest);

}  // namespace cf::http
