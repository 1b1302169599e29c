// One end of the control socket between kernel and launcher: whole packets with their descriptors,
// queued when the other side is slow. Used on one thread; owns the socket.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "sandbox/messages.hpp"

namespace cf::sandbox {

class ControlSocket {
public:
    ControlSocket() = default;
    explicit ControlSocket(base::UniqueFd fd) : fd_(std::move(fd)) {}

    int get() const { return fd_.get(); }
    void close() { fd_.reset(); }
    int release() { return fd_.release(); }

    // Sends now or keeps the packet until flush(). Descriptors are closed once sent.
    void send(std::string packet, std::vector<base::UniqueFd> fds = {});
    // Sends what is queued; true when nothing is left.
    bool flush();
    bool hasQueued() const { return !queue_.empty(); }

    enum class Received { packet, nothing, garbage, end };
    // `nothing`: none is there (or, on a blocking socket, a timeout set with SO_RCVTIMEO passed).
    // `garbage`: a packet that is no message was dropped. One whose descriptors this process has no
    // room for comes without any.
    Received receive(Packet& packet);

private:
    struct Outgoing {
        std::string bytes;
        std::vector<base::UniqueFd> fds;
    };
    bool sendOne(const Outgoing& outgoing);

    base::UniqueFd fd_;
    std::deque<Outgoing> queue_;
};

}  // namespace cf::sandbox
