// Memory of exchanges, kept between requests so that the common request allocates nothing, and the
// thread-safe way back to the server for exchanges that are dropped elsewhere. One per server;
// exchanges keep it alive.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "base/event_loop.hpp"
#include "http/buffer.hpp"
#include "http/exchange.hpp"

namespace cf::http {

// The bytes of one request and its header list.
struct ExchangeStorage {
    Buffer bytes{};
    std::vector<Header> headers{};
};

class ExchangePool {
public:
    // `abandoned(serial)` is called on the loop thread for an exchange that died unanswered on
    // another thread.
    ExchangePool(base::EventLoop& loop, std::function<void(uint64_t)> abandoned);
    ~ExchangePool();
    ExchangePool(const ExchangePool&) = delete;
    ExchangePool& operator=(const ExchangePool&) = delete;

    // Loop thread: the thread that takes is the one whose memory is kept.
    ExchangeStorage take();
    // Any thread; kept only when given back on the loop thread, when small, and while few are kept.
    void give(ExchangeStorage storage);
    // Any thread: one block for an exchange and its reference count. All blocks have one size.
    void* allocate(size_t bytes);
    void deallocate(void* block, size_t bytes);

    // Any thread, from the destructor of an unanswered exchange. False when the caller is the loop
    // thread, which must then answer itself.
    bool abandon(const std::shared_ptr<ExchangePool>& self, uint64_t serial);
    // Loop thread: the server is going; nothing is reported any more.
    void detach();

private:
    bool onLoopThread() const;

    base::EventLoop* loop_;
    std::function<void(uint64_t)> abandoned_;
    std::mutex detachMutex_;
    // Other threads ask whether they are the loop's: nobody else finds his own mark in it.
    std::atomic<const void*> thread_{nullptr};
    size_t blockSize_ = 0;
    std::vector<ExchangeStorage> storages_;
    std::vector<void*> blocks_;
};

// Lets std::allocate_shared take blocks of a pool.
template <typename T>
struct PoolAllocator {
    using value_type = T;
    std::shared_ptr<ExchangePool> pool;

    explicit PoolAllocator(std::shared_ptr<ExchangePool> from) : pool(std::move(from)) {}
    template <typename U>
    PoolAllocator(const PoolAllocator<U>& other) : pool(other.pool) {}
    T* allocate(size_t count) { return static_cast<T*>(pool->allocate(count * sizeof(T))); }
    void deallocate(T* block, size_t count) { pool->deallocate(block, count * sizeof(T)); }
    template <typename U>
    bool operator==(const PoolAllocator<U>& other) const {
        return pool == other.pool;
    }
};

}  // namespace cf::http
