// One client's connection: reads requests one after the other, hands each over, writes its answer,
// keeps its deadlines. Internal to http/. Loop thread only.
//
// Life: reading -> handling (an exchange is out) -> reading -> ... -> lingering (told the client
// that it is over, throws its leftovers away so that the last answer is not lost to a reset) ->
// dead. An answer that is a stream keeps the connection in the middle of it until its writer ends
// it. Output that the socket did not take keeps the connection from reading the next request.
//
// A request that belongs to another loop takes its connection along: the socket, the request as it
// was read, the bytes behind it and output in front of it go to that loop's server, where a new
// Connection goes on with them; nothing is parsed twice, and answers stay in the order of requests.
//
// When is a client gone? A FIN says only that it will send no more: `nc`, `shutdown(SHUT_WR)` and
// some libraries do so and still wait for their answer, and a client that closed looks the same
// until something is sent to it. For the connection gone is what Linux reports as EPOLLHUP or
// EPOLLERR: a reset, or a failed write. The end of input is told to the request that is being
// handled, unless others stand behind it, whose end it is; its handler decides what that means
// (docs/decisions/clients-that-close.md). The answer is tried in any case. A client that closed is
// found out by keep-alive probes, which are switched on when its FIN arrives while an answer is
// being made: its system forgets the socket within a minute or so, then answers with a reset.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"
#include "http/buffer.hpp"
#include "http/deadlines.hpp"
#include "http/exchange_pool.hpp"
#include "http/occupancy.hpp"
#include "http/parser.hpp"

namespace cf::http {

class ServerExchange;
class ServerStream;
struct Traveller;
struct ServerState;

class Connection final : public base::Watcher, public DeadlineEntry {
public:
    Connection(ServerState& server, base::UniqueFd fd, Occupancy::Seat seat);
    ~Connection() override;

    // Begins to serve; with a refusal it tells that and leaves.
    void start(const Refusal* refusal);
    // The same for one that another server sent: goes on there where it stopped here.
    void arrive(Traveller& traveller);
    void onEvents(uint32_t events) override;
    void onDeadline() override;

    // Parses what is buffered and hands over what is whole.
    void resume();
    // From the exchange: memory that counts for its request.
    Occupancy::Load load(size_t bytes) const;
    // The same: its one answer.
    void answer(const ServerExchange& exchange, int status, std::string_view headers,
                std::initializer_list<std::string_view> body);
    // The same, with a body that comes later.
    std::shared_ptr<ServerStream> stream(const ServerExchange& exchange, int status,
                                         std::string_view headers);
    // The same, instead of an answer: leaves for another server as soon as nothing of this
    // connection is on the stack, and takes the exchange along.
    void moveTo(ServerState& home, std::shared_ptr<ServerExchange> exchange);
    // From the stream: the next bytes as they are to be sent; the last ones.
    void streamed(std::initializer_list<std::string_view> bytes);
    void endStream(std::string_view bytes);
    size_t pendingOutput() const { return output_.size() - written_; }
    // The server stops: tells the stream, if there is one.
    void stopping();
    // The exchange died without one; its request, where that is still there.
    void abandoned(const Request& request);
    // No request is being handled, read or answered.
    bool idle() const;
    bool dead() const { return mode_ == Mode::dead; }
    // Its client does not read as fast as it is answered, since then.
    bool hasUnread() const { return blocked_; }
    std::chrono::steady_clock::time_point since() const { return since_; }
    // At once; tells the exchange that is out.
    void close();

    // Serial of the exchange that is out; 0 without one.
    uint64_t serial() const { return serial_; }

    // The server's notes.
    size_t index = 0;            // in its list
    bool waitsToResume = false;  // stands in its list of connections to resume

private:
    enum class Mode : uint8_t { open, lingering, dead };
    enum class Stage : uint8_t { idle, head, body };
    enum class Crowd : uint8_t { none, all, address };

