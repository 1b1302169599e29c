// One listening address on one loop: a Poco server socket whose connections are accepted in
// batches. Loops share the socket, not just its address (SO_REUSEPORT): a connection waits for
// whichever loop has time, none is lost when one loop stops, and a second platform cannot take the
// address, too.
#pragma once

#include <Poco/Net/ServerSocket.h>
#include <sys/socket.h>

#include <functional>
#include <memory>

#include "base/event_loop.hpp"
#include "base/failure.hpp"
#include "base/unique_fd.hpp"

namespace cf::http {

class Listener final : public base::Watcher {
public:
    // Owns the descriptor from then on: non-blocking, close-on-exec.
    using Accepted = std::function<void(int fd, const sockaddr_storage& address)>;

    // Throws Poco::Exception when the address cannot be had.
    Listener(base::EventLoop& loop, const Poco::Net::SocketAddress& address, int backlog,
             Accepted accepted);
    // A second loop for the address of `other`.
    Listener(base::EventLoop& loop, const Listener& other, Accepted accepted);
    ~Listener() override;

    uint16_t port() const { return port_; }
    void onEvents(uint32_t events) override;

private:
    int fd() const { return socket_->impl()->sockfd(); }
    void watch();
    void shedOne();

    base::EventLoop& loop_;
    const std::shared_ptr<Poco::Net::ServerSocket> socket_;  // with the other loops' listeners
    Accepted accepted_;
    base::UniqueFd spare_;
    uint16_t port_ = 0;
};

}  // namespace cf::http
