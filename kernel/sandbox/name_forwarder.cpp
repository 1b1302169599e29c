// What the name server's process does with a sandbox's questions. Every question has a deadline, and
// what a sandbox may have open is bounded.
#include "sandbox/name_forwarder.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <list>
#include <memory>
#include <unordered_map>

#include "base/destination.hpp"
#include "base/event_loop.hpp"
#include "base/ulid.hpp"
#include "sandbox/dns_message.hpp"
#include "sandbox/fd_watcher.hpp"
#include "sandbox/files.hpp"
#include "sandbox/name_server.hpp"

namespace cf::sandbox {

namespace {

using namespace std::chrono_literals;
using Clock = base::EventLoop::Clock;

constexpr size_t maxMessage = 4096;  // over UDP; more is cut and asked for again over TCP
constexpr size_t maxStreamMessage = 65'535;
// Questions in flight and streams, of all sandboxes and of one. When all have as many, whoever has
// most gives up his oldest one for somebody who has fewer.
constexpr size_t maxOpen = 1024;
constexpr size_t maxOpenOfOne = 64;
constexpr size_t maxStreams = 256;
constexpr size_t maxStreamsOfOne = 8;
// Of one sandbox, after a burst of twice as many: questions, and names outside of its list that the
// function is told of.
constexpr double questionsPerSecond = 200;
constexpr double toldPerSecond = 20;
constexpr auto tryTimeout = 2s;
constexpr int maxTries = 4;
constexpr auto streamTimeout = 10s;
constexpr auto grantTimeout = 1s;
constexpr size_t maxSandboxes = 65'536;

// Where an answer goes: a datagram's sender, or a stream.
struct Asker {
    sockaddr_in from{};
    std::weak_ptr<struct Stream> stream{};
    bool isStream = false;
};

struct Question {
    dns::Question question{};
    std::string message{};
    Asker asker{};
    uint32_t sandbox = 0;
    int tries = 0;
    uint16_t id = 0;
    std::string answer{};  // over TCP: what came so far
    size_t sent = 0;
    base::UniqueFd socket{};
    std::unique_ptr<FdWatcher> watcher{};
    base::TimerId timer = 0;
    std::list<std::shared_ptr<Question>>::iterator place{};  // among those that are open
};
using QuestionPtr = std::shared_ptr<Question>;

struct Stream : std::enable_shared_from_this<Stream> {
    base::UniqueFd socket{};
    uint32_t sandbox = 0;
    sockaddr_in from{};
    std::string in{};
    std::string out{};
    bool busy = false;
    std::unique_ptr<FdWatcher> watcher{};
    base::TimerId timer = 0;
};

class Forwarder {
public:
    Forwarder(int control, int datagrams, int streams)
        : control_(control), datagrams_(datagrams), streams_(streams) {
        controlWatcher_ = std::make_unique<FdWatcher>(loop_, control_, EPOLLIN,
                                                      [this](uint32_t) { readControl(); });
        datagramWatcher_ = std::make_unique<FdWatcher>(loop_, datagrams_, EPOLLIN,
                                                       [this](uint32_t) { readDatagrams(); });
        streamWatcher_ = std::make_unique<FdWatcher>(loop_, streams_, EPOLLIN,
                                                     [this](uint32_t) { acceptStreams(); });
    }
    void run() { loop_.run(); }

private:
    struct Bucket {
        double perSecond;
        double tokens = 2 * perSecond;
        Clock::time_point at = Clock::now();
        bool take() {
            const auto now = Clock::now();
            const double seconds = std::chrono::duration<double>(now - at).count();
            tokens = std::min(2 * perSecond, tokens + perSecond * seconds);
            at = now;
            if (tokens < 1) return false;
            tokens -= 1;
            return true;
        }
    };
    struct Sandbox {
        Bucket questions{questionsPerSecond};
        Bucket told{toldPerSecond};
        size_t open = 0;
        size_t streams = 0;
    };

