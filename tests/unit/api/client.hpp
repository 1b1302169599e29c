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

class FakeExchange final : public http::Exchange {
public:
    FakeExchange(std::string method, std::string target, std::string body, Headers headers);
    void respond(int status, std::string_view headers,
                 std::initializer_list<std::string_view> body) override;
    bool clientGone() const override { return false; }
    void onClientGone(std::function<void()>) override {}
    Answer wait();

private:
    std::string method_, target_, body_;
    Headers given_;
    std::vector<http::Header> views_;
    std::mutex mutex_;
    std::condition_variable done_;
    std::optional<Answer> answer_;
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

    functions::test::Domain domain{};

private:
    base::EventLoop loop_{};
    std::thread thread_{};
    std::unique_ptr<ControlPool> pool_{};
    std::unique_ptr<Api> api_{};
};

}  // namespace cf::api::test
