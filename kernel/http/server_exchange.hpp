// The Exchange that connections hand out. Internal to http/.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "http/exchange_pool.hpp"
#include "http/occupancy.hpp"
#include "http/parser.hpp"

namespace cf::http {

class Connection;

class ServerExchange final : public Exchange {
public:
    ServerExchange(std::shared_ptr<ExchangePool> pool, uint64_t serial, Connection& connection,
                   ExchangeStorage storage);
    // An exchange that nobody answered is answered with 500 here, so that its client does not wait
    // for ever.
    ~ServerExchange() override;

    // The storage holds the message; `base` is its first byte there.
    void describe(const RequestParser& parser, const char* base, std::string_view peer);
    // Counts its storage until that is given back; small ones need not.
    void counts(Occupancy::Load load) { load_ = std::move(load); }

    void dropBody() override;
    void holds(size_t bytes) override;
    void respond(int status, std::string_view headers,
                 std::initializer_list<std::string_view> body) override;
    std::shared_ptr<Stream> stream(int status, std::string_view headers) override;
    void moveTo(Server& home) override;
    // On the loop of its new home, after moveTo(): belongs to `connection` from now on.
    void arrive(std::shared_ptr<ExchangePool> pool, uint64_t serial, Connection& connection);
    bool clientGone() const override { return connection_ == nullptr && !answered_; }
    void onClientGone(std::function<void()> callback) override { gone_ = std::move(callback); }
    void onInputEnd(std::function<void()> callback) override { inputEnd_ = std::move(callback); }

    // The connection closed; the callback to run, if any.
    std::function<void()> detach();
    // The client will send no more; the callback to run, if any.
    std::function<void()> inputEnded() { return std::exchange(inputEnd_, nullptr); }

    uint64_t serial() const { return serial_; }
    bool keepAlive() const { return keepAlive_; }
    bool http10() const { return http10_; }
    bool isHead() const { return request_.method == "HEAD"; }

private:
    // The connection to answer on; null when it is gone or was answered before.
    Connection* takeConnection();

    std::shared_ptr<ExchangePool> pool_;
    Occupancy::Load load_{};
    Occupancy::Load more_{};
    ExchangeStorage storage_;
    std::string peer_;
    Connection* connection_;  // null once answered, gone or on its way to another server
    std::function<void()> gone_;
    std::function<void()> inputEnd_;
    uint64_t serial_;
    bool answered_ = false;
    bool keepAlive_ = false;
    bool http10_ = false;
};

}  // namespace cf::http
