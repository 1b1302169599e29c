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
    excess_ = other.excess_;
    return *this;
}

void Occupancy::Seat::release() {
    if (const auto of = std::exchange(of_, nullptr)) of->leave(peer_.origin, excess_);
}

Occupancy::Load::Load(std::shared_ptr<Occupancy> of, size_t bytes)
    : of_(std::move(of)), bytes_(bytes) {
    of_->handled_.fetch_add(bytes_, std::memory_order_relaxed);
}

Occupancy::Load& Occupancy::Load::operator=(Load&& other) noexcept {
    release();
    of_ = std::move(other.of_);
    bytes_ = other.bytes_;
    return *this;
}

void Occupancy::Load::reduce(size_t bytes) {
    if (of_ == nullptr) return;
    of_->handled_.fetch_sub(bytes, std::memory_order_relaxed);
    bytes_ -= bytes;
}

void Occupancy::Load::release() {
    if (const auto of = std::exchange(of_, nullptr))
        of->handled_.fetch_sub(bytes_, std::memory_order_relaxed);
}

std::optional<Occupancy::Seat> Occupancy::take(Peer peer, const Limits& limits) {
    const std::lock_guard lock(mutex_);
    Excess excess = Excess::none;
    const auto known = perOrigin_.find(peer.origin);
    if (connections() - refusing_ >= limits.connections)
        excess = Excess::connections;
    else if (!peer.loopback && known != perOrigin_.end() && known->second >= limits.perAddress)
        excess = Excess::address;
    if (excess != Excess::none && refusing_++ == std::min(mostRefusing, limits.connections)) {
        --refusing_;
        return std::nullopt;
    }
    ++(known != perOrigin_.end() ? known->second : perOrigin_[peer.origin]);
    connections_.fetch_add(1, std::memory_order_relaxed);
    return Seat(shared_from_this(), std::move(peer), excess);
}

void Occupancy::leave(const std::string& origin, Excess excess) {
    const std::lock_guard lock(mutex_);
    if (const auto found = perOrigin_.find(origin);
        found != perOrigin_.end() && --found->second == 0)
        perOrigin_.erase(found);
    if (excess != Excess::none) --refusing_;
    connections_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace cf::http