    // Bytes that could not be parsed at once, from `begin` on, and how far the parser came. Idle
    // connections have none.
    struct Inbox {
        Buffer buffer{};
        size_t begin = 0;
        bool starved = false;  // the parser wants more than there is
        RequestParser parser;
        explicit Inbox(const RequestParser& state) : parser(state) {}
        size_t size() const { return buffer.size() - begin; }
    };

    // Bytes not handed over yet, in the server's read buffer or the inbox.
    struct Rest {
        char* data;
        size_t size;
    };
    // How an answer is framed.
    struct Shape {
        bool head = false;
        bool http10 = false;
        bool keep = false;
    };

    void onReadable();
    void readInto(Inbox& inbox);
    void readAhead();
    void discard();
    void endOfInput();

    void consume(Rest rest, Inbox* inbox);
    RequestParser::State announceBody(RequestParser& parser, char* message, size_t& size);
    void dispatch(const RequestParser& parser, Rest& rest, Inbox* inbox);
    void hand(std::shared_ptr<ServerExchange> exchange);
    void keepRest(Rest rest, Inbox* inbox, bool starved);
    void awaitMore(const RequestParser& parser);
    // Sets the deadline of the present body or output. The bytes that moved since the last time
    // earn it time, but never more than the grace from now on: a burst buys nobody an hour.
    void grant(bool begins, std::chrono::milliseconds grace);

    // Answers with a problem document and ends the connection; `request` as in ProblemWriter.
    void refuse(const Refusal& refusal, const Request& request);
    // The same for the message at `data`, as far as it was parsed.
    void refuse(const Refusal& refusal, const RequestParser& parser, const char* data);
    void write(int status, std::string_view headers, std::initializer_list<std::string_view> body,
               Shape shape);
    void sendNow(Buffer& head, std::initializer_list<std::string_view> body, size_t bodySize);
    void flush();
    void blocked();
    // Decides what to wait for next; the last step of everything that happens.
    void settle();
    // Tells the server how much memory this connection holds.
    void account();
    // Whether there is no more memory for large requests: of anybody, or from this address. Only
    // what others hold counts: one alone passes, however large it is.
    Crowd crowd() const;
    Refusal overloaded(Crowd crowd) const;
    void linger();
    void depart();
    // Off the server's lists; the socket is the caller's to close or send on.
    void leave();
    void watchFor(uint32_t events);
    // Notes that an exchange was answered; whether the connection lives on behind the answer.
    bool takeAnswer(const ServerExchange& exchange);
    bool outputPending() const { return output_.size() > written_; }
    bool busy() const { return serial_ != 0 || stream_ != nullptr || blocked_; }

    ServerState& server_;
    base::UniqueFd fd_;
    Occupancy::Seat seat_;
    std::weak_ptr<ServerExchange> exchange_{};  // may die on another thread
    uint64_t serial_ = 0;
    std::shared_ptr<ServerStream> stream_{};  // the answer that is being written
    std::unique_ptr<Traveller> leaving_{};    // on its way to another server
    std::unique_ptr<Inbox> inbox_;
    Buffer output_;  // what the socket did not take yet, from written_ on
    size_t written_ = 0;
    std::chrono::steady_clock::time_point since_{};  // the present body's or output's beginning
    std::chrono::steady_clock::time_point due_{};    // and its deadline
    size_t counted_ = 0;    // bytes of it that have earned nothing yet; of leftovers thrown away
    size_t accounted_ = 0;  // bytes of memory that the server knows of
    uint32_t watched_ = 0;  // epoll events asked for
    Mode mode_ = Mode::open;
    Stage stage_ = Stage::idle;
    bool blocked_ = false;       // the socket is full
    bool parsing_ = false;       // consume() is on the stack
    bool moreBuffered_ = false;  // another request stands behind the one being handed over
    bool inputEnded_ = false;
    bool closing_ = false;       // the last answer was written
    bool closesBehind_ = false;  // and it is to be the stream that is being written
    bool lingers_ = false;       // and the client may still be sending
};

}  // namespace cf::http
