#include "client.hpp"

#include <cppunit/TestAssert.h>

namespace cf::api::test {

std::string Answer::at(std::string_view pointer) const {
    simdjson::dom::parser parser;
    simdjson::dom::element root, value;
    if (parser.parse(body).get(root)) return "(not JSON: " + body + ")";
    if (root.at_pointer(pointer).get(value)) return "(absent)";
    std::string_view text;
    return value.get(text) ? simdjson::minify(value) : std::string(text);
}

FakeExchange::FakeExchange(std::string method, std::string target, std::string body,
                           Headers headers)
    : method_(std::move(method)),
      target_(std::move(target)),
      body_(std::move(body)),
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
    pool_.reset();
    loop_.stop();
    thread_.join();
}

std::shared_ptr<FakeExchange> Client::send(const std::string& method, const std::string& target,
                                           const std::string& body, const Headers& headers) {
    std::string json = body;
    for (char& c : json)
        if (c == '\'') c = '"';
    auto exchange = std::make_shared<FakeExchange>(method, target, std::move(json), headers);
    loop_.post([this, exchange] { api_->handle(exchange); });
    return exchange;
}

Answer Client::call(const std::string& method, const std::string& target, const std::string& body,
                    const Headers& headers) {
    return send(method, target, body, headers)->wait();
}

}  // namespace cf::api::test
