#include "http/server_exchange.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "base/log.hpp"
#include "http/connection.hpp"
#include "http/server.hpp"
#include "http/server_stream.hpp"

namespace cf::http {

ServerExchange::ServerExchange(std::shared_ptr<ExchangePool> pool, uint64_t serial,
                               Connection& connection, ExchangeStorage storage)
    : pool_(std::move(pool)),
      storage_(std::move(storage)),
      connection_(&connection),
      serial_(serial) {}

ServerExchange::~ServerExchange() {
    // Elsewhere `connection_` may not be looked at; the pool then finds the connection by the
    // serial, on its loop.
    if (!answered_ && !pool_->abandon(pool_, serial_) && connection_ != nullptr)
        connection_->abandoned(request_);
    pool_->give(std::move(storage_));
}

void ServerExchange::describe(const RequestParser& parser, const char* base,
                              std::string_view peer) {
    peer_ = peer;
    parser.describe(base, storage_.headers, request_);
    request_.peer = peer_;
    keepAlive_ = parser.keepAlive();
    http10_ = parser.http10();
}

// Its pages and not its address: the head, which everything else points into, stands in front of
// it.
void ServerExchange::dropBody() {
    const auto body = reinterpret_cast<uintptr_t>(request_.body.data());
    request_.body = {};
    const auto begin = reinterpret_cast<uintptr_t>(storage_.bytes.data());
    const auto end = begin + storage_.bytes.capacity();
    if (body < begin || body > end) return;
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const uintptr_t first = (body + page - 1) / page * page, last = end / page * page;
    if (first >= last ||
        ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) != 0)
        return;
    load_.reduce(last - first);
}

void ServerExchange::holds(size_t bytes) {
    if (connection_ != nullptr) more_ = connection_->load(bytes);
}

Connection* ServerExchange::takeConnection() {
    if (answered_) {
        base::logError("http", "a request was answered twice; the second answer is dropped");
        return nullptr;
    }
    answered_ = true;
    gone_ = nullptr;
    inputEnd_ = nullptr;
    return std::exchange(connection_, nullptr);
}

void ServerExchange::respond(int status, std::string_view headers,
                             std::initializer_list<std::string_view> body) {
    if (Connection* connection = takeConnection()) connection->answer(*this, status, headers, body);
}

std::shared_ptr<Stream> ServerExchange::stream(int status, std::string_view headers) {
    Connection* connection = takeConnection();
    return connection == nullptr ? nullptr : connection->stream(*this, status, headers);
}

void ServerExchange::moveTo(Server& home) {
    Connection* connection = std::exchange(connection_, nullptr);
    if (connection == nullptr) return;
    connection->moveTo(*home.state_, std::static_pointer_cast<ServerExchange>(shared_from_this()));
}

void ServerExchange::arrive(std::shared_ptr<ExchangePool> pool, uint64_t serial,
                            Connection& connection) {
    pool_ = std::move(pool);
    serial_ = serial;
    connection_ = &connection;
}

std::function<void()> ServerExchange::detach() {
    connection_ = nullptr;
    inputEnd_ = nullptr;
    return std::exchange(gone_, nullptr);
}

}  // namespace cf::http
