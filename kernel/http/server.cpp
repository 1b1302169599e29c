#include "http/server.hpp"

#include <Poco/Exception.h>

#include <exception>
#include <utility>

#include "http/connection.hpp"
#include "http/server_state.hpp"

namespace cf::http {

Server::Server(base::EventLoop& loop, ServerOptions options, Handler handler)
    : state_(std::make_unique<ServerState>(loop, std::move(options), std::move(handler))) {}

Server::~Server() = default;

base::Result<uint16_t> Server::listen(const Poco::Net::SocketAddress& address) {
    try {
        ServerState* state = state_.get();
        state->listeners.push_back(std::make_unique<Listener>(
            state->loop, address, state->options.backlog,
            [state](int fd, const sockaddr_storage& from) { state->accepted(fd, from); }));
        return state->listeners.back()->port();
    } catch (const Poco::Exception& error) {
        return base::Failure{
            .reason = "address_unavailable",
            .detail = "cannot listen on " + address.toString() + ": " + error.displayText(),
            .hint = "stop what uses the address, or choose another one"};
    }
}

void Server::listenWith(const Server& first) {
    ServerState* state = state_.get();
    for (const auto& listener : first.state_->listeners)
        state->listeners.push_back(std::make_unique<Listener>(
            state->loop, *listener,
            [state](int fd, const sockaddr_storage& from) { state->accepted(fd, from); }));
}

void Server::stopAccepting() { state_->listeners.clear(); }

void Server::closeIdle() {
    // Closing moves the last connection into the gap, so the list is walked backwards.
    for (size_t i = state_->connections.size(); i-- > 0;)
        if (i < state_->connections.size() && state_->connections[i]->idle())
            state_->connections[i]->close();
}

void Server::drain(std::function<void()> done) {
    state_->draining = true;
    stopAccepting();
    closeIdle();
    for (size_t i = state_->connections.size(); i-- > 0;)
        if (i < state_->connections.size()) state_->connections[i]->stopping();
    if (state_->connections.empty()) return done();
    state_->drained = std::move(done);
}

const Counters& Server::counters() const { return state_->counters; }

}  // namespace cf::http
