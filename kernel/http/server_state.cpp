#include "http/server_state.hpp"

#include <algorithm>
#include <exception>

#include "base/log.hpp"
#include "http/connection.hpp"
#include "http/traveller.hpp"

namespace cf::http {

ServerState::ServerState(base::EventLoop& theLoop, ServerOptions theOptions, Handler theHandler)
    : loop(theLoop),
      options(std::move(theOptions)),
      handler(std::move(theHandler)),
      deadlines(loop),
      pool(std::make_shared<ExchangePool>(loop,
                                          [this](uint64_t serial) { exchangeAbandoned(serial); })),
      parser(options.limits),
      readBuffer(new char[readSize + Buffer::slack]),
      alive_(std::make_shared<ServerState*>(this)) {
    if (options.occupancy == nullptr) options.occupancy = std::make_shared<Occupancy>();
}

ServerState::~ServerState() {
    *alive_ = nullptr;
    pool->detach();
    listeners.clear();
    drained = nullptr;
    while (!connections.empty()) connections.back()->close();
}

void ServerState::later(void (ServerState::*task)()) {
    loop.atRoundEnd([alive = alive_, task] {
        if (ServerState* self = *alive) (self->*task)();
    });
}

Connection& ServerState::add(base::UniqueFd fd, Occupancy::Seat seat) {
    connections.push_back(std::make_unique<Connection>(*this, std::move(fd), std::move(seat)));
    connections.back()->index = connections.size() - 1;
    counters.open = connections.size();
    return *connections.back();
}

void ServerState::accepted(int fd, const sockaddr_storage& address) {
    base::UniqueFd owned(fd);
    ++counters.accepted;
    auto seat =
        options.occupancy->take(peerOf(address), {options.maxConnections, options.maxPerAddress});
    if (!seat) {
        ++counters.refused;
        return;
    }
    const auto excess = seat->excess();
    Connection& connection = add(std::move(owned), std::move(*seat));
    if (excess == Occupancy::Excess::none) return connection.start(nullptr);
    const bool full = excess == Occupancy::Excess::connections;
    const Refusal refusal{
        .status = 503,
        .failure = {.reason = "too_many_connections",
                    .detail = full ? "the platform holds as many connections as it may"
                                   : "too many connections come from this address",
                    .hint = "use connections for more than one request, and come back in a second",
                    .limit = std::to_string(full ? options.maxConnections : options.maxPerAddress) +
                             " connections"},
        .headers = "Retry-After: 1\r\n"};
    connection.start(&refusal);
}

void ServerState::receive(std::shared_ptr<Traveller> traveller) {
    loop.post([alive = alive_, traveller = std::move(traveller)] {
        ServerState* self = *alive;
        if (self == nullptr) return;
        self->add(std::move(traveller->fd), std::move(traveller->seat)).arrive(*traveller);
    });
}

void ServerState::retire(Connection& connection) {
    if (connection.waitsToResume)
        std::replace(resuming_.begin(), resuming_.end(), &connection,
                     static_cast<Connection*>(nullptr));
    const size_t index = connection.index;
    if (graveyard_.empty()) later(&ServerState::bury);
    graveyard_.push_back(std::move(connections[index]));
    if (index + 1 != connections.size()) {
        connections[index] = std::move(connections.back());
        connections[index]->index = index;
    }
    connections.pop_back();
    counters.open = connections.size();
    if (connections.empty() && drained) later(&ServerState::finishDrain);
}

void ServerState::finishDrain() {
    if (drained) std::exchange(drained, nullptr)();
}

void ServerState::resumeLater(Connection& connection) {
    if (connection.waitsToResume) return;
    connection.waitsToResume = true;
    if (resuming_.empty()) later(&ServerState::resume);
    resuming_.push_back(&connection);
}

void ServerState::resume() {
    // Stays the list of the waiting while it is worked through, so that a connection that dies
    // takes itself off it.
    for (size_t i = 0; i < resuming_.size(); ++i) {
        Connection* connection = std::exchange(resuming_[i], nullptr);
        if (connection == nullptr) continue;
        connection->waitsToResume = false;
        connection->resume();
    }
    resuming_.clear();
}

void ServerState::makeRoom() {
    if (makesRoom_ || !isFull()) return;
    makesRoom_ = true;
    later(&ServerState::cutOldestReaders);
}

void ServerState::cutOldestReaders() {
    makesRoom_ = false;
    std::vector<Connection*> readers;
    if (isFull())
        for (const auto& connection : connections)
            if (connection->hasUnread()) readers.push_back(connection.get());
    std::stable_sort(readers.begin(), readers.end(), [](const Connection* a, const Connection* b) {
        return a->since() < b->since();
    });
    // Nobody is told: their answers are what fills the memory. Those that are closed are buried
    // later.
    for (Connection* reader : readers)
        if (isFull() && !reader->dead()) reader->close();
}

void ServerState::exchangeAbandoned(uint64_t serial) {
    const auto found =
        std::find_if(connections.begin(), connections.end(),
                     [&](const auto& connection) { return connection->serial() == serial; });
    if (found != connections.end()) (*found)->abandoned({});
}

Problem ServerState::problemOf(const Refusal& refusal, const Request& request) const {
    if (!options.problem) return {.document = plainProblem(refusal)};
    try {
        return options.problem(refusal, request);
    } catch (const std::exception& error) {
        base::logError("http",
                       std::string("a problem document could not be written: ") + error.what());
        return {.document = plainProblem(refusal)};
    }
}

}  // namespace cf::http
