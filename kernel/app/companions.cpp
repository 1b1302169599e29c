#include "app/companions.hpp"

#include <Poco/URI.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/unique_fd.hpp"

namespace cf::app {

namespace {

using Moment = std::chrono::steady_clock::time_point;

constexpr auto askInterval = std::chrono::seconds(3);
constexpr auto answerPatience = std::chrono::seconds(2);  // for one of them, from connecting to its status line
constexpr size_t statusLineBytes = 256;

struct Companion {
    std::string name;
    std::string host, port;
    std::string request;
};

Companion companion(const std::string& name, const std::string& url) {
    const Poco::URI uri(url);
    const std::string host = uri.getHost().find(':') == std::string::npos ? uri.getHost() : "[" + uri.getHost() + "]";
    std::string target = uri.getPathAndQuery();
    if (target.empty() || target[0] != '/') target.insert(0, "/");
    const std::string port = std::to_string(uri.getPort());
    return {name, uri.getHost(), port,
            "GET " + target + " HTTP/1.1\r\nHost: " + host + (uri.getPort() == 80 ? "" : ":" + port) + "\r\nUser-Agent: CloudFunction\r\nConnection: close\r\n\r\n"};
}

// HTTP/1.x, a status below 500.
bool isWell(const std::string& line) {
    return line.size() >= 12 && line.starts_with("HTTP/1.") && line[8] == ' ' && line[9] >= '1' && line[9] < '5' && std::isdigit(static_cast<unsigned char>(line[10])) &&
           std::isdigit(static_cast<unsigned char>(line[11]));
}

}  // namespace

struct Companions::State {
    std::vector<Companion> companions{};
    base::UniqueFd stopping{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    std::atomic<bool> stopped{false};
    std::mutex mutex{};  // of what follows; held for moments only
    std::vector<std::pair<std::string, std::string>> states{};
    bool over = false;
    std::condition_variable changed{};

    // False when `until` is there before `events`, or it is all to stop. Without `fd` it only waits.
    bool wait(int fd, short events, Moment until) {
        while (!stopped) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
            if (left <= 0) return false;
            pollfd fds[] = {{stopping.get(), POLLIN, 0}, {fd, events, 0}};
            const int ready = ::poll(fds, fd < 0 ? 1 : 2, static_cast<int>(left));
            if (ready > 0 && fds[1].revents != 0 && fd >= 0) return true;
            if (ready < 0 && errno != EINTR) return false;
        }
        return false;
    }

    bool connect(int fd, const addrinfo& address, Moment until) {
        if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) return true;
        int error = errno;
        socklen_t size = sizeof error;
        return error == EINPROGRESS && wait(fd, POLLOUT, until) && ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
    }

    bool answersAt(const addrinfo& address, const Companion& asked, Moment until) {
        const base::UniqueFd fd(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol));
        if (!fd || !connect(fd.get(), address, until)) return false;
        // An empty buffer of a new connection takes it at once.
        if (::send(fd.get(), asked.request.data(), asked.request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(asked.request.size())) return false;
        std::string line;
        while (line.size() < statusLineBytes && line.find('\n') == std::string::npos) {
            char bytes[statusLineBytes];
            if (!wait(fd.get(), POLLIN, until)) return false;
            const ssize_t got = ::recv(fd.get(), bytes, sizeof bytes, 0);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) break;
            line.append(bytes, static_cast<size_t>(std::max<ssize_t>(got, 0)));
        }
        return isWell(line);
    }

    bool answers(const Companion& asked) {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        if (::getaddrinfo(asked.host.c_str(), asked.port.c_str(), &hints, &found) != 0) return false;
        const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, ::freeaddrinfo);
        const Moment until = std::chrono::steady_clock::now() + answerPatience;
        for (const addrinfo* address = found; address != nullptr && !stopped; address = address->ai_next)
            if (answersAt(*address, asked, until)) return true;
        return false;
    }

    void run() {
        while (!stopped) {
            for (size_t i = 0; i < companions.size() && !stopped; ++i) {
                const bool well = answers(companions[i]);
                const std::lock_guard lock(mutex);
                if (!stopped) states[i].second = well ? "running" : "unreachable";
            }
            wait(-1, 0, std::chrono::steady_clock::now() + askInterval);
        }
        const std::lock_guard lock(mutex);
        over = true;
        changed.notify_all();
    }
};

Companions::Companions(const std::map<std::string, std::string>& urls) : state_(std::make_shared<State>()) {
    for (const auto& [name, url] : urls) {
        state_->companions.push_back(companion(name, url));
        state_->states.emplace_back(name, "unknown");
    }
}

Companions::~Companions() { stop(); }

void Companions::start() {
    if (!state_->companions.empty() && !thread_.joinable()) thread_ = std::thread([state = state_] { state->run(); });
}

void Companions::stop() {
    if (!thread_.joinable()) return;
    state_->stopped = true;
    ::eventfd_write(state_->stopping.get(), 1);
    std::unique_lock lock(state_->mutex);
    const bool over = state_->changed.wait_for(lock, std::chrono::milliseconds(200), [this] { return state_->over; });
    lock.unlock();
    if (over) thread_.join();
    else thread_.detach();
}

std::vector<std::pair<std::string, std::string>> Companions::states() const {
    const std::lock_guard lock(state_->mutex);
    return state_->states;
}

}  // namespace cf::app
