#include "sandbox/network_remains.hpp"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "sandbox/files.hpp"
#include "sandbox/netlink.hpp"

namespace cf::sandbox {

namespace {

constexpr size_t deletionBytes = 16'384;  // sent at once

base::UniqueFd netlinkSocket(int protocol) {
    return base::UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
}

// A request of a header and one fixed part.
template <typename Fixed>
struct Request {
    nlmsghdr head{};
    Fixed fixed{};
    Request(int type, int flags) {
        head.nlmsg_len = NLMSG_LENGTH(sizeof(Fixed));
        head.nlmsg_type = static_cast<uint16_t>(type);
        head.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    }
    std::string_view bytes() const { return {reinterpret_cast<const char*>(this), head.nlmsg_len}; }
};

// Asks for a list and hands over what each of its messages has after the header. 0 or an errno.
int listAll(int socket, std::string_view request,
            const std::function<void(std::string_view message)>& each) {
    if (::send(socket, request.data(), request.size(), 0) < 0) return errno;
    alignas(NLMSG_ALIGNTO) static char buffer[65'536];
    for (;;) {
        const ssize_t got = ::recv(socket, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        auto left = static_cast<size_t>(got);
        for (auto* head = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(head, left);
             head = NLMSG_NEXT(head, left)) {
            if (head->nlmsg_type == NLMSG_DONE) return 0;
            if (head->nlmsg_type == NLMSG_ERROR)
                return -static_cast<const nlmsgerr*>(NLMSG_DATA(head))->error;
            each({static_cast<const char*>(NLMSG_DATA(head)), NLMSG_PAYLOAD(head, 0)});
        }
    }
}

// The attribute of this type with its header, or the content alone; empty when it is not there.
std::string_view attribute(std::string_view list, unsigned type, bool whole = false) {
    while (list.size() >= sizeof(nlattr)) {
        nlattr head;
        std::memcpy(&head, list.data(), sizeof head);
        if (head.nla_len < NLA_HDRLEN || head.nla_len > list.size()) return {};
        if ((head.nla_type & NLA_TYPE_MASK) == type)
            return whole ? list.substr(0, head.nla_len)
                         : list.substr(NLA_HDRLEN, head.nla_len - NLA_HDRLEN);
        list.remove_prefix(std::min(list.size(), size_t{NLA_ALIGN(head.nla_len)}));
    }
    return {};
}

// TCP sockets of the thread's namespace that are more than a note that a connection was there.
bool hasConnections() {
    for (const char* file : {"/proc/thread-self/net/sockstat", "/proc/thread-self/net/sockstat6"})
        for (const auto& line : lines(readFile(file))) {
            const auto parts = words(line);
            if (parts.size() >= 3 && parts[0].starts_with("TCP") && parts[2] != "0") return true;
        }
    return false;
}

void resetConnections() {
    const base::UniqueFd socket = netlinkSocket(NETLINK_SOCK_DIAG);
    for (const uint8_t family : {uint8_t{AF_INET}, uint8_t{AF_INET6}}) {
        Request<inet_diag_req_v2> request(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
        request.fixed.sdiag_family = family;
        request.fixed.sdiag_protocol = IPPROTO_TCP;
        request.fixed.idiag_states = ((1u << (TCP_CLOSING + 1)) - 1) & ~(1u << TCP_TIME_WAIT);
        std::vector<inet_diag_sockid> found;
        listAll(socket.get(), request.bytes(), [&](std::string_view message) {
            inet_diag_msg one;
            if (message.size() < sizeof one) return;
            std::memcpy(&one, message.data(), sizeof one);
            found.push_back(one.id);
        });
        request.head.nlmsg_type = SOCK_DESTROY;
        request.head.nlmsg_flags = NLM_F_REQUEST;
        char refusal[1024];
        for (const auto& id : found) {
            request.fixed.id = id;
            const auto bytes = request.bytes();
            ::send(socket.get(), bytes.data(), bytes.size(), 0);
            while (::recv(socket.get(), refusal, sizeof refusal, MSG_DONTWAIT) > 0) {
            }
        }
    }
}

constexpr int ofConntrack(int message) { return NFNL_SUBSYS_CTNETLINK << 8 | message; }

// `tuples` are attributes of type CTA_TUPLE_ORIG. What is not there need not go.
void deleteFlows(int socket, const std::vector<std::string>& tuples) {
    std::string batch;
    char refusal[4096];
    const auto flush = [&] {
        ::send(socket, batch.data(), batch.size(), 0);
        while (::recv(socket, refusal, sizeof refusal, MSG_DONTWAIT) > 0) {
        }
        batch.clear();
    };
    for (const auto& tuple : tuples) {
        Request<nfgenmsg> request(ofConntrack(IPCTNL_MSG_CT_DELETE), 0);
        request.fixed.nfgen_family = AF_INET;
        const size_t head = request.head.nlmsg_len;
        request.head.nlmsg_len += static_cast<uint32_t>(tuple.size());
        batch.append(reinterpret_cast<const char*>(&request), head).append(tuple);
        batch.resize(NLMSG_ALIGN(batch.size()));
        if (batch.size() >= deletionBytes) flush();
    }
    if (!batch.empty()) flush();
}

}  // namespace

void endConnections(const Router& router, const std::vector<EndedSandbox>& ended) {
    std::vector<uint32_t> left;
    for (const EndedSandbox& one : ended) {
        bool isLeft = !one.network;
        if (one.network)
            inNetwork(one.network.get(), router.home(), [&] {
                if (!hasConnections()) return;
                resetConnections();
                isLeft = hasConnections();
                // Nobody answers any more, so the next try is the last.
                if (isLeft) writeFile("/proc/sys/net/ipv4/tcp_orphan_retries", "1");
            });
        if (isLeft) left.push_back(one.index);
    }
    if (left.empty()) return;
    inNetwork(router.network(), router.home(), [&] {
        Netlink netlink;
        for (const uint32_t index : left) netlink.removeLink(sandboxLink(index));
    });
}

// The router changes no addresses, so its own table, which holds nothing but connections of
// sandboxes, says by what the machine's knows them.
int forgetFlows(const Router& router, const std::function<bool(uint32_t address)>& isGone) {
    base::UniqueFd socket;
    bool isEmpty = false;
    inNetwork(router.network(), router.home(), [&] {
        isEmpty = readFile("/proc/sys/net/netfilter/nf_conntrack_count").starts_with("0");
        socket = netlinkSocket(NETLINK_NETFILTER);
    });
    if (isEmpty) return 0;
    Request<nfgenmsg> request(ofConntrack(IPCTNL_MSG_CT_GET), NLM_F_DUMP);
    request.fixed.nfgen_family = AF_INET;
    std::vector<std::string> tuples;
    const int error = listAll(socket.get(), request.bytes(), [&](std::string_view message) {
        if (message.size() < NLMSG_ALIGN(sizeof(nfgenmsg))) return;
        message.remove_prefix(NLMSG_ALIGN(sizeof(nfgenmsg)));
        const auto source =
            attribute(attribute(attribute(message, CTA_TUPLE_ORIG), CTA_TUPLE_IP), CTA_IP_V4_SRC);
        uint32_t address = 0;
        if (source.size() != sizeof address) return;
        std::memcpy(&address, source.data(), sizeof address);
        address = ntohl(address);
        if (router.range().has(address) && isGone(address))
            tuples.emplace_back(attribute(message, CTA_TUPLE_ORIG, true));
    });
    deleteFlows(socket.get(), tuples);
    deleteFlows(netlinkSocket(NETLINK_NETFILTER).get(), tuples);
    return error;
}

}  // namespace cf::sandbox
