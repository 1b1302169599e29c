#include "http/server_stream.hpp"

#include <charconv>
#include <utility>

#include "http/connection.hpp"

namespace cf::http {

bool ServerStream::write(std::string_view bytes) {
    if (connection_ == nullptr) return false;
    // An empty chunk would be the end.
    if (bytes.empty() || body_ == Body::none) return true;
    char size[20];
    std::string_view before, behind;
    if (body_ == Body::chunks) {
        char* at = std::to_chars(size, size + 16, bytes.size(), 16).ptr;
        *at++ = '\r';
        *at++ = '\n';
        before = {size, static_cast<size_t>(at - size)};
        behind = "\r\n";
    }
    connection_->streamed({before, bytes, behind});
    return connection_ != nullptr;
}

void ServerStream::end() {
    Connection* connection = std::exchange(connection_, nullptr);
    if (connection == nullptr) return;
    drained_ = closed_ = stopping_ = nullptr;
    connection->endStream(body_ == Body::chunks ? "0\r\n\r\n" : "");
}

size_t ServerStream::pending() const {
    return connection_ == nullptr ? 0 : connection_->pendingOutput();
}

void ServerStream::tellDrained() {
    // A copy: it may end the stream, which drops it.
    if (const auto drained = drained_) drained();
}

void ServerStream::tellStopping() {
    if (const auto stopping = std::exchange(stopping_, nullptr)) stopping();
}

std::function<void()> ServerStream::detach() {
    connection_ = nullptr;
    drained_ = stopping_ = nullptr;
    return std::exchange(closed_, nullptr);
}

}  // namespace cf::http
