// What the servers of one platform hold together, one server on each event loop: connections, those
// of each client's address, the memory of requests and answers that are not whole, and that of
// large requests that are being handled. It makes limits the platform's, however many loops there
// are. Servers share it; thread-safe. It is asked once a connection, once a large request and when
// a connection's memory changes, not once a small request.
//
// Memory counts for the client's address as well, also when its connection is gone: one client does
// not hold what everybody needs.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "http/peer.hpp"

namespace cf::http {

class Occupancy : public std::enable_shared_from_this<Occupancy> {
    struct Origin {
        size_t connections = 0;
        size_t users = 0;  // seats and loads
        std::atomic<size_t> bytes{0};
    };
    using Origins = std::unordered_map<std::string, Origin>;

public:
    // Which limit a connection is beyond: it is told so, and goes.
    enum class Excess : uint8_t { none, connections, address };

    class Load;

    // One connection's part. It goes with the connection from server to server and gives the part
    // back when it dies.
    class Seat {
    public:
        Seat() = default;
        Seat(Seat&&) noexcept = default;
        Seat& operator=(Seat&& other) noexcept;
        ~Seat() { release(); }
        void release();
        const std::string& peer() const { return peer_.address; }
        Excess excess() const { return excess_; }
        // Bytes that the connection holds for unfinished input and output.
        void changeBuffered(size_t from, size_t to);
        // Those of a request of its.
        Load load(size_t bytes) const;
        // All of both that its address holds; nothing for loopback, which stands for many clients.
        size_t bytesOfAddress() const {
            return peer_.loopback ? 0 : origin_->second.bytes.load(std::memory_order_relaxed);
        }

    private:
        friend class Occupancy;
        Seat(std::shared_ptr<Occupancy> of, Peer peer, Origins::value_type& origin, Excess excess)
            : of_(std::move(of)), peer_(std::move(peer)), origin_(&origin), excess_(excess) {}
        std::shared_ptr<Occupancy> of_{};
        Peer peer_{};
        Origins::value_type* origin_ = nullptr;
        Excess excess_ = Excess::none;
    };

    // The memory of one request that is being handled. It goes with the request from server to
    // server and is given back where that dies.
    class Load {
    public:
        Load() = default;
        Load(Load&&) noexcept = default;
        Load& operator=(Load&& other) noexcept;
        ~Load() { release(); }
        // So many of its bytes were given back before.
        void reduce(size_t bytes);

    private:
        friend class Occupancy;
        Load(std::shared_ptr<Occupancy> of, Origins::value_type& origin, size_t bytes);
        void release();
        std::shared_ptr<Occupancy> of_{};
        Origins::value_type* origin_ = nullptr;
        size_t bytes_ = 0;
    };

    struct Limits {
        size_t connections;
        size_t perAddress;  // of one Peer::origin; loopback is free of it
    };
    // Nothing when so many are being refused that this one is closed without a word.
    std::optional<Seat> take(Peer peer, const Limits& limits);

    // Connections of all servers, those on their way from one to another among them.
    size_t connections() const { return connections_.load(std::memory_order_relaxed); }

    // Bytes that connections hold for unfinished input and output.
    size_t buffered() const { return buffered_.load(std::memory_order_relaxed); }
    // Bytes of all loads.
    size_t handled() const { return handled_.load(std::memory_order_relaxed); }

private:
    void leave(Origins::value_type& origin, Excess excess);
    void letGo(Origins::value_type& origin);

    std::mutex mutex_;
    Origins origins_;
    size_t refusing_ = 0;  // connections beyond the limits that are being told so
    std::atomic<size_t> connections_{0};
    std::atomic<size_t> buffered_{0};
    std::atomic<size_t> handled_{0};
};

}  // namespace cf::http
