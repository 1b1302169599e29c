// What a connection reads: bytes, requests among them, and what waits behind the one that is being
// handled.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "base/log.hpp"
#include "http/connection.hpp"
#include "http/server_exchange.hpp"
#include "http/server_state.hpp"

namespace cf::http {

namespace {

constexpr size_t readAheadBytes = 64 * 1024;  // of requests behind the one that is being handled
constexpr size_t askForLimitAbove = 64 * 1024;
constexpr size_t moveAbove = 64 * 1024;    // larger messages change hands instead of being copied
constexpr size_t smallRequest = 8 * 1024;  // passes even when all requests together hold too much

ssize_t receive(int fd, char* to, size_t room) {
    ssize_t got;
    do got = ::recv(fd, to, room, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

}  // namespace

Refusal Connection::overloaded(Crowd crowd) const {
    const bool isOfAddress = crowd == Crowd::address;
    return {
        .status = 503,
        .failure = {.reason = "overloaded",
                    .detail =
                        isOfAddress
                            ? "too many large requests of this address are being sent or handled"
                            : "too many large requests are being sent or handled at once",
                    .hint = "send the request again in a second",
                    .limit = std::to_string(isOfAddress ? server_.options.addressBytes
                                                        : server_.options.bufferBytes) +
                             " bytes of requests and unread answers"},
        .headers = "Retry-After: 1\r\n"};
}

void Connection::onReadable() {
    if (mode_ == Mode::lingering) return discard();
    if (busy() || closing_) return readAhead();
    if (inbox_ != nullptr) {
        readInto(*inbox_);
        if (mode_ != Mode::dead) resume();
        return;
    }
    const ssize_t got = receive(fd_.get(), server_.readBuffer.get(), ServerState::readSize);
    if (got > 0) return consume({server_.readBuffer.get(), static_cast<size_t>(got)}, nullptr);
    if (got == 0) return endOfInput();
    if (errno != EAGAIN) close();
}

void Connection::readInto(Inbox& inbox) {
    Buffer& buffer = inbox.buffer;
    if (inbox.begin > 0) {
        std::memmove(buffer.data(), buffer.data() + inbox.begin, inbox.size());
        buffer.setSize(inbox.size());
        inbox.begin = 0;
    }
    // Room for what the client announced, but never much more than it has sent: memory follows
    // bytes, not promises.
    size_t want = buffer.size() + 16 * 1024;
    if (inbox.parser.headComplete() && inbox.parser.contentLength() > 0)
        want = std::min<size_t>(std::max(2 * buffer.size(), want),
                                inbox.parser.messageSize() + inbox.parser.contentLength());
    if (buffer.room() == 0 || (buffer.room() < 4 * 1024 && buffer.capacity() < want)) {
        if (const Crowd present = busy() ? Crowd::none : crowd(); present != Crowd::none) {
            if (buffer.size() >= smallRequest) {
                refuse(overloaded(present), inbox.parser, buffer.data());
                return settle();
            }
            want = smallRequest;
        }
        buffer.reserve(std::max(want, buffer.size() + 4 * 1024));
        account();
    }
    const ssize_t got = receive(fd_.get(), buffer.data() + buffer.size(), buffer.room());
    if (got > 0) {
        buffer.setSize(buffer.size() + static_cast<size_t>(got));
        if (stage_ == Stage::body) counted_ += static_cast<size_t>(got);
    } else if (got == 0) {
        endOfInput();
    } else if (errno != EAGAIN) {
        close();
    }
}

void Connection::readAhead() {
    if (inbox_ == nullptr) {
        server_.parser.reset();
        inbox_ = std::make_unique<Inbox>(server_.parser);
    }
    if (inbox_->size() >= readAheadBytes) return watchFor(watched_ & ~uint32_t{EPOLLIN});
    readInto(*inbox_);
}

void Connection::discard() {
    const ssize_t got = receive(fd_.get(), server_.readBuffer.get(), ServerState::readSize);
    if (got > 0) counted_ += static_cast<size_t>(got);
    if (got == 0 || (got < 0 && errno != EAGAIN) || counted_ > server_.options.lingerBytes) close();
}

void Connection::endOfInput() {
    // Whole requests may stand here that were not handed over yet.
    if (!busy() && (inbox_ == nullptr || inbox_->starved)) return close();
    inputEnded_ = true;
    watchFor(watched_ & ~uint32_t{EPOLLIN});
    const int on = 1, seconds = 15, probes = 4;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    // Who sent further requests behind this one ended their row, and says nothing about this one.
    if (inbox_ != nullptr && inbox_->size() > 0) return;
    if (const auto exchange = exchange_.lock())
        if (const auto ended = exchange->inputEnded()) ended();
}

void Connection::resume() {
    if (mode_ != Mode::open || busy() || closing_ || inbox_ == nullptr) return;
    consume({inbox_->buffer.data() + inbox_->begin, inbox_->size()}, inbox_.get());
}

// Requests.

void Connection::consume(Rest rest, Inbox* inbox) {
    RequestParser& parser = inbox != nullptr ? inbox->parser : server_.parser;
    if (inbox == nullptr) parser.reset();
    bool starved = false;
    parsing_ = true;
    while (rest.size > 0 && mode_ == Mode::open && !closing_ && !busy()) {
        RequestParser::State state = parser.parse(rest.data, rest.size);
        if (state == RequestParser::State::head) state = announceBody(parser, rest.data, rest.size);
        if (state == RequestParser::State::complete) {
            dispatch(parser, rest, inbox);
            parser.reset();
            continue;
        }
        if (state == RequestParser::State::failed)
            refuse(parser.refusal(), parser, rest.data);
        else
            awaitMore(parser);
        starved = state == RequestParser::State::needMore;
        break;
    }
    parsing_ = false;
    if (mode_ == Mode::dead) return;
    keepRest(rest, inbox, starved);
    flush();
    settle();
}

RequestParser::State Connection::announceBody(RequestParser& parser, char* message, size_t& size) {
    const auto& options = server_.options;
    if (options.bodyLimit && (parser.chunked() || parser.contentLength() > askForLimitAbove)) {
        Request head;
        parser.describe(message, server_.headHeaders, head);
        head.peer = seat_.peer();
        parser.setBodyLimit(options.bodyLimit(head));
    }
    // A client that sent part of the body already does not wait for leave.
    const bool waits = parser.expectsContinue() && size == parser.messageSize();
    const RequestParser::State state = parser.parse(message, size);
    if (waits && state == RequestParser::State::needMore) {
        constexpr std::string_view interim = "HTTP/1.1 100 Continue\r\n\r\n";
        output_.append(interim.data(), interim.size());
    }
    return state;
}

void Connection::dispatch(const RequestParser& parser, Rest& rest, Inbox* inbox) {
    const size_t messageSize = parser.messageSize(), consumed = parser.consumed();
    const bool moves = inbox != nullptr && messageSize > moveAbove;
    // What moves was let in while it was read.
    if (const Crowd present = moves || messageSize <= smallRequest ? Crowd::none : crowd();
        present != Crowd::none)
        return refuse(overloaded(present), parser, rest.data);
    const Rest behind{rest.data + consumed, rest.size - consumed};
    ExchangeStorage storage = server_.pool->take();
    const char* base = nullptr;
    if (moves) {
        Buffer tail;
        tail.append(behind.data, behind.size);
        base = rest.data;
        storage.bytes = std::exchange(inbox->buffer, std::move(tail));
        rest = {inbox->buffer.data(), inbox->buffer.size()};
    } else {
        storage.bytes.reserve(std::max<size_t>(messageSize, 2048));
        storage.bytes.append(rest.data, messageSize);
        base = storage.bytes.data();
        rest = behind;
    }
    moreBuffered_ = rest.size > 0;
    stage_ = Stage::idle;
    serial_ = server_.nextSerial++;
    ++server_.counters.requests;
    server_.deadlines.clear(*this);
    const size_t held = storage.bytes.capacity();
    auto exchange =
        std::allocate_shared<ServerExchange>(PoolAllocator<ServerExchange>(server_.pool),
                                             server_.pool, serial_, *this, std::move(storage));
    exchange->describe(parser, base, seat_.peer());
    if (held > smallRequest) {
        account();  // without what moved: it would count twice
        exchange->counts(load(held));
    }
    exchange_ = exchange;
    hand(std::move(exchange));
}

void Connection::hand(std::shared_ptr<ServerExchange> exchange) {
    try {
        server_.handler(std::move(exchange));
    } catch (const std::exception& error) {
        base::logError("http", std::string("a request's handler failed: ") + error.what());
    }
}

void Connection::keepRest(Rest rest, Inbox* inbox, bool starved) {
    if (closing_) {
        lingers_ |= rest.size > 0;
        return;
    }
    if (rest.size == 0) return inbox_.reset();
    if (inbox == nullptr) {
        inbox_ = std::make_unique<Inbox>(server_.parser);
        inbox_->buffer.append(rest.data, rest.size);
    } else {
        inbox->begin = static_cast<size_t>(rest.data - inbox->buffer.data());
        inbox->buffer.setSize(inbox->begin + rest.size);
    }
    inbox_->starved = starved;
}

void Connection::awaitMore(const RequestParser& parser) {
    const Stage stage = parser.headComplete() ? Stage::body
                        : parser.begun()      ? Stage::head
                                              : Stage::idle;
    if (stage == Stage::body) {
        grant(stage_ != stage, server_.options.bodyGrace);
    } else if (stage == Stage::head && stage_ != stage) {
        server_.deadlines.set(*this, server_.loop.now() + server_.options.headerTimeout);
    }
    stage_ = stage;
}

}  // namespace cf::http
