#include "app/descriptors.hpp"

#include <algorithm>

namespace cf::app {

namespace {

// A worker's socket, its two outputs, its process twice, what measures it twice.
constexpr size_t ofAWorker = 7;
// Loops, stores, logs, builds.
constexpr size_t ofThePlatform = 384;
// Connections beyond the limit that are told so (http/occupancy.cpp).
constexpr size_t ofRefusals = 128;

size_t reserved(const Settings& settings) {
    return ofAWorker * settings.maxWorkers + ofThePlatform + ofRefusals;
}

}  // namespace

size_t descriptorsWanted(const Settings& settings) {
    return settings.maxConnections + reserved(settings);
}

uint32_t connectionsWithin(const Settings& settings, size_t limit) {
    const size_t left = limit > reserved(settings) ? limit - reserved(settings) : 0;
    const size_t least = std::max<size_t>(limit / 4, 1);
    return static_cast<uint32_t>(std::min<size_t>(settings.maxConnections, std::max(left, least)));
}

}  // namespace cf::app
