// The HTTP/1.1 server of one event loop: listens, reads requests, hands each to the handler as an
// Exchange and writes the answers. Everything is per instance and happens on the loop's thread; one
// Server a loop makes it multi-threaded: a handler may send a connection on to the server of
// another loop (Exchange::moveTo), which then reads, handles and answers everything behind.
//
// What it answers itself, without a handler: 400, 413, 414, 417, 431, 501, 505 for requests that
// are not let through, 408 for those that do not arrive in time, 503 beyond the limits, 500 for
// those a handler dropped unanswered.
#pragma once

#include <Poco/Net/SocketAddress.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/event_loop.hpp"
#include "base/failure.hpp"
#include "http/exchange.hpp"
#include "http/occupancy.hpp"
#include "http/parser.hpp"
#include "http/refusal.hpp"

namespace cf::http {

struct ServerOptions {
    using Duration = std::chrono::milliseconds;

    size_t maxConnections = 10'200;  // of all servers with one `occupancy`; beyond it 503
    size_t maxPerAddress = 1'024;    // from one address; loopback is free of it
    int backlog = 1'024;             // connections that Linux holds until they are accepted
    ParserLimits limits{};
    Duration headerTimeout{10'000};  // from a request's first byte to the end of its head
    Duration idleTimeout{60'000};    // without a request, before the first one too
    Duration bodyGrace{10'000};      // a body may fall behind minimumRate by so much
    Duration writeGrace{30'000};     // so may the reading of an answer
    size_t minimumRate = 1'024;      // bytes a second
    Duration lingerTimeout{
        2'000};  // how long a refused client's leftovers are thrown away before the close
    size_t lingerBytes = 16u << 20;  // and how many

    // Memory of all requests, until their handlers let go of them, and answers that are not read
    // yet. Beyond it requests of more than 8 KB get 503; where requests that are not whole yet and
    // answers are beyond it alone, clients that do not read their answers are cut off, those that
    // have been at it for the longest time first.
    size_t bufferBytes = 256u << 20;
    // What one address may have of it before its own large requests get 503; loopback is free of it.
    size_t addressBytes = 128u << 20;

    // What the reader of one stream may leave unread.
    size_t streamBytes = 1u << 20;

    // The body limit of a request with this head, in bytes; limits.bodyBytes without it. Asked for
    // bodies that are announced with more than 64 KB or chunked, before they are read. Cheap: it
    // runs on the loop.
    std::function<size_t(const Request& head)> bodyLimit{};
    // Documents of the answers above; plainProblem without it.
    ProblemWriter problem{};

    // Shared by servers between which connections move: the limits on connections and bufferBytes
    // hold for all of them together. Without it the server has its own.
    std::shared_ptr<Occupancy> occupancy{};
};

struct Counters {
    uint64_t accepted = 0;  // connections so far
    uint64_t open = 0;      // connections now
    uint64_t requests = 0;  // handed to the handler so far
    uint64_t refused = 0;   // requests and connections that never reached the handler
};

struct ServerState;

class Server {
public:
    // The loop outlives the server; the handler may be called until the server is gone.
    Server(base::EventLoop& loop, ServerOptions options, Handler handler);
    // Loop thread, or after the loop ended: closes everything. Exchanges that are still held count
    // as gone.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Loop thread or before run; may be called for several addresses. Gives the port (for port 0
    // the chosen one). Failure: address_unavailable.
    base::Result<uint16_t> listen(const Poco::Net::SocketAddress& address);
    // The same: takes connections of the addresses that `first` listens on at present, too.
    // Whichever loop has time takes the next one; Linux goes on to take them for as long as one of
    // the servers accepts.
    void listenWith(const Server& first);

    // Loop thread, all below. New connections are no longer taken: Linux refuses them.
    void stopAccepting();
    // Closes connections that wait for a request.
    void closeIdle();
    // Both, streams are told to end, and every answer from now on closes its connection; `done`
    // runs once, at the end of the round in which the last connection went (at once without any),
    // and may end the loop.
    void drain(std::function<void()> done);

    const Counters& counters() const;

private:
    friend class ServerExchange;  // moves connections from server to server
    std::unique_ptr<ServerState> state_;
};

}  // namespace cf::http