    // What the launcher said counts before anything that a sandbox asks after it.
    void readControl() {
        for (;;) {
            const ssize_t got = ::recv(control_, buffer_, sizeof buffer_, MSG_DONTWAIT);
            if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
            if (got <= 0) ::_exit(0);
            uint32_t number = 0;
            if (static_cast<size_t>(got) < 1 + sizeof number) continue;
            std::memcpy(&number, buffer_ + 1, sizeof number);
            const auto list = lines(std::string(buffer_ + 1 + sizeof number,
                                                static_cast<size_t>(got) - 1 - sizeof number));
            switch (buffer_[0]) {
                case names::kindCommon:
                    common_ = list;
                    break;
                case names::kindAllow:
                    lists_[number] = list;
                    break;
                case names::kindForget:
                    lists_.erase(number);
                    break;
                case names::kindResolvers:
                    resolvers_.clear();
                    for (const auto& text : list)
                        if (const auto address = base::parseAddress(text))
                            resolvers_.push_back(*address);
                    break;
                case names::kindGranted:
                    if (!waiting_.empty()) {
                        const QuestionPtr question = std::move(waiting_.front());
                        waiting_.pop_front();
                        if (question) deliver(question, number == 1);
                    }
                    break;
                default:
                    break;
            }
        }
    }

    static bool holds(const std::vector<std::string>& list, const std::string& name) {
        return std::find(list.begin(), list.end(), name) != list.end();
    }

    // Of the sandbox that has most, if that is more than somebody with `own` would have with one
    // more. Both lists begin with what is oldest.
    template <typename List>
    typename List::value_type oldestOfMost(const List& list, size_t Sandbox::*count, size_t own) {
        typename List::value_type found;
        size_t most = own + 1;
        for (const auto& one : list)
            if (const size_t has = sandboxes_[one->sandbox].*count; has > most) {
                most = has;
                found = one;
            }
        return found;
    }

    bool hasRoom(const Sandbox& asker) {
        if (open_.size() < maxOpen) return true;
        const QuestionPtr oldest = oldestOfMost(open_, &Sandbox::open, asker.open);
        if (!oldest) return false;
        for (auto& one : waiting_)
            if (one == oldest) one.reset();
        if (!oldest->asker.isStream) {
            fail(oldest);
            return true;
        }
        close(oldest);
        if (const auto stream = oldest->asker.stream.lock()) drop(stream);
        return true;
    }

    bool mayAsk(uint32_t address) {
        if (sandboxes_.size() > maxSandboxes)
            std::erase_if(sandboxes_, [](const auto& one) {
                return one.second.open == 0 && one.second.streams == 0;
            });
        Sandbox& sandbox = sandboxes_[address];
        return sandbox.open < maxOpenOfOne && sandbox.questions.take();
    }

    void readDatagrams() {
        readControl();
        for (int turn = 0; turn < 64; ++turn) {
            Asker asker;
            socklen_t size = sizeof asker.from;
            const ssize_t got = ::recvfrom(datagrams_, buffer_, maxMessage, MSG_DONTWAIT,
                                           reinterpret_cast<sockaddr*>(&asker.from), &size);
            if (got < 0) return;
            ask(std::string(buffer_, static_cast<size_t>(got)), asker);
        }
    }

    // False when there will be no answer.
    bool ask(std::string message, const Asker& asker) {
        const uint32_t sandbox = ntohl(asker.from.sin_addr.s_addr);
        const auto question = dns::readQuery(message);
        if (!question || !mayAsk(sandbox)) return false;
        const auto list = lists_.find(sandbox);
        if (list != lists_.end() && !holds(list->second, question->name)) {
            reply(asker, dns::emptyAnswer(message, *question, dns::noSuchName));
            tellRefused(sandbox, *question);
            return true;
        }
        // There is no IPv6 inside: whoever asks for such addresses gets none, at once.
        if (question->type == dns::typeAddress6) {
            reply(asker, dns::emptyAnswer(message, *question, 0));
            return true;
        }
        if (!hasRoom(sandboxes_[sandbox])) return false;
        auto open = std::make_shared<Question>();
        open->question = *question;
        open->message = std::move(message);
        open->asker = asker;
        open->sandbox = sandbox;
        open->place = open_.insert(open_.end(), open);
        ++sandboxes_[sandbox].open;
        forward(open);
        return true;
    }

