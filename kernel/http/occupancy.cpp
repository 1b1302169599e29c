#include "http/occupancy.hpp"

#include <algorithm>
#include <utility>

namespace cf::http {

namespace {

// Connections beyond the limit that are told so, and no more than the limit; more of them are
// closed without a word.
constexpr size_t mostRefusing = 128;

}  // namespace

Occupancy::Seat& Occupancy::Seat::operator=(Seat&& other) noexcept {
    release();
    of_ = std::move(other.of_);
    peer_ = std::move(other.peer_);
    origin_ = other.origin_;
    excess_ = other.excess_;
    return *this;
}

void Occupancy::Seat::release() {
    if (const auto of = std::exchange(of_, nullptr)) of->leave(*origin_, excess_);
}

void Occupancy::Seat::changeBuffered(size_t from, size_t to) {
    if (from == to) return;
    of_->buffered_.fetch_add(to - from, std::memory_order_relaxed);
    origin_->second.bytes.fetch_add(to - from, std::memory_order_relaxed);
}

Occupancy::Load Occupancy::Seat::load(size_t bytes) const { return {of_, *origin_, bytes}; }

Occupancy::Load::Load(std::shared_ptr<Occupancy> of, Origins::value_type& origin, size_t bytes)
    : of_(std::move(of)), origin_(&origin), bytes_(bytes) {
    of_->handled_.fetch_add(bytes_, std::memory_order_relaxed);
    origin.second.bytes.fetch_add(bytes_, std::memory_order_relaxed);
    const std::lock_guard lock(of_->mutex_);
    ++origin.second.users;
}

Occupancy::Load& Occupancy::Load::operator=(Load&& other) noexcept {
    release();
    of_ = std::move(other.of_);
    origin_ = other.origin_;
    bytes_ = other.bytes_;
    return *this;
}

void Occupancy::Load::reduce(size_t bytes) {
    if (of_ == nullptr) return;
    of_->handled_.fetch_sub(bytes, std::memory_order_relaxed);
    origin_->second.bytes.fetch_sub(bytes, std::memory_order_relaxed);
    bytes_ -= bytes;
}

void Occupancy::Load::release() {
    if (of_ == nullptr) return;
    reduce(bytes_);
    const auto of = std::exchange(of_, nullptr);
    const std::lock_guard lock(of->mutex_);
    of->letGo(*origin_);
}

std::optional<Occupancy::Seat> Occupancy::take(Peer peer, const Limits& limits) {
    const std::lock_guard lock(mutex_);
    Excess excess = Excess::none;
    const auto known = origins_.find(peer.origin);
    if (connections() - refusing_ >= limits.connections)
        excess = Excess::connections;
    else if (!peer.loopback && known != origins_.end() &&
             known->second.connections >= limits.perAddress)
        excess = Excess::address;
    if (excess != Excess::none && refusing_++ == std::min(mostRefusing, limits.connections)) {
        --refusing_;
        return std::nullopt;
    }
    auto& origin = known != origins_.end() ? *known : *origins_.try_emplace(peer.origin).first;
    ++origin.second.connections;
    ++origin.second.users;
    connections_.fetch_add(1, std::memory_order_relaxed);
    return Seat(shared_from_this(), std::move(peer), origin, excess);
}

void Occupancy::leave(Origins::value_type& origin, Excess excess) {
    const std::lock_guard lock(mutex_);
    --origin.second.connections;
    letGo(origin);
    if (excess != Excess::none) --refusing_;
    connections_.fetch_sub(1, std::memory_order_relaxed);
}

// With the mutex.
void Occupancy::letGo(Origins::value_type& origin) {
    if (--origin.second.users == 0) origins_.erase(origins_.find(origin.first));
}

}  // namespace cf::http
