// One listening address: a Poco server socket whose connections are accepted in batches on the
// loop.
#pragma once

#include <Poco/Net/ServerSocket.h>
#include <sys/socket.h>

#include <functional>

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
    ~Listener() override;

    uint16_t port() const { return port_; }
    void onEvents(uint32_t events) override;

private:
    void shedOne();

    base::EventLoop& loop_;
    Poco::Net::ServerSocket socket_;
    Accepted accepted_;
    base::UniqueFd spare_;
    uint16_t port_ = 0;
};

}  // namespace cf::http
