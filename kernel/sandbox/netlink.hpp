// The few requests of rtnetlink(7) that links between network namespaces need. A client speaks to
// the namespace in which it was made, whatever namespace its thread is in later. Launcher only.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"

namespace cf::sandbox {

// One end of a pair of virtual interfaces (veth(4)).
struct LinkEnd {
    std::string name{};
    uint8_t address[6] = {};  // as Ethernet has them
};

class Netlink {
public:
    Netlink();  // `valid` is false when Linux refuses it
    bool valid() const { return static_cast<bool>(socket_); }

    // Each gives 0 or an errno.

    // Makes a pair: `here`, which is up, in this client's namespace, `there` in the one of
    // `peerNamespace`, where setUp has to follow.
    int addPair(const LinkEnd& here, const LinkEnd& there, int peerNamespace, uint32_t mtu);
    int removeLink(const std::string& name);
    int setUp(uint32_t index);
    int addAddress(uint32_t index, uint32_t address, uint8_t prefix);
    int removeAddress(uint32_t index, uint32_t address, uint8_t prefix);
    // To `address`/`prefix` through the interface, by way of `gateway` unless it is 0. EEXIST when
    // there is such a route.
    int addRoute(uint32_t index, uint32_t address, uint8_t prefix, uint32_t gateway);
    // Where `address` is on the interface, for good: nobody has to ask or may answer.
    int addNeighbour(uint32_t index, uint32_t address, const uint8_t (&hardware)[6]);
    // The number of an interface; 0 when there is none.
    uint32_t indexOf(const std::string& name);

private:
    class Message;
    int run(Message& message);

    base::UniqueFd socket_;
};

}  // namespace cf::sandbox
