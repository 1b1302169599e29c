// The Stream that connections hand out. Internal to http/.
#pragma once

#include <functional>

#include "http/stream.hpp"

namespace cf::http {

class Connection;

class ServerStream final : public Stream {
public:
    // How the pieces are framed.
    enum class Body { chunks, plain, none };

    ServerStream(Connection& connection, Body body) : connection_(&connection), body_(body) {}

    bool write(std::string_view bytes) override;
    void end() override;
    size_t pending() const override;
    bool closed() const override { return connection_ == nullptr; }
    void onDrained(std::function<void()> callback) override { drained_ = std::move(callback); }
    void onClosed(std::function<void()> callback) override { closed_ = std::move(callback); }
    void onStopping(std::function<void()> callback) override { stopping_ = std::move(callback); }

    // From the connection.
    void tellDrained();
    void tellStopping();
    // The connection closed; the callback to run, if any.
    std::function<void()> detach();

private:
    Connection* connection_;  // null once ended or gone
    Body body_;
    std::function<void()> drained_{}, closed_{}, stopping_{};
};

}  // namespace cf::http
