// The launcher's ear at nfnetlink_log (linux/netfilter/nfnetlink_log.h): one datagram a packet.
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "sandbox/refusal.hpp"

namespace cf::sandbox {

namespace {

// The longest IPv4 header with the two ports behind it.
constexpr uint32_t copied = 64;
constexpr int bufferBytes = 256 * 1024;
// Requests of the launcher come first: what is left waits for the loop's next round.
constexpr int readAtOnce = 32;

constexpr uint16_t typeOf(uint16_t message) { return NFNL_SUBSYS_ULOG << 8 | message; }

uint16_t word16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }
uint32_t word32(const uint8_t* at) { return uint32_t{word16(at)} << 16 | word16(at + 2); }

// A request of one attribute, and whether Linux took it.
template <typename Value>
bool configure(int socket, uint16_t group, uint16_t attribute, const Value& value) {
    alignas(NLMSG_ALIGNTO) char bytes[128] = {};
    auto* const head = reinterpret_cast<nlmsghdr*>(bytes);
    head->nlmsg_len = NLMSG_LENGTH(sizeof(nfgenmsg)) + NLA_HDRLEN + NLA_ALIGN(sizeof value);
    head->nlmsg_type = typeOf(NFULNL_MSG_CONFIG);
    head->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    auto* const family = static_cast<nfgenmsg*>(NLMSG_DATA(head));
    family->nfgen_family = AF_UNSPEC;
    family->version = NFNETLINK_V0;
    family->res_id = htons(group);
    nlattr part{};
    part.nla_len = static_cast<uint16_t>(NLA_HDRLEN + sizeof value);
    part.nla_type = attribute;
    char* const at = bytes + NLMSG_LENGTH(sizeof(nfgenmsg));
    std::memcpy(at, &part, sizeof part);
    std::memcpy(at + NLA_HDRLEN, &value, sizeof value);
    if (::send(socket, bytes, head->nlmsg_len, 0) < 0) return false;
    // Reports may come before the answer once the group is bound; they may be lost.
    alignas(NLMSG_ALIGNTO) char answer[2048];
    for (;;) {
        const ssize_t got = ::recv(socket, answer, sizeof answer, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr)))) return false;
        const auto* const reply = reinterpret_cast<const nlmsghdr*>(answer);
        if (reply->nlmsg_type == NLMSG_ERROR)
            return static_cast<const nlmsgerr*>(NLMSG_DATA(reply))->error == 0;
    }
}

// The packet's head: who, where to, by what.
bool readPacket(const uint8_t* packet, size_t size, Refusal& refusal) {
    if (size < 20 || packet[0] >> 4 != 4) return false;
    const size_t head = size_t{4} * (packet[0] & 15);
    if (head < 20 || head > size) return false;
    refusal.protocol = packet[9];
    refusal.sandbox = word32(packet + 12);
    refusal.address = word32(packet + 16);
    const bool isFirst = (word16(packet + 6) & 0x1FFF) == 0;
    const bool hasPorts = refusal.protocol == IPPROTO_TCP || refusal.protocol == IPPROTO_UDP;
    if (isFirst && hasPorts && size >= head + 4) refusal.port = word16(packet + head + 2);
    return true;
}

}  // namespace

std::optional<Refusal> readRefusal(const char* data, size_t size) {
    if (size < NLMSG_LENGTH(sizeof(nfgenmsg))) return {};
    nlmsghdr head{};
    std::memcpy(&head, data, sizeof head);
    if (head.nlmsg_type != typeOf(NFULNL_MSG_PACKET) || head.nlmsg_len > size ||
        head.nlmsg_len < NLMSG_LENGTH(sizeof(nfgenmsg)))
        return {};
    Refusal refusal;
    bool hasPacket = false, hasReason = false;
    size_t at = NLMSG_LENGTH(sizeof(nfgenmsg));
    while (at + NLA_HDRLEN <= head.nlmsg_len) {
        nlattr part{};
        std::memcpy(&part, data + at, sizeof part);
        if (part.nla_len < NLA_HDRLEN || part.nla_len > head.nlmsg_len - at) return {};
        const char* const value = data + at + NLA_HDRLEN;
        const size_t length = part.nla_len - size_t{NLA_HDRLEN};
        const int type = part.nla_type & NLA_TYPE_MASK;
        if (type == NFULA_PREFIX) {
            const auto reason = reasonOf(std::string_view(value, ::strnlen(value, length)));
            if (reason) refusal.reason = *reason;
            hasReason = reason.has_value();
        } else if (type == NFULA_PAYLOAD) {
            hasPacket = readPacket(reinterpret_cast<const uint8_t*>(value), length, refusal);
        }
        at += NLA_ALIGN(part.nla_len);
    }
    if (!hasPacket || !hasReason) return {};
    return refusal;
}

std::unique_ptr<RefusalLog> RefusalLog::open(base::EventLoop& loop, uint16_t group,
                                             Callback callback) {
    base::UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!socket) return nullptr;
    const int on = 1;
    // A flood loses reports; it must not become an error of the socket.
    ::setsockopt(socket.get(), SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &bufferBytes, sizeof bufferBytes);
    nfulnl_msg_config_cmd bind{};
    bind.command = NFULNL_CFG_CMD_BIND;
    nfulnl_msg_config_mode mode{};
    mode.copy_mode = NFULNL_COPY_PACKET;
    mode.copy_range = htonl(copied);
    // At once: by itself Linux gathers reports for a second, and the invocation is over by then.
    const uint32_t threshold = htonl(1);
    const int fd = socket.get();
    if (!configure(fd, group, NFULA_CFG_CMD, bind) || !configure(fd, group, NFULA_CFG_MODE, mode) ||
        !configure(fd, group, NFULA_CFG_QTHRESH, threshold))
        return nullptr;
    return std::unique_ptr<RefusalLog>(
        new RefusalLog(loop, std::move(socket), std::move(callback)));
}

RefusalLog::RefusalLog(base::EventLoop& loop, base::UniqueFd socket, Callback callback)
    : socket_(std::move(socket)),
      callback_(std::move(callback)),
      watcher_(loop, socket_.get(), EPOLLIN, [this](uint32_t) { read(); }) {}

void RefusalLog::read() {
    alignas(NLMSG_ALIGNTO) char buffer[4096];
    for (int i = 0; i < readAtOnce; ++i) {
        const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (got <= 0) return;
        if (const auto refusal = readRefusal(buffer, static_cast<size_t>(got))) callback_(*refusal);
    }
}

}  // namespace cf::sandbox
