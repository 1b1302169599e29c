#include "http/peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

namespace cf::http {

namespace {

constexpr size_t networkBytes = 8;

Peer ofVersion4(const void* bytes) {
    char text[INET_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET, bytes, text, sizeof text);
    return {text, text, *static_cast<const unsigned char*>(bytes) == IN_LOOPBACKNET};
}

}  // namespace

Peer peerOf(const sockaddr_storage& address) {
    if (address.ss_family == AF_INET)
        return ofVersion4(&reinterpret_cast<const sockaddr_in&>(address).sin_addr);
    in6_addr v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) return ofVersion4(&v6.s6_addr[12]);
    char text[INET6_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET6, &v6, text, sizeof text);
    const bool loopback = IN6_IS_ADDR_LOOPBACK(&v6) != 0;
    char network[INET6_ADDRSTRLEN] = "";
    for (size_t i = networkBytes; i < sizeof v6.s6_addr; ++i) v6.s6_addr[i] = 0;
    ::inet_ntop(AF_INET6, &v6, network, sizeof network);
    return {text, std::string(network) + "/64", loopback};
}

}  // namespace cf::http
