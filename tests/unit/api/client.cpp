#include "client.hpp"

#include <cppunit/TestAssert.h>

#include <future>

namespace cf::api::test {

std::string Answer::at(std::string_view pointer) const {
    simdjson::dom::parser parser;
    simdjson::dom::element root, value;
    if (parser.parse(body).get(root)) return "(not JSON: " + body + ")";
    if (root.at_pointer(pointer).get(value)) return "(absent)";
    std::string_view text;
    return value.get(text) ? simdjson::minify(value) : std::string(text);
}

bool FakeStream::write(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    text_ += bytes;
    if (!fullFrom_.empty() && bytes.find(fullFrom_) != bytes.npos) full_ = true;
    changed_.notify_all();
    return true;
}

void FakeStream::end() {
    drained_ = closed_ = stopping_ = nullptr;
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
}

size_t FakeStream::pending() const {
    const std::lock_guard lock(mutex_);
    return full_ ? 1 : 0;
}

bool FakeStream::closed() const {
    const std::lock_guard lock(mutex_);
    return ended_;
}

std::string FakeStream::until(std::string_view part, size_t times) {
    std::unique_lock lock(mutex_);
    const auto enough = [&] {
        size_t found = 0;
        for (size_t at = text_.find(part); at != text_.npos; at = text_.find(part, at + 1)) ++found;
        return ended_ || found >= times;
    };
    CPPUNIT_ASSERT_MESSAGE(text_, changed_.wait_for(lock, std::chrono::seconds(60), enough));
    return text_;
}

std::string FakeStream::untilEnded() {
    std::unique_lock lock(mutex_);
    CPPUNIT_ASSERT_MESSAGE(
        text_, changed_.wait_for(lock, std::chrono::seconds(60), [&] { return ended_; }));
    return text_;
}

void FakeStream::empty() {
    const std::lock_guard lock(mutex_);
    full_ = false;
}

void FakeStream::clientLeaves() {
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    drained_ = stopping_ = nullptr;
    if (const auto closed = std::exchange(closed_, nullptr)) closed();
}

FakeExchange::FakeExchange(std::string method, std::string target, std::string body,
                           Headers headers, std::string fullFrom)
    : method_(std::move(method)),
      target_(std::move(target)),
      body_(std::move(body)),
      fullFrom_(std::move(fullFrom)),
      given_(std::move(headers)) {
    for (const auto& [name, value] : given_) views_.push_back({name, value});
    body_.reserve(body_.size() + base::jsonPadding);
    const size_t question = std::min(target_.find('?'), target_.size());
    request_.method = method_;
    request_.target = target_;
    request_.path = std::string_view(target_).substr(0, question);
    request_.query = std::string_view(target_).substr(std::min(question + 1, target_.size()));
    request_.headers = views_;
    request_.body = body_;
    request_.peer = "127.0.0.1";
}

void FakeExchange::respond(int status, std::string_view headers,
                           std::initializer_list<std::string_view> body) {
    Answer answer{.status = status};
    while (!headers.empty()) {
        const size_t end = headers.find("\r\n"), colon = headers.find(": ");
        answer.headers[std::string(headers.substr(0, colon))] =
            headers.substr(colon + 2, end - colon - 2);
        headers.remove_prefix(end + 2);
    }
    for (const auto piece : body) answer.body += piece;
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
    done_.notify_all();
}

std::shared_ptr<http::Stream> FakeExchange::stream(int status, std::string_view headers) {
    stream_ = std::make_shared<FakeStream>(fullFrom_);
    respond(status, headers, {});
    return stream_;
}

Answer FakeExchange::wait() {
    std::unique_lock lock(mutex_);
    CPPUNIT_ASSERT_MESSAGE(
        "no answer within 60 s",
        done_.wait_for(lock, std::chrono::seconds(60), [&] { return answer_.has_value(); }));
    return *answer_;
}

Client::Client(const std::function<void(Dependencies&)>& change, ControlOptions options)
    : pool_(std::make_unique<ControlPool>(options)) {
    Dependencies dependencies{
        .pool = *pool_, .functions = *domain.service, .runtimes = domain.catalog};
    if (change) change(dependencies);
    api_ = std::make_unique<Api>(loop_, std::move(dependencies));
    thread_ = std::thread([this] { loop_.run(); });
}

Client::~Client() {
    domain.builder.release();
    pool_->stop();
    domain.service->stop();
    loop_.stop();
    thread_.join();
    pool_.reset();
    domain.close();
}

std::shared_ptr<FakeExchange> Client::send(const std::string& method, const std::string& target,
                                           const std::string& body, const Headers& headers) {
    std::string json = body;
    for (char& c : json)
        if (c == '\'') c = '"';
    auto exchange = std::make_shared<FakeExchange>(method, target, std::move(json), headers, fullFrom);
    loop_.post([this, exchange] { api_->handle(exchange); });
    return exchange;
}

void Client::onLoop(const std::function<void()>& task) {
    std::promise<void> done;
    loop_.post([&] {
        task();
        done.set_value();
    });
    done.get_future().get();
}

Answer Client::call(const std::string& method, const std::string& target, const std::string& body,
                    const Headers& headers) {
    return send(method, target, body, headers)->wait();
}

}  // namespace cf::api::test
