#include "http/exchange_pool.hpp"

namespace cf::http {

namespace {

constexpr size_t kept = 256;
constexpr size_t keptBytes = 8 * 1024;

// An address that differs between threads: cheaper to compare than a std::thread::id.
const void* thisThread() {
    thread_local char mark;
    return &mark;
}

}  // namespace

ExchangePool::ExchangePool(base::EventLoop& loop, std::function<void(uint64_t)> abandoned)
    : loop_(&loop), abandoned_(std::move(abandoned)) {
    storages_.reserve(kept);
    blocks_.reserve(kept);
}

ExchangePool::~ExchangePool() {
    for (void* block : blocks_) ::operator delete(block);
}

bool ExchangePool::onLoopThread() const {
    return thread_.load(std::memory_order_relaxed) == thisThread();
}

ExchangeStorage ExchangePool::take() {
    if (thread_.load(std::memory_order_relaxed) == nullptr)
        thread_.store(thisThread(), std::memory_order_relaxed);
    if (storages_.empty()) return {};
    ExchangeStorage storage = std::move(storages_.back());
    storages_.pop_back();
    return storage;
}

void ExchangePool::give(ExchangeStorage storage) {
    if (!onLoopThread() || storages_.size() == kept || storage.bytes.capacity() > keptBytes) return;
    storage.bytes.setSize(0);
    storages_.push_back(std::move(storage));
}

void* ExchangePool::allocate(size_t bytes) {
    if (blockSize_ == 0) blockSize_ = bytes;
    if (bytes != blockSize_ || !onLoopThread() || blocks_.empty()) return ::operator new(bytes);
    void* block = blocks_.back();
    blocks_.pop_back();
    return block;
}

void ExchangePool::deallocate(void* block, size_t bytes) {
    if (bytes == blockSize_ && onLoopThread() && blocks_.size() < kept)
        blocks_.push_back(block);
    else
        ::operator delete(block);
}

bool ExchangePool::abandon(const std::shared_ptr<ExchangePool>& self, uint64_t serial) {
    if (onLoopThread()) return false;
    const std::lock_guard lock(detachMutex_);
    if (loop_ != nullptr)
        loop_->post([self, serial] {
            if (self->abandoned_) self->abandoned_(serial);
        });
    return true;
}

void ExchangePool::detach() {
    const std::lock_guard lock(detachMutex_);
    loop_ = nullptr;
    abandoned_ = nullptr;
}

}  // namespace cf::http
