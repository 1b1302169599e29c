#include "sandbox/control_socket.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace cf::sandbox {

bool ControlSocket::sendOne(const Outgoing& outgoing) {
    iovec bytes{const_cast<char*>(outgoing.bytes.data()), outgoing.bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * maxMessageFds)] = {};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    if (!outgoing.fds.empty()) {
        const size_t size = sizeof(int) * outgoing.fds.size();
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(size);
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        auto* at = reinterpret_cast<char*>(CMSG_DATA(header));
        for (const auto& fd : outgoing.fds) {
            const int number = fd.get();
            std::memcpy(at, &number, sizeof number);
            at += sizeof number;
        }
    }
    ssize_t sent;
    do sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    // A dead peer or an unsendable packet takes the packet with it; the end of the socket is seen
    // when reading.
    return sent >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != ETOOMANYREFS);
}

void ControlSocket::send(std::string packet, std::vector<base::UniqueFd> fds) {
    queue_.push_back({std::move(packet), std::move(fds)});
    flush();
}

bool ControlSocket::flush() {
    while (!queue_.empty() && sendOne(queue_.front())) queue_.pop_front();
    return queue_.empty();
}

ControlSocket::Received ControlSocket::receive(Packet& packet) {
    static thread_local std::string buffer(maxMessage, '\0');
    iovec bytes{buffer.data(), buffer.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * maxMessageFds)] = {};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got;
    do got = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Received::nothing : Received::end;

    packet.fds.clear();
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            packet.fds.emplace_back(fd);
        }
    }
    // recvmsg gives 0 for an empty packet as for the end; nobody sends empty packets on purpose.
    if (got == 0) return Received::end;
    MessageHeader header;
    if ((message.msg_flags & MSG_TRUNC) != 0 || static_cast<size_t>(got) < sizeof header)
        return Received::garbage;
    if ((message.msg_flags & MSG_CTRUNC) != 0) packet.fds.clear();
    std::memcpy(&header, buffer.data(), sizeof header);
    if (header.version != messageVersion || header.reserved != 0 || header.kind < 1 ||
        header.kind > static_cast<uint16_t>(MessageKind::refused))
        return Received::garbage;
    packet.kind = static_cast<MessageKind>(header.kind);
    packet.task = header.task;
    packet.items.assign(buffer, sizeof header, static_cast<size_t>(got) - sizeof header);
    return Received::packet;
}

}  // namespace cf::sandbox
