#include "http/listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <cerrno>

namespace cf::http {

namespace {

// So that a storm of connections does not starve those that are already there.
constexpr int acceptBudget = 64;

}  // namespace

Listener::Listener(base::EventLoop& loop, const Poco::Net::SocketAddress& address, int backlog,
                   Accepted accepted)
    : loop_(loop),
      socket_(std::make_shared<Poco::Net::ServerSocket>()),
      accepted_(std::move(accepted)),
      spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    if (address.family() == Poco::Net::SocketAddress::IPv6)
        socket_->bind6(address, true, false, true);
    else
        socket_->bind(address, true, false);
    ::fcntl(fd(), F_SETFD, FD_CLOEXEC);  // Poco sets it nowhere
    socket_->setBlocking(false);
    // Accepted sockets inherit it on Linux, which saves a system call for each.
    const int on = 1;
    ::setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    socket_->listen(backlog);
    port_ = socket_->address().port();
    watch();
}

Listener::Listener(base::EventLoop& loop, const Listener& other, Accepted accepted)
    : loop_(loop),
      socket_(other.socket_),
      accepted_(std::move(accepted)),
      spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
      port_(other.port_) {
    watch();
}

// Exclusive: a connection wakes one of the loops that wait for it, not all.
void Listener::watch() { loop_.watch(fd(), EPOLLIN | EPOLLEXCLUSIVE, this); }

Listener::~Listener() { loop_.unwatch(fd(), this); }

void Listener::onEvents(uint32_t) {
    const int listening = fd();
    for (int i = 0; i < acceptBudget; ++i) {
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        const int fd = ::accept4(listening, reinterpret_cast<sockaddr*>(&address), &size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted_(fd, address);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE)
            shedOne();
        else if (errno == EINTR || errno == ECONNABORTED)
            continue;
        return;
    }
}

// Without a free descriptor the waiting connection would make the loop spin: give the spare one up
// for it, and hang up.
void Listener::shedOne() {
    spare_.reset();
    base::UniqueFd(::accept4(fd(), nullptr, nullptr, SOCK_CLOEXEC)).reset();
    spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace cf::http
