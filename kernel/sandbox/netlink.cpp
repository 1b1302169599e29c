#include "sandbox/netlink.hpp"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace cf::sandbox {

// A request under construction: header, fixed part, attributes that may nest.
class Netlink::Message {
public:
    Message(uint16_t type, uint16_t flags) {
        auto* const head = header();
        head->nlmsg_len = NLMSG_HDRLEN;
        head->nlmsg_type = type;
        head->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    }
    template <typename Fixed>
    void fixed(const Fixed& part) {
        append(&part, sizeof part);
    }
    void add(unsigned short type, const void* value, size_t size) {
        const size_t at = open(type);
        append(value, size);
        close(at);
    }
    template <typename Value>
    void add(unsigned short type, const Value& value) {
        add(type, &value, sizeof value);
    }
    void add(unsigned short type, std::string_view text) { add(type, text.data(), text.size()); }
    size_t open(unsigned short type) {
        const size_t at = header()->nlmsg_len;
        const rtattr attribute{0, type};
        append(&attribute, sizeof attribute);
        return at;
    }
    void close(size_t at) {
        reinterpret_cast<rtattr*>(bytes_ + at)->rta_len =
            static_cast<unsigned short>(header()->nlmsg_len - at);
        header()->nlmsg_len = NLMSG_ALIGN(header()->nlmsg_len);
    }
    nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_); }

private:
    // Every message of this file fits by far; attributes are aligned by what follows them.
    void append(const void* value, size_t size) {
        const size_t at = header()->nlmsg_len;
        if (at + size + NLMSG_ALIGNTO > sizeof bytes_) return;
        if (size > 0) std::memcpy(bytes_ + at, value, size);
        header()->nlmsg_len = static_cast<uint32_t>(at + size);
    }

    alignas(NLMSG_ALIGNTO) char bytes_[1024] = {};
};

Netlink::Netlink() : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {}

// One request, one answer: an nlmsgerr, whose error is 0 when all went well.
int Netlink::run(Message& message) {
    if (!socket_) return EBADF;
    const nlmsghdr* const head = message.header();
    if (::send(socket_.get(), head, head->nlmsg_len, 0) < 0) return errno;
    alignas(NLMSG_ALIGNTO) char answer[8192];
    for (;;) {
        const ssize_t got = ::recv(socket_.get(), answer, sizeof answer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        const auto* const reply = reinterpret_cast<const nlmsghdr*>(answer);
        if (static_cast<size_t>(got) < NLMSG_LENGTH(sizeof(nlmsgerr)) ||
            reply->nlmsg_type != NLMSG_ERROR)
            continue;
        return -static_cast<const nlmsgerr*>(NLMSG_DATA(reply))->error;
    }
}

namespace {

ifinfomsg upInterface(uint32_t index) {
    ifinfomsg info{};
    info.ifi_family = AF_UNSPEC;
    info.ifi_index = static_cast<int>(index);
    info.ifi_flags = info.ifi_change = IFF_UP;
    return info;
}

}  // namespace

int Netlink::addPair(const LinkEnd& here, const LinkEnd& there, int peerNamespace, uint32_t mtu) {
    Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    const auto describe = [&](const LinkEnd& end) {
        message.add(IFLA_IFNAME, std::string_view(end.name.c_str(), end.name.size() + 1));
        message.add(IFLA_MTU, mtu);
        message.add(IFLA_ADDRESS, end.address);
        // Said here, because Linux would otherwise make more of them and take them back, which
        // waits for a grace period of RCU each time.
        message.add(IFLA_NUM_TX_QUEUES, uint32_t{1});
        message.add(IFLA_NUM_RX_QUEUES, uint32_t{1});
    };
    message.fixed(upInterface(0));
    describe(here);
    const size_t info = message.open(IFLA_LINKINFO);
    message.add(IFLA_INFO_KIND, std::string_view("veth"));
    const size_t data = message.open(IFLA_INFO_DATA);
    const size_t peer = message.open(VETH_INFO_PEER);
    // Linux brings an end up only when both are there, and this one is made first.
    message.fixed(ifinfomsg{});
    describe(there);
    message.add(IFLA_NET_NS_FD, peerNamespace);
    message.close(peer);
    message.close(data);
    message.close(info);
    return run(message);
}

int Netlink::removeLink(const std::string& name) {
    Message message(RTM_DELLINK, 0);
    message.fixed(ifinfomsg{});
    message.add(IFLA_IFNAME, std::string_view(name.c_str(), name.size() + 1));
    return run(message);
}

int Netlink::setUp(uint32_t index) {
    Message message(RTM_NEWLINK, 0);
    message.fixed(upInterface(index));
    return run(message);
}

int Netlink::addAddress(uint32_t index, uint32_t address, uint8_t prefix) {
    Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    ifaddrmsg info{};
    info.ifa_family = AF_INET;
    info.ifa_prefixlen = prefix;
    info.ifa_index = index;
    message.fixed(info);
    message.add(IFA_LOCAL, htonl(address));
    message.add(IFA_ADDRESS, htonl(address));
    return run(message);
}

int Netlink::removeAddress(uint32_t index, uint32_t address, uint8_t prefix) {
    Message message(RTM_DELADDR, 0);
    ifaddrmsg info{};
    info.ifa_family = AF_INET;
    info.ifa_prefixlen = prefix;
    info.ifa_index = index;
    message.fixed(info);
    message.add(IFA_LOCAL, htonl(address));
    return run(message);
}

int Netlink::addRoute(uint32_t index, uint32_t address, uint8_t prefix, uint32_t gateway) {
    Message message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    rtmsg info{};
    info.rtm_family = AF_INET;
    info.rtm_dst_len = prefix;
    info.rtm_table = RT_TABLE_MAIN;
    info.rtm_protocol = RTPROT_STATIC;
    info.rtm_scope = gateway == 0 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    info.rtm_type = RTN_UNICAST;
    // The gateway lies outside of the interface's own /32.
    info.rtm_flags = gateway == 0 ? 0u : static_cast<unsigned>(RTNH_F_ONLINK);
    message.fixed(info);
    if (prefix != 0) message.add(RTA_DST, htonl(address));
    if (gateway != 0) message.add(RTA_GATEWAY, htonl(gateway));
    message.add(RTA_OIF, index);
    return run(message);
}

int Netlink::addNeighbour(uint32_t index, uint32_t address, const uint8_t (&hardware)[6]) {
    Message message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    ndmsg info{};
    info.ndm_family = AF_INET;
    info.ndm_ifindex = static_cast<int>(index);
    info.ndm_state = NUD_PERMANENT;
    message.fixed(info);
    message.add(NDA_DST, htonl(address));
    message.add(NDA_LLADDR, hardware);
    return run(message);
}

uint32_t Netlink::indexOf(const std::string& name) {
    // The socket's namespace counts, not the thread's.
    ifreq request{};
    std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
    if (::ioctl(socket_.get(), SIOCGIFINDEX, &request) != 0) return 0;
    return static_cast<uint32_t>(request.ifr_ifindex);
}

}  // namespace cf::sandbox
