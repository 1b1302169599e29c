// What the connections of one server share. Internal to http/: connection.cpp and server.cpp alone
// include it.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "http/buffer.hpp"
#include "http/deadlines.hpp"
#include "http/exchange_pool.hpp"
#include "http/listener.hpp"
#include "http/response_head.hpp"
#include "http/server.hpp"

namespace cf::http {

class Connection;
struct Traveller;

struct ServerState {
    static constexpr size_t readSize = 64 * 1024;

    ServerState(base::EventLoop& theLoop, ServerOptions theOptions, Handler theHandler);
    ~ServerState();
    ServerState(const ServerState&) = delete;
    ServerState& operator=(const ServerState&) = delete;

    void accepted(int fd, const sockaddr_storage& address);
    // Takes a closed connection out; its memory goes at the end of the round, for it may stand on
    // the stack.
    void retire(Connection& connection);
    // Parses what the connection has buffered soon, but not inside the caller, who may be in the
    // middle of something.
    void resumeLater(Connection& connection);
    // At the end of the round, where requests and answers hold too much: cuts off those that have
    // been reading their answers for the longest time, until there is room.
    void makeRoom();
    void exchangeAbandoned(uint64_t serial);
    // Any thread: a connection that another server sends.
    void receive(std::shared_ptr<Traveller> traveller);
    Problem problemOf(const Refusal& refusal, const Request& request) const;

    base::EventLoop& loop;
    ServerOptions options;
    Handler handler;
    Counters counters{};
    bool draining = false;
    std::function<void()> drained{};

    Deadlines deadlines;
    std::shared_ptr<ExchangePool> pool;
    RequestParser parser;                // of requests that arrive whole
    std::unique_ptr<char[]> readBuffer;  // readSize and Buffer::slack bytes
    Buffer output{};                     // the answer being put together
    ResponseHead responseHead{};
    std::vector<Header> headHeaders{};  // of a head shown to bodyLimit or a ProblemWriter
    uint64_t nextSerial = 1;

    std::vector<std::unique_ptr<Listener>> listeners{};
    std::vector<std::unique_ptr<Connection>> connections{};

private:
    Connection& add(base::UniqueFd fd, Occupancy::Seat seat);
    void later(void (ServerState::*task)());
    void bury() { graveyard_.clear(); }
    void resume();
    void finishDrain();
    bool isFull() const { return options.occupancy->buffered() > options.bufferBytes; }
    void cutOldestReaders();

    std::vector<std::unique_ptr<Connection>> graveyard_;
    std::vector<Connection*> resuming_;
    bool makesRoom_ = false;
    std::shared_ptr<ServerState*> alive_;  // posted tasks find out through it that the server went
};

}  // namespace cf::http
