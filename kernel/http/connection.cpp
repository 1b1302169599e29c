#include "http/connection.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.hpp"
#include "http/server_exchange.hpp"
#include "http/server_state.hpp"
#include "http/server_stream.hpp"
#include "http/traveller.hpp"

namespace cf::http {

namespace {

constexpr size_t copyBytes = 16 * 1024;  // smaller bodies are copied behind their head
constexpr size_t gatherBytes = 64 * 1024;
constexpr size_t keptOutput = 256 * 1024;

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
    // Nobody is told: it does not read.
    if (pendingOutput() > server_.options.streamBytes) return close();
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
    if (outputPending()) blocked();
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
    grant(!blocked_, server_.options.writeGrace);
    blocked_ = true;
}

void Connection::grant(bool begins, std::chrono::milliseconds grace) {
    const auto now = server_.loop.now();
    if (begins) {
        since_ = now;
        due_ = now + grace;
    } else {
        const std::chrono::nanoseconds earned(
            std::nano::den * static_cast<intmax_t>(counted_) /
            static_cast<intmax_t>(std::max<size_t>(server_.options.minimumRate, 1)));
        due_ = std::min(due_ + earned, now + grace);
    }
    counted_ = 0;
    server_.deadlines.set(*this, due_);
}

void Connection::account() {
    const size_t bytes = output_.capacity() + (inbox_ == nullptr ? 0 : inbox_->buffer.capacity());
    seat_.changeBuffered(accounted_, bytes);
    accounted_ = bytes;
}

Occupancy::Load Connection::load(size_t bytes) const { return seat_.load(bytes); }

Connection::Crowd Connection::crowd() const {
    const Occupancy& all = *server_.options.occupancy;
    if (all.buffered() - accounted_ + all.handled() > server_.options.bufferBytes)
        return Crowd::all;
    const size_t ofAddress = seat_.bytesOfAddress();
    return ofAddress > accounted_ && ofAddress - accounted_ > server_.options.addressBytes
               ? Crowd::address
               : Crowd::none;
}

void Connection::settle() {
    if (mode_ != Mode::open || parsing_) return;
    if (leaving_ != nullptr) return depart();
    account();
    const uint32_t input = inputEnded_ ? 0 : uint32_t{EPOLLIN};
    if (blocked_) {
        server_.makeRoom();
        return watchFor((watched_ & EPOLLIN) | EPOLLOUT);
    }
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
    seat_.changeBuffered(std::exchange(accounted_, 0), 0);
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
