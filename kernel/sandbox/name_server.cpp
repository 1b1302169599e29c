#include "sandbox/name_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/log.hpp"
#include "sandbox/files.hpp"
#include "sandbox/syscalls.hpp"

namespace cf::sandbox {

namespace {

using namespace std::chrono_literals;

constexpr auto serverRestartPause = 200ms;
constexpr auto resolversPause = 5s;
constexpr size_t maxPacket = 65'536;
constexpr int port = 53;

std::string textOf(const std::vector<base::Destination>& names) {
    std::string text;
    for (const auto& name : names) text += name.name + "\n";
    return text;
}

base::UniqueFd listenAt(uint32_t address, int type) {
    base::UniqueFd socket(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int yes = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(address);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
        (type == SOCK_STREAM && ::listen(socket.get(), 128) != 0))
        socket.reset();
    return socket;
}

// IPv4 name servers of the machine, at most three as everywhere (resolv.conf(5)).
std::string machineResolvers() {
    std::string text;
    int count = 0;
    for (const auto& line : lines(readFile("/etc/resolv.conf"))) {
        const auto parts = words(line);
        if (parts.size() >= 2 && parts[0] == "nameserver" && base::parseAddress(parts[1]) &&
            ++count <= 3)
            text += parts[1] + "\n";
    }
    return text.empty() ? "127.0.0.1\n" : text;
}

bool isPrintable(const std::string& name) {
    return !name.empty() && name.size() <= 255 &&
           std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

std::string names::packet(char kind, uint32_t number, const std::string& text) {
    std::string packet(1, kind);
    packet.append(reinterpret_cast<const char*>(&number), sizeof number);
    return packet + text;
}

NameServer::NameServer(base::EventLoop& loop, const Router& router,
                       const std::vector<base::Destination>& opened,
                       const std::vector<base::Destination>& closed, OnGrant onGrant,
                       OnRefused onRefused)
    : loop_(loop),
      router_(router),
      onGrant_(std::move(onGrant)),
      onRefused_(std::move(onRefused)),
      common_(textOf(opened) + textOf(closed)) {
    start();
    checkResolvers();
}

NameServer::~NameServer() {
    loop_.cancel(check_);
    loop_.cancel(restart_);
    stop();
}

void NameServer::start() {
    restart_ = 0;
    base::UniqueFd datagrams, streams;
    inNetwork(router_.network(), router_.home(), [&] {
        datagrams = listenAt(router_.range().router(), SOCK_DGRAM);
        streams = listenAt(router_.range().router(), SOCK_STREAM);
    });
    int pair[2];
    if (!datagrams || !streams ||
        ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        base::logError("sandbox", std::string("The sandboxes have no name server: ") +
                                      std::strerror(errno) + ".");
        restart_ = loop_.after(resolversPause, [this] { start(); });
        return;
    }
    control_.reset(pair[0]);
    const base::UniqueFd theirs(pair[1]);
    const pid_t launcher = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != launcher) ::_exit(1);
        runNameServer(theirs.get(), datagrams.get(), streams.get());
    }
    if (pid_ < 0) return stop();
    gone_.reset(sys::pidfdOpen(pid_));
    watcher_ = std::make_unique<FdWatcher>(loop_, control_.get(), EPOLLIN,
                                           [this](uint32_t) { read(); });
    goneWatcher_ = std::make_unique<FdWatcher>(loop_, gone_.get(), EPOLLIN, [this](uint32_t) {
        base::logWarning("sandbox", "The sandboxes' name server ended and is started again.");
        stop();
        restart_ = loop_.after(serverRestartPause, [this] { start(); });
    });
    send(names::packet(names::kindCommon, 0, common_));
    for (const auto& [sandbox, list] : lists_)
        send(names::packet(names::kindAllow, sandbox, list));
    resolvers_.clear();
    tellResolvers();
}

void NameServer::stop() {
    watcher_.reset();
    goneWatcher_.reset();
    gone_.reset();
    control_.reset();
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    pid_ = -1;
}

void NameServer::send(const std::string& packet) {
    // One that does not read has hung; without its lists it would answer too much.
    if (control_ && ::send(control_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0 &&
        pid_ > 0)
        ::kill(pid_, SIGKILL);
}

void NameServer::tellResolvers() {
    const std::string found = machineResolvers();
    if (found == resolvers_) return;
    resolvers_ = found;
    send(names::packet(names::kindResolvers, 0, resolvers_));
}

void NameServer::checkResolvers() {
    tellResolvers();
    check_ = loop_.after(resolversPause, [this] { checkResolvers(); });
}

void NameServer::allow(uint32_t sandbox, const std::vector<base::Destination>& names) {
    lists_[sandbox] = textOf(names);
    send(names::packet(names::kindAllow, sandbox, lists_[sandbox]));
}

void NameServer::forget(uint32_t sandbox) {
    if (lists_.erase(sandbox) != 0) send(names::packet(names::kindForget, sandbox, ""));
}

void NameServer::read() {
    static char buffer[maxPacket];
    // A few at a time: sandboxes ask when they like, and the launcher has other work.
    for (int turn = 0; turn < 8; ++turn) {
        const ssize_t got = ::recv(control_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (got < 0) return;
        if (got == 0) {  // it closed its end: it is ending
            watcher_.reset();
            return;
        }
        uint32_t sandbox = 0;
        const size_t head = 1 + sizeof sandbox;
        if (static_cast<size_t>(got) < head) continue;
        std::memcpy(&sandbox, buffer + 1, sizeof sandbox);
        take(buffer[0], sandbox, std::string(buffer + head, static_cast<size_t>(got) - head));
    }
}

void NameServer::take(char kind, uint32_t sandbox, const std::string& text) {
    if (kind == names::kindRefused && isPrintable(text)) return onRefused_(sandbox, text);
    if (kind != names::kindGrant) return;
    const auto parts = lines(text);
    if (parts.size() < 2 || parts.size() > 66) return;
    Grant grant;
    grant.sandbox = sandbox;
    grant.seconds = static_cast<uint32_t>(
        std::min(std::strtoul(parts[0].c_str(), nullptr, 10), 1'000'000ul));
    grant.name = parts[1];
    for (size_t i = 2; i < parts.size(); ++i)
        if (const auto address = base::parseAddress(parts[i])) grant.addresses.push_back(*address);
    send(names::packet(names::kindGranted, onGrant_(grant) ? 1 : 0, ""));
}

}  // namespace cf::sandbox
