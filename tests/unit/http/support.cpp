#include "support.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "http/ascii.hpp"

namespace cf::http {

std::string Parsed::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (equalsIgnoringCase(key, name)) return value;
    return {};
}

ParseOutcome parseStream(std::string_view stream, size_t piece, const ParserLimits& limits) {
    ParseOutcome outcome;
    RequestParser parser(limits);
    std::vector<Header> headers;
    std::string buffer;
    size_t fed = 0;
    const auto feed = [&] {
        const size_t count = std::min(piece == 0 ? stream.size() : piece, stream.size() - fed);
        buffer.append(stream.substr(fed, count));
        fed += count;
        return count > 0;
    };
    while (feed()) {
        while (!buffer.empty()) {
            size_t size = buffer.size();
            auto state = parser.parse(buffer.data(), size);
            if (state == RequestParser::State::head) state = parser.parse(buffer.data(), size);
            buffer.resize(size);
            if (state == RequestParser::State::failed) {
                outcome.status = parser.refusal().status;
                outcome.detail = parser.refusal().failure.detail;
                return outcome;
            }
            if (state == RequestParser::State::needMore) break;
            Request request;
            parser.describe(buffer.data(), headers, request);
            Parsed parsed{std::string(request.method), std::string(request.target),
                          std::string(request.path),   std::string(request.query),
                          std::string(request.body),   {},
                          parser.keepAlive()};
            for (const Header& field : request.headers)
                parsed.headers.emplace_back(field.name, field.value);
            outcome.requests.push_back(std::move(parsed));
            buffer.erase(0, parser.consumed());
            parser.reset();
            if (!outcome.requests.back().keepAlive) {
                outcome.ignored = !buffer.empty() || fed < stream.size();
                return outcome;
            }
        }
    }
    outcome.incomplete = !buffer.empty();
    return outcome;
}

Client::Client(uint16_t port, int receiveBuffer)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (receiveBuffer > 0)
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, sizeof receiveBuffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CPPUNIT_ASSERT_EQUAL(0, ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address));
}

Client::~Client() {
    if (fd_ >= 0) ::close(fd_);
}

bool Client::trySend(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (put <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(put));
    }
    return true;
}

Client& Client::send(std::string_view bytes) {
    CPPUNIT_ASSERT_MESSAGE("the server did not take the request", trySend(bytes));
    return *this;
}

void Client::endOfInput() { ::shutdown(fd_, SHUT_WR); }

void Client::reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    ::close(std::exchange(fd_, -1));
}

bool Client::fill() {
    char bytes[65536];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got < 0 && errno == ECONNRESET) return buffer_ += "<reset>", false;
    CPPUNIT_ASSERT_MESSAGE("the server neither answered nor closed", got >= 0);
    if (got == 0) return false;
    buffer_.append(bytes, static_cast<size_t>(got));
    return true;
}

std::string Client::readAll() {
    while (fill()) {
    }
    return std::exchange(buffer_, {});
}

std::string Client::read(size_t bytes) {
    while (buffer_.size() < bytes && fill()) {
    }
    const std::string taken = buffer_.substr(0, bytes);
    buffer_.erase(0, taken.size());
    return taken;
}

std::string Client::readAnswer(bool head) {
    size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
        if (!fill()) return std::exchange(buffer_, {});
    const std::string top = buffer_.substr(0, end + 4);
    const size_t at = top.find("Content-Length: ");
    const size_t body =
        at == std::string::npos || head ? 0 : std::strtoul(top.c_str() + at + 16, nullptr, 10);
    return read(top.size() + body);
}

bool Client::closed() { return readAll().empty(); }

bool Client::silentFor(std::chrono::milliseconds time) {
    pollfd waiting{fd_, POLLIN, 0};
    return buffer_.empty() && ::poll(&waiting, 1, static_cast<int>(time.count())) == 0;
}

RunningServer::RunningServer(Handler handler, ServerOptions options) {
    server = std::make_unique<Server>(loop, std::move(options), std::move(handler));
    const auto port = server->listen(Poco::Net::SocketAddress("127.0.0.1", 0));
    CPPUNIT_ASSERT(port);
    port_ = *port;
    thread_ = std::thread([this] { loop.run(); });
}

RunningServer::~RunningServer() {
    loop.stop();
    thread_.join();
}

std::string RunningServer::ask(std::string_view bytes) const {
    Client client = connect();
    client.send(bytes);
    client.endOfInput();
    return client.readAll();
}

void RunningServer::onLoop(std::function<void()> task) {
    std::promise<void> done;
    loop.post([&] {
        task();
        done.set_value();
    });
    done.get_future().get();
}

Counters RunningServer::counters() {
    Counters counters;
    onLoop([&] { counters = server->counters(); });
    return counters;
}

void echo(std::shared_ptr<Exchange> exchange) {
    const Request& request = exchange->request();
    exchange->respond(200, "Content-Type: text/plain\r\n",
                      {request.method, " ", request.target, " ", request.body});
}

int statusOf(std::string_view answer) {
    return answer.starts_with("HTTP/1.1 ") ? std::atoi(std::string(answer.substr(9, 3)).c_str())
                                           : 0;
}

std::string bodyOf(std::string_view answer) {
    const size_t end = answer.find("\r\n\r\n");
    return end == std::string_view::npos ? "" : std::string(answer.substr(end + 4));
}

size_t count(std::string_view text, std::string_view part) {
    size_t found = 0;
    for (size_t at = text.find(part); at != std::string_view::npos;
         at = text.find(part, at + part.size()))
        ++found;
    return found;
}

bool eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 1000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

}  // namespace cf::http
