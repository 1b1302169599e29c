#include "app/home_loop.hpp"

#include <algorithm>
#include <latch>

namespace cf::app {

namespace {
constexpr size_t coresPerLoop = 4;
constexpr size_t mostLoops = 64;
}  // namespace

HomeLoops::HomeLoops(size_t count) {
    for (size_t i = 0; i < count; ++i) loops_.push_back(std::make_unique<HomeLoop>(i));
}

// The low bits of an id's hash, which stays the same for as long as the process runs: a home is
// never written down.
HomeLoop& HomeLoops::homeOf(std::string_view functionId) {
    return *loops_[std::hash<std::string_view>{}(functionId) % loops_.size()];
}

void HomeLoops::startThreads() {
    for (auto& home : loops_) home->thread = std::thread([loop = &home->loop] { loop->run(); });
}

void HomeLoops::stopThreads() {
    for (size_t i = loops_.size(); i-- > 0;) {
        loops_[i]->loop.stop();
        if (loops_[i]->thread.joinable()) loops_[i]->thread.join();
    }
}

void HomeLoops::onEach(const Work& work) {
    std::latch done(static_cast<std::ptrdiff_t>(loops_.size()));
    for (auto& home : loops_)
        home->loop.post([&work, &done, here = home.get()] {
            work(*here);
            done.count_down();
        });
    done.wait();
}

void HomeLoops::postEach(const Work& work) {
    for (auto& home : loops_) home->loop.post([work, here = home.get()] { work(*here); });
}

size_t usualLoops(size_t cores) { return std::clamp<size_t>(cores / coresPerLoop, 1, mostLoops); }

uint64_t partOf(uint64_t all, size_t index, size_t loops) {
    return all / loops + (index < all % loops ? 1 : 0);
}

}  // namespace cf::app
