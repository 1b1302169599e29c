// Who is at the other end of a connection.
#pragma once

#include <sys/socket.h>

#include <string>

namespace cf::http {

struct Peer {
    std::string address{};  // as text; an IPv4 address that arrived at an IPv6 socket as IPv4
    // What one client has: an IPv4 address, the first 64 bits of an IPv6 address (RFC 4291 section
    // 2.5.4; within them it chooses freely), with a mark so that the two never meet.
    std::string origin{};
    bool loopback = false;
};

// `address` is of the family AF_INET or AF_INET6.
Peer peerOf(const sockaddr_storage& address);

}  // namespace cf::http
