#include "http/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "base/log.hpp"
#include "http/server_exchange.hpp"
#include "http/server_state.hpp"
#include "http/server_stream.hpp"
#include "http/traveller.hpp"

namespace cf::http {

namespace {

constexpr size_t readAheadBytes = 64 * 1024;  // of requests behind the one that is being handled
constexpr size_t askForLimitAbove = 64 * 1024;
constexpr size_t moveAbove = 64 * 1024;  // larger messages change hands instead of being copied
constexpr size_t copyBytes = 16 * 1024;  // smaller bodies are copied behind their head
constexpr size_t gatherBytes = 64 * 1024;
constexpr size_t keptOutput = 256 * 1024;
constexpr size_t smallRequest = 8 * 1024;  // passes even when all requests together hold too much

ssize_t receive(int fd, char* to, size_t room) {
    ssize_t got;
    do got = ::recv(fd, to, room, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

Refusal overloaded(size_t bytes) {
    return {
        .status = 503,
        .failure = {.reason = "overloaded",
                    .detail = "too many large requests are being sent or handled at once",
                    .hint = "send the request again in a second",
                    .limit = std::to_string(bytes) + " bytes of requests and unread answers"},
        .headers = "Retry-After: 1\r\n"};
}

}  // namespace

Connection::Connection(ServerState& server, base::UniqueFd fd, Occupancy::Seat seat)
    : server_(server), fd_(std::move(fd)), seat_(std::move(seat)) {}

Connection::~Connection() = default;

void Connection::start(const Refusal* refusal) {
    watched_ = EPOLLIN;
    server_.loop.watch(fd_.get(), watched_, this);
    server_.deadlines.set(*this, server_.loop.now() + server_.options.idleTimeout);
    if (refusal == nullptr) return;
    refuse(*refusal, {});
    settle();
}

bool Connection::idle() const {
    return mode_ == Mode::open && !busy() && !closing_ && stage_ == Stage::idle &&
           (inbox_ == nullptr || inbox_->starved);
}

void Connection::onEvents(uint32_t events) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return close();
    if ((events & EPOLLOUT) != 0) {
        flush();
        settle();
        if (const auto stream = stream_; stream && !outputPending()) stream->tellDrained();
    }
    if (mode_ != Mode::dead && (events & EPOLLIN) != 0) onReadable();
}

void Connection::onDeadline() {
    if (serial_ != 0) return;
    if (mode_ == Mode::lingering || outputPending() || stage_ == Stage::idle) return close();
    const Refusal late{
        .status = 408,
        .failure = {.reason = "request_timeout",
                    .detail = stage_ == Stage::head ? "the request's head did not arrive in time"
                                                    : "the request's body arrived too slowly",
                    .hint = "send the request again, over a faster connection"}};
    if (inbox_ == nullptr)
        refuse(late, {});
    else
        refuse(late, inbox_->parser, inbox_->buffer.data() + inbox_->begin);
    settle();
}

// Input.

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
        if (!busy() && crowded()) {
            if (buffer.size() >= smallRequest) {
                refuse(overloaded(server_.options.bufferBytes), inbox.parser, buffer.data());
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
    if (!moves && messageSize > smallRequest && crowded())
        return refuse(overloaded(server_.options.bufferBytes), parser, rest.data);
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
        exchange->counts({server_.options.occupancy, held});
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
    const auto now = server_.loop.now();
    const Stage stage = parser.headComplete() ? Stage::body
                        : parser.begun()      ? Stage::head
                                              : Stage::idle;
    if (stage == Stage::body) {
        if (stage_ != stage) {
            since_ = now;
            counted_ = 0;
        }
        server_.deadlines.set(*this, since_ + server_.options.bodyGrace + earned());
    } else if (stage == Stage::head && stage_ != stage) {
        server_.deadlines.set(*this, now + server_.options.headerTimeout);
    }
    stage_ = stage;
}

std::chrono::milliseconds Connection::earned() const {
    return std::chrono::milliseconds(counted_ * 1000 /
                                     std::max<size_t>(server_.options.minimumRate, 1));
}

// Answers.

bool Connection::takeAnswer(const ServerExchange& exchange) {
    serial_ = 0;
    exchange_.reset();
    const bool last = inputEnded_ && !moreBuffered_ && (inbox_ == nullptr || inbox_->starved);
    return exchange.keepAlive() && !server_.draining && !last;
}

void Connection::answer(const ServerExchange& exchange, int status, std::string_view headers,
                        std::initializer_list<std::string_view> body) {
    const bool keep = takeAnswer(exchange);
    if (!keep) {
        closing_ = true;
        lingers_ =
            exchange
                .keepAlive();  // a client that asked for the close sends nothing behind its request
    }
    write(status, headers, body,
          {.head = exchange.isHead(), .http10 = exchange.http10(), .keep = keep});
    settle();
}

std::shared_ptr<ServerStream> Connection::stream(const ServerExchange& exchange, int status,
                                                 std::string_view headers) {
    const bool http10 = exchange.http10();
    const bool keep = takeAnswer(exchange) && !http10;
    closesBehind_ = !keep;
    lingers_ = !keep && exchange.keepAlive();
    const auto body = exchange.isHead() || hasNoBody(status) ? ServerStream::Body::none
                      : http10                               ? ServerStream::Body::plain
                                                             : ServerStream::Body::chunks;
    const auto framing = http10 ? Framing::Kind::unknown : Framing::Kind::chunks;
    server_.responseHead.append(output_, status, headers, Framing(framing),
                                keep ? ConnectionLine::none : ConnectionLine::close);
    const auto begun = stream_ = std::make_shared<ServerStream>(*this, body);
    flush();
    settle();
    return begun;
}

void Connection::streamed(std::initializer_list<std::string_view> bytes) {
    for (const std::string_view piece : bytes) output_.append(piece.data(), piece.size());
    flush();
    if (mode_ == Mode::dead) return;
    account();
    // Nobody is told: what it does not read is what fills the memory.
    if (pendingOutput() > server_.options.streamBytes ||
        server_.options.occupancy->buffered() > server_.options.bufferBytes)
        return close();
    settle();
}

void Connection::endStream(std::string_view bytes) {
    stream_.reset();
    closing_ = closesBehind_;
    output_.append(bytes.data(), bytes.size());
    flush();
    settle();
}

void Connection::stopping() {
    if (stream_ == nullptr) return;
    closesBehind_ = lingers_ = true;
    const auto stream = stream_;
    stream->tellStopping();
}

void Connection::abandoned(const Request& request) {
    serial_ = 0;
    exchange_.reset();
    base::logError("http", "a request was dropped by its handler without an answer");
    refuse({.status = 500,
            .failure = {.reason = "internal_error",
                        .detail = "the request was dropped because of a fault in the platform"}},
           request);
    settle();
}

void Connection::refuse(const Refusal& refusal, const Request& request) {
    ++server_.counters.refused;
    closing_ = lingers_ = true;
    const Problem problem = server_.problemOf(refusal, request);
    write(refusal.status,
          "Content-Type: application/problem+json\r\n" + problem.headers + refusal.headers,
          {problem.document}, {});
}

void Connection::refuse(const Refusal& refusal, const RequestParser& parser, const char* data) {
    Request request;
    parser.describe(data, server_.headHeaders, request);
    refuse(refusal, request);
}

void Connection::write(int status, std::string_view headers,
                       std::initializer_list<std::string_view> body, Shape shape) {
    size_t bodySize = 0;
    for (const std::string_view piece : body) bodySize += piece.size();
    const ConnectionLine line = !shape.keep    ? ConnectionLine::close
                                : shape.http10 ? ConnectionLine::keepAlive
                                               : ConnectionLine::none;
    // Answers to pipelined requests leave together; so does what has to stand behind output that
    // waits already.
    const bool gather = outputPending() || (parsing_ && moreBuffered_ && shape.keep);
    Buffer& head = gather ? output_ : server_.output;
    if (!gather) head.setSize(0);
    server_.responseHead.append(head, status, headers, bodySize, line);
    const bool bodyless = shape.head || hasNoBody(status);
    if (!gather) return bodyless ? sendNow(head, {}, 0) : sendNow(head, body, bodySize);
    if (!bodyless)
        for (const std::string_view piece : body) output_.append(piece.data(), piece.size());
    if (!parsing_ || output_.size() - written_ > gatherBytes) flush();
}

void Connection::sendNow(Buffer& head, std::initializer_list<std::string_view> body,
                         size_t bodySize) {
    constexpr size_t mostParts = 16;
    iovec parts[mostParts];
    size_t count = 1;
    // Copying a few kilobytes is cheaper than describing them to Linux in pieces.
    if (bodySize <= copyBytes || body.size() >= mostParts) {
        for (const std::string_view piece : body) head.append(piece.data(), piece.size());
    } else {
        for (const std::string_view piece : body)
            parts[count++] = {const_cast<char*>(piece.data()), piece.size()};
    }
    parts[0] = {head.data(), head.size()};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    ssize_t put;
    do
        put = count == 1 ? ::send(fd_.get(), head.data(), head.size(), MSG_NOSIGNAL)
                         : ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0 && errno != EAGAIN) return close();
    size_t taken = put < 0 ? 0 : static_cast<size_t>(put);
    for (size_t i = 0; i < count; ++i) {
        const size_t skip = std::min(taken, parts[i].iov_len);
        taken -= skip;
        output_.append(static_cast<const char*>(parts[i].iov_base) + skip, parts[i].iov_len - skip);
    }
    if (head.capacity() > keptOutput) head.release();
    if (!outputPending()) return;
    account();
    // Nobody is told: the answer that the client does not read is what fills the memory.
    if (server_.options.occupancy->buffered() > server_.options.bufferBytes) return close();
    blocked();
}

void Connection::flush() {
    if (mode_ == Mode::dead || !outputPending()) return;
    while (outputPending()) {
        const ssize_t put =
            ::send(fd_.get(), output_.data() + written_, output_.size() - written_, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && errno == EAGAIN) return blocked();
        if (put < 0) return close();
        written_ += static_cast<size_t>(put);
        counted_ += static_cast<size_t>(put);
    }
    output_.release();
    written_ = 0;
    blocked_ = false;
}

void Connection::blocked() {
    if (!blocked_) {
        since_ = server_.loop.now();
        counted_ = 0;
    }
    blocked_ = true;
    server_.deadlines.set(*this, since_ + server_.options.writeGrace + earned());
}

void Connection::account() {
    const size_t bytes = output_.capacity() + (inbox_ == nullptr ? 0 : inbox_->buffer.capacity());
    server_.options.occupancy->changeBuffered(accounted_, bytes);
    accounted_ = bytes;
}

bool Connection::crowded() const {
    const Occupancy& all = *server_.options.occupancy;
    return all.buffered() - accounted_ + all.handled() > server_.options.bufferBytes;
}

void Connection::settle() {
    if (mode_ != Mode::open || parsing_) return;
    if (leaving_ != nullptr) return depart();
    account();
    const uint32_t input = inputEnded_ ? 0 : uint32_t{EPOLLIN};
    if (blocked_) return watchFor((watched_ & EPOLLIN) | EPOLLOUT);
    if (closing_) return lingers_ && !inputEnded_ ? linger() : close();
    if (serial_ != 0) return;
    if (stream_ != nullptr) {
        server_.deadlines.clear(*this);  // of pending output that is gone
        return watchFor(watched_ & EPOLLIN);
    }
    const bool starved = inbox_ == nullptr || inbox_->starved;
    if (inputEnded_ && starved) return close();
    watchFor(input);
    if (stage_ == Stage::idle)
        server_.deadlines.set(*this, server_.loop.now() + server_.options.idleTimeout);
    if (!starved) server_.resumeLater(*this);
}

// To another server.

void Connection::moveTo(ServerState& home, std::shared_ptr<ServerExchange> exchange) {
    leaving_.reset(new Traveller{home, std::move(exchange)});
    settle();
}

void Connection::depart() {
    const std::shared_ptr<Traveller> traveller = std::move(leaving_);
    leave();
    exchange_.reset();
    --server_.counters.requests;  // its new home counts it
    if (inbox_ != nullptr) {
        if (inbox_->begin == 0)
            traveller->input = std::move(inbox_->buffer);
        else
            traveller->input.append(inbox_->buffer.data() + inbox_->begin, inbox_->size());
    }
    traveller->output.append(output_.data() + written_, pendingOutput());
    traveller->inputEnded = inputEnded_;
    traveller->fd = std::move(fd_);
    traveller->seat = std::move(seat_);
    server_.retire(*this);
    traveller->home.receive(traveller);
}

void Connection::arrive(Traveller& traveller) {
    inputEnded_ = traveller.inputEnded;
    watched_ = inputEnded_ ? 0 : uint32_t{EPOLLIN};
    server_.loop.watch(fd_.get(), watched_, this);
    if (traveller.input.size() > 0) {
        server_.parser.reset();
        inbox_ = std::make_unique<Inbox>(server_.parser);
        inbox_->buffer = std::move(traveller.input);
    }
    output_ = std::move(traveller.output);
    serial_ = server_.nextSerial++;
    ++server_.counters.requests;
    auto exchange = std::move(traveller.exchange);
    exchange->arrive(server_.pool, serial_, *this);
    exchange_ = exchange;
    flush();
    if (mode_ == Mode::dead) return;
    account();
    hand(std::move(exchange));
    settle();
}

// The end.

void Connection::leave() {
    mode_ = Mode::dead;
    serial_ = 0;
    server_.options.occupancy->changeBuffered(std::exchange(accounted_, 0), 0);
    server_.loop.unwatch(fd_.get(), this);
    server_.deadlines.remove(*this);
}

void Connection::linger() {
    ::shutdown(fd_.get(), SHUT_WR);
    mode_ = Mode::lingering;
    inbox_.reset();
    account();
    counted_ = 0;
    watchFor(EPOLLIN);
    server_.deadlines.set(*this, server_.loop.now() + server_.options.lingerTimeout);
}

void Connection::close() {
    if (mode_ == Mode::dead) return;
    leave();
    fd_.reset();
    seat_.release();
    server_.retire(*this);
    leaving_.reset();
    if (const auto stream = std::exchange(stream_, nullptr))
        if (const auto closed = stream->detach()) closed();
    const auto exchange = exchange_.lock();
    if (exchange == nullptr) return;
    if (const auto gone = exchange->detach()) gone();
}

void Connection::watchFor(uint32_t events) {
    if (events == watched_ || mode_ == Mode::dead) return;
    watched_ = events;
    server_.loop.rewatch(fd_.get(), events, this);
}

}  // namespace cf::http
