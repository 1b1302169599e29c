// What the tests of the HTTP front share: a parser fed in pieces, a server on a thread of its own,
// a raw client.
#pragma once

#include <cppunit/TestAssert.h>
#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "http/parser.hpp"
#include "http/server.hpp"

namespace cf::http {

// One request as it came out of the parser, copied.
struct Parsed {
    std::string method{}, target{}, path{}, query{}, body{};
    std::vector<std::pair<std::string, std::string>> headers{};
    bool keepAlive = false;
    bool operator==(const Parsed&) const = default;
    std::string header(std::string_view name) const;
};

struct ParseOutcome {
    std::vector<Parsed> requests{};
    int status = 0;  // of the refusal that ended it; 0 when all was well
    std::string detail{};
    bool incomplete = false;  // bytes of a further request are left
    bool ignored = false;     // bytes behind a request that closes its connection are left
    bool operator==(const ParseOutcome&) const = default;
};

// Parses `stream` as a connection does, the bytes arriving `piece` at a time (0: all at once).
ParseOutcome parseStream(std::string_view stream, size_t piece = 0,
                         const ParserLimits& limits = {});

// Blocking; gives up after ten seconds, which fails the test.
class Client {
public:
    explicit Client(uint16_t port, int receiveBuffer = 0);
    ~Client();
    Client(Client&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

    Client& send(std::string_view bytes);
    // Sends as much as is taken; false when the server closed or reset.
    bool trySend(std::string_view bytes);
    void endOfInput();
    void reset();  // closes with a RST
    // Everything until the server closes; "<reset>" is appended when it reset the connection.
    std::string readAll();
    // The next whole answer with its Content-Length; "" at the end of the stream.
    std::string readAnswer(bool head = false);
    // Exactly this many bytes, or fewer at the end.
    std::string read(size_t bytes);
    bool closed();  // the server has closed: waits for it
    bool silentFor(std::chrono::milliseconds time);
    int fd() const { return fd_; }

private:
    bool fill();
    int fd_ = -1;
    std::string buffer_{};
};

// A server whose loop runs on its own thread from construction to destruction.
class RunningServer {
public:
    explicit RunningServer(Handler handler, ServerOptions options = {});
    ~RunningServer();

    uint16_t port() const { return port_; }
    Client connect() const { return Client(port_); }
    // One request on a connection of its own: what came back until it was closed.
    std::string ask(std::string_view bytes) const;
    // Runs `task` on the loop and waits for it.
    void onLoop(std::function<void()> task);
    Counters counters();

    base::EventLoop loop{};
    std::unique_ptr<Server> server{};

private:
    uint16_t port_ = 0;
    std::thread thread_{};
};

// Answers 200 with "<method> <target> <body>".
void echo(std::shared_ptr<Exchange> exchange);
int statusOf(std::string_view answer);
std::string bodyOf(std::string_view answer);
size_t count(std::string_view text, std::string_view part);
// Tries until `condition` holds, for ten seconds at most.
bool eventually(const std::function<bool()>& condition);

}  // namespace cf::http