    // Words of help, dropped while the launcher has others to read. Most programs ask for both kinds
    // of addresses of a name at once; one line tells of both.
    void tellRefused(uint32_t sandbox, const dns::Question& question) {
        if (question.type == dns::typeAddress6 || question.name.empty()) return;
        if (!sandboxes_[sandbox].told.take()) return;
        const std::string packet = names::packet(names::kindRefused, sandbox, question.name);
        ::send(control_, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }

    void close(const QuestionPtr& question) {
        question->watcher.reset();
        question->socket.reset();
        loop_.cancel(question->timer);
        open_.erase(question->place);
        --sandboxes_[question->sandbox].open;
    }

    void fail(const QuestionPtr& question) {
        close(question);
        reply(question->asker,
              dns::emptyAnswer(question->message, question->question, dns::serverFailure));
    }

    // A new socket, port and number for each try, so that answers are hard to forge (RFC 5452).
    void forward(const QuestionPtr& question) {
        question->watcher.reset();
        loop_.cancel(question->timer);
        if (question->tries >= maxTries || resolvers_.empty()) return fail(question);
        const uint32_t resolver =
            resolvers_[static_cast<size_t>(question->tries++) % resolvers_.size()];
        const bool isStream = question->asker.isStream;
        question->socket.reset(::socket(
            AF_INET, (isStream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        question->id = static_cast<uint16_t>(base::randomBits() >> 40);
        std::string message = question->message;
        dns::setId(message, question->id);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(53);
        to.sin_addr.s_addr = htonl(resolver);
        const int connected = ::connect(question->socket.get(),
                                        reinterpret_cast<const sockaddr*>(&to), sizeof to);
        const bool begun = connected == 0 || errno == EINPROGRESS;
        if (begun && !isStream)
            ::send(question->socket.get(), message.data(), message.size(), MSG_NOSIGNAL);
        question->answer.clear();
        question->sent = 0;
        const std::weak_ptr<Question> weak = question;
        if (begun)
            question->watcher = std::make_unique<FdWatcher>(
                loop_, question->socket.get(), isStream ? EPOLLIN | EPOLLOUT : EPOLLIN,
                [this, weak](uint32_t) {
                    const auto open = weak.lock();
                    if (open && open->asker.isStream)
                        readStreamAnswer(open);
                    else if (open)
                        readAnswer(open);
                });
        // The timer keeps the question alive.
        question->timer =
            loop_.after(begun ? tryTimeout : 10ms, [this, question] { forward(question); });
    }

    void readAnswer(const QuestionPtr& question) {
        const ssize_t got =
            ::recv(question->socket.get(), buffer_, maxMessage, MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0) {
            if (errno != EAGAIN && errno != EINTR) retry(question);
            return;
        }
        if (static_cast<size_t>(got) > maxMessage) return retry(question);
        take(question, std::string(buffer_, static_cast<size_t>(got)));
    }

    void retry(const QuestionPtr& question) {
        question->watcher.reset();
        loop_.cancel(question->timer);
        question->timer = loop_.after(20ms, [this, question] { forward(question); });
    }

    void readStreamAnswer(const QuestionPtr& question) {
        std::string message = question->message;
        dns::setId(message, question->id);
        const uint16_t length = htons(static_cast<uint16_t>(message.size()));
        message.insert(0, reinterpret_cast<const char*>(&length), sizeof length);
        if (question->sent < message.size()) {
            const ssize_t put = ::send(question->socket.get(), message.data() + question->sent,
                                       message.size() - question->sent, MSG_NOSIGNAL);
            if (put < 0) {
                if (errno != EAGAIN && errno != EINTR) retry(question);
                return;
            }
            question->sent += static_cast<size_t>(put);
            if (question->sent == message.size()) question->watcher->change(EPOLLIN);
            return;
        }
        const ssize_t got = ::recv(question->socket.get(), buffer_, sizeof buffer_, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) return retry(question);
        std::string& answer = question->answer;
        answer.append(buffer_, static_cast<size_t>(got));
        if (answer.size() < 2) return;
        const size_t size = static_cast<size_t>(static_cast<uint8_t>(answer[0])) << 8 |
                            static_cast<uint8_t>(answer[1]);
        if (answer.size() < size + 2) return;
        take(question, answer.substr(2, size));
    }

    // An answer, or something that only looks like one.
    void take(const QuestionPtr& question, std::string answer) {
        if (!dns::answers(answer, question->question, question->id)) return;
        question->watcher.reset();
        loop_.cancel(question->timer);
        dns::setId(answer, question->question.id);
        question->answer = std::move(answer);
        const auto found = dns::addressesIn(question->answer, question->question);
        const bool listed =
            lists_.contains(question->sandbox) || holds(common_, question->question.name);
        if (!listed || found.list.empty()) return deliver(question, true);
        std::string text = std::to_string(found.seconds) + "\n" + question->question.name + "\n";
        for (const uint32_t address : found.list) text += base::addressText(address) + "\n";
        const std::string packet = names::packet(names::kindGrant, question->sandbox, text);
        if (::send(control_, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return deliver(question, false);
        waiting_.push_back(question);
        question->timer = loop_.after(grantTimeout, [this, question] {
            for (auto& one : waiting_)
                if (one == question) one.reset();
            deliver(question, false);
        });
    }

    void deliver(const QuestionPtr& question, bool granted) {
        if (!granted) return fail(question);
        close(question);
        reply(question->asker, question->answer);
    }

    void reply(const Asker& asker, const std::string& message) {
        if (!asker.isStream) {
            ::sendto(datagrams_, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                     reinterpret_cast<const sockaddr*>(&asker.from), sizeof asker.from);
            return;
        }
        const auto stream = asker.stream.lock();
        if (!stream || message.size() > maxStreamMessage) return;
        const uint16_t length = htons(static_cast<uint16_t>(message.size()));
        stream->out.append(reinterpret_cast<const char*>(&length), sizeof length);
        stream->out += message;
        stream->busy = false;
        onStream(stream);
    }

    void acceptStreams() {
        readControl();
        for (int turn = 0; turn < 16; ++turn) {
            auto stream = std::make_shared<Stream>();
            socklen_t size = sizeof stream->from;
            stream->socket.reset(::accept4(streams_, reinterpret_cast<sockaddr*>(&stream->from),
                                           &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (!stream->socket) return;
            stream->sandbox = ntohl(stream->from.sin_addr.s_addr);
            Sandbox& sandbox = sandboxes_[stream->sandbox];
            if (sandbox.streams >= maxStreamsOfOne) continue;
            if (accepted_.size() >= maxStreams) {
                const auto oldest = oldestOfMost(accepted_, &Sandbox::streams, sandbox.streams);
                if (!oldest) continue;
                drop(oldest);
            }
            ++sandbox.streams;
            const std::weak_ptr<Stream> weak = stream;
            stream->watcher = std::make_unique<FdWatcher>(
                loop_, stream->socket.get(), EPOLLIN, [this, weak](uint32_t) {
                    if (const auto open = weak.lock()) onStream(open);
                });
            stream->timer = loop_.after(streamTimeout, [this, weak] {
                if (const auto late = weak.lock()) drop(late);
            });
            accepted_.push_back(std::move(stream));
        }
    }

    // One question at a time; the next one waits in the socket.
    void onStream(const std::shared_ptr<Stream>& stream) {
        while (!stream->out.empty()) {
            const ssize_t put = ::send(stream->socket.get(), stream->out.data(),
                                       stream->out.size(), MSG_NOSIGNAL);
            if (put < 0 && errno == EAGAIN) return stream->watcher->change(EPOLLOUT);
            if (put < 0) return drop(stream);
            stream->out.erase(0, static_cast<size_t>(put));
        }
        if (stream->busy) return stream->watcher->change(EPOLLRDHUP);
        stream->watcher->change(EPOLLIN);
        const ssize_t got = ::recv(stream->socket.get(), buffer_, maxMessage, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return drop(stream);
        if (got > 0) stream->in.append(buffer_, static_cast<size_t>(got));
        if (stream->in.size() < 2) return;
        const size_t size = static_cast<size_t>(static_cast<uint8_t>(stream->in[0])) << 8 |
                            static_cast<uint8_t>(stream->in[1]);
        if (size > maxMessage || stream->in.size() > 2 * maxMessage) return drop(stream);
        if (stream->in.size() < size + 2) return;
        const std::string message = stream->in.substr(2, size);
        stream->in.erase(0, size + 2);
        stream->busy = true;
        Asker asker;
        asker.from = stream->from;
        asker.stream = stream;
        asker.isStream = true;
        if (!ask(message, asker)) drop(stream);
    }

    void drop(const std::shared_ptr<Stream>& stream) {
        const auto found = std::find(accepted_.begin(), accepted_.end(), stream);
        if (found == accepted_.end()) return;
        stream->watcher.reset();
        stream->socket.reset();
        loop_.cancel(stream->timer);
        --sandboxes_[stream->sandbox].streams;
        accepted_.erase(found);
    }

    int control_, datagrams_, streams_;
    base::EventLoop loop_;
    std::unique_ptr<FdWatcher> controlWatcher_, datagramWatcher_, streamWatcher_;
    std::vector<std::string> common_;
    std::unordered_map<uint32_t, std::vector<std::string>> lists_;
    std::vector<uint32_t> resolvers_;
    std::unordered_map<uint32_t, Sandbox> sandboxes_;
    std::deque<QuestionPtr> waiting_;  // for the launcher's answer, in order
    std::vector<std::shared_ptr<Stream>> accepted_;
    std::list<QuestionPtr> open_;
    char buffer_[65'536];
};

}  // namespace

void forwardNames(int control, int datagrams, int streams) {
    Forwarder(control, datagrams, streams).run();
}

}  // namespace cf::sandbox
