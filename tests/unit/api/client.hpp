// A caller of the HTTP interface without sockets: requests go straight to an Api on a loop of its
// own, answers come back as values.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../functions/fakes.hpp"
#include "api/api.hpp"
#include "base/json.hpp"

namespace cf::api::test {

struct Answer {
    int status = 0;
    std::map<std::string, std::string> headers{};
    std::string body{};

    // Text of a member, found by JSON pointer; numbers and objects as their JSON.
    std::string at(std::string_view pointer) const;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

// Keeps what is written. Full stands for a client that does not read: after what holds `fullFrom`, where that is given.
class FakeStream final : public http::Stream {
public:
    explicit FakeStream(std::string fullFrom) : fullFrom_(std::move(fullFrom)) {}
    bool write(std::string_view bytes) override;
    void end() override;
    size_t pending() const override;
    bool closed() const override;
    void onDrained(std::function<void()> callback) override { drained_ = std::move(callback); }
    void onClosed(std::function<void()> callback) override { closed_ = std::move(callback); }
    void onStopping(std::function<void()> callback) override { stopping_ = std::move(callback); }

    // Any thread: what was written, once it holds `part` (as often as `times`) or the stream ended.
    std::string until(std::string_view part, size_t times = 1);
    std::string untilEnded();
    void empty();
    // Loop thread: as the connection would.
    void drained() { drained_(); }
    void clientLeaves();
    void stopping() { stopping_(); }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::string text_, fullFrom_;
    bool full_ = false, ended_ = false;
    std::function<void()> drained_, closed_, stopping_;
};

class FakeExchange final : public http::Exchange {
public:
    FakeExchange(std::string method, std::string target, std::string body, Headers headers,
                 std::string fullFrom = {});
    void respond(int status, std::string_view headers,
                 std::initializer_list<std::string_view> body) override;
    std::shared_ptr<http::Stream> stream(int status, std::string_view headers) override;
    void moveTo(http::Server&) override {}
    bool clientGone() const override { return false; }
    void onClientGone(std::function<void()>) override {}
    void onInputEnd(std::function<void()>) override {}
    Answer wait();
    // After wait(): what the body is written to; null when the answer was no stream.
    std::shared_ptr<FakeStream> stream() const { return stream_; }

private:
    std::string method_, target_, body_, fullFrom_;
    Headers given_;
    std::vector<http::Header> views_;
    std::mutex mutex_;
    std::condition_variable done_;
    std::optional<Answer> answer_;
    std::shared_ptr<FakeStream> stream_;
};

class Client {
public:
    // `change` may fill slots of the dependencies.
    explicit Client(const std::function<void(Dependencies&)>& change = {},
                    ControlOptions options = {.threads = 4, .readers = 2, .queue = 16});
    ~Client();
    Answer call(const std::string& method, const std::string& target, const std::string& body = {},
                const Headers& headers = {});
    std::shared_ptr<FakeExchange> send(const std::string& method, const std::string& target,
                                       const std::string& body = {}, const Headers& headers = {});

    // As the end of the platform does.
    void stopPool() { pool_->stop(); }
    // Runs `task` on the loop and waits for it.
    void onLoop(const std::function<void()>& task);

    functions::test::Domain domain{};
    // Of the streams that are opened from now on; see FakeStream.
    std::string fullFrom{};

private:
    base::EventLoop loop_{};
    std::thread thread_{};
    std::unique_ptr<ControlPool> pool_{};
    std::unique_ptr<Api> api_{};
};

}  // namespace cf::api::test
