// Requests at a constant rate, whatever the answers do. Used by open_loop.py; wrk cannot do it: its connections wait for
// their answers, so that a slow server is asked less and its worst moments are hardly sampled (coordinated omission).
//
//   open_loop PORT PATH RATE SECONDS CONNECTIONS WARM_UP_SECONDS BODY
//
// Latency counts from the moment a request was due, also where it had to wait for a free connection. `late` says how far
// behind its own plan the generator was while a connection was free: noise that is not the server's.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

using Nanoseconds = std::int64_t;

struct Connection {
    int fd = -1;
    bool busy = false;
    Nanoseconds due = 0;
    std::string in;
};

Nanoseconds now() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

double microseconds(std::vector<Nanoseconds>& sorted, double share) {
    if (sorted.empty()) return 0;
    const auto at = std::min(sorted.size() - 1, static_cast<std::size_t>(share * static_cast<double>(sorted.size())));
    return static_cast<double>(sorted[at]) / 1000;
}

int connectTo(int port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        std::perror("connect");
        std::exit(1);
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

// 0: not complete yet; else the status.
int answerStatus(const std::string& in) {
    const std::size_t head = in.find("\r\n\r\n");
    if (head == std::string::npos) return 0;
    const char* length = strcasestr(in.c_str(), "\r\ncontent-length:");
    if (length == nullptr || length > in.c_str() + head) return -1;
    if (in.size() < head + 4 + std::strtoul(length + 17, nullptr, 10)) return 0;
    return std::atoi(in.c_str() + 9);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 8) return std::fprintf(stderr, "usage: open_loop PORT PATH RATE SECONDS CONNECTIONS WARM_UP BODY\n"), 2;
    const int port = std::atoi(argv[1]);
    const double rate = std::atof(argv[3]), seconds = std::atof(argv[4]), warmUp = std::atof(argv[6]);
    const std::string body = argv[7];
    const std::string request = std::string("POST ") + argv[2] + " HTTP/1.1\r\nHost: 127.0.0.1:" + argv[1] +
                                "\r\nContent-Type: application/json\r\nContent-Length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + body;

    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    std::vector<Connection> connections(static_cast<std::size_t>(std::atoi(argv[5])));
    std::vector<Connection*> idle;
    for (Connection& c : connections) {
        c.fd = connectTo(port);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &c;
        epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event);
        idle.push_back(&c);
    }

    const Nanoseconds begin = now();
    const Nanoseconds measured = begin + static_cast<Nanoseconds>(warmUp * 1e9);
    const auto planned = static_cast<std::uint64_t>(rate * (warmUp + seconds));
    const Nanoseconds giveUp = measured + static_cast<Nanoseconds>((seconds + 5) * 1e9);
    const auto dueTime = [&](std::uint64_t i) {
        return begin + static_cast<Nanoseconds>(static_cast<double>(i) * 1e9 / rate);
    };
    std::vector<Nanoseconds> latencies, late;
    std::uint64_t sent = 0, answered = 0, errors = 0;
    Nanoseconds last = begin;
    bool waited = false;
    static char buffer[1 << 16];
    epoll_event events[256];
    while (answered + errors < planned && now() < giveUp) {
        for (Nanoseconds t = now(); sent < planned && dueTime(sent) <= t; ++sent) {
            if (idle.empty()) {
                waited = true;
                break;
            }
            Connection& c = *idle.back();
            idle.pop_back();
            c.busy = true;
            c.due = dueTime(sent);
            if (!waited && c.due >= measured) late.push_back(now() - c.due);
            if (write(c.fd, request.data(), request.size()) != static_cast<ssize_t>(request.size())) {
                std::perror("write");
                return 1;
            }
        }
        if (sent == planned || dueTime(sent) > now()) waited = false;
        const Nanoseconds wait = idle.empty() || sent == planned
                                     ? 100'000'000
                                     : std::max<Nanoseconds>(0, dueTime(sent) - now());
        const timespec timeout{wait / 1'000'000'000, wait % 1'000'000'000};
        const int n = epoll_pwait2(epoll, events, 256, &timeout, nullptr);
        for (int i = 0; i < n; ++i) {
            auto& c = *static_cast<Connection*>(events[i].data.ptr);
            const ssize_t got = read(c.fd, buffer, sizeof buffer);
            if (got <= 0) return std::fprintf(stderr, "the server closed a connection\n"), 1;
            c.in.append(buffer, static_cast<std::size_t>(got));
            const int status = answerStatus(c.in);
            if (status == 0) continue;
            last = now();
            if (status == 200) {
                ++answered;
                if (c.due >= measured) latencies.push_back(last - c.due);
            } else {
                ++errors;
            }
            c.in.clear();
            c.busy = false;
            idle.push_back(&c);
        }
    }
    errors += planned - answered - errors;
    std::sort(latencies.begin(), latencies.end());
    std::sort(late.begin(), late.end());
    std::printf("{\"requests\":%zu,\"per_second\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,"
                "\"max\":%.1f,\"late_p50\":%.1f,\"late_p99\":%.1f,\"errors\":%llu}\n",
                latencies.size(), static_cast<double>(latencies.size()) * 1e9 / static_cast<double>(last - measured),
                microseconds(latencies, 0.5), microseconds(latencies, 0.9), microseconds(latencies, 0.99),
                microseconds(latencies, 0.999), microseconds(latencies, 1), microseconds(late, 0.5),
                microseconds(late, 0.99), static_cast<unsigned long long>(errors));
    return 0;
}
