// The event loops of the platform, each with all that serves calls on it: a thread, connections,
// workers, its table of live functions. Every function is at home on one loop, where its workers,
// its queue and its statistics are; every loop knows all functions, to send connections to their
// homes. What happens on a loop shares nothing with others that a call would have to lock
// (docs/decisions/home-loops.md).
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "api/api.hpp"
#include "api/function_url.hpp"
#include "api/invoke.hpp"
#include "api/live_functions.hpp"
#include "base/event_loop.hpp"
#include "http/server.hpp"
#include "sandbox/worker_launcher.hpp"
#include "workers/dispatcher.hpp"

namespace cf::app {

// Made and taken apart by Platform. Everything but `loop` is used on its thread alone while that
// runs.
struct HomeLoop {
    explicit HomeLoop(size_t number) : index(number) {}

    const size_t index;
    base::EventLoop loop{};
    std::unique_ptr<http::Server> server{};
    std::unique_ptr<sandbox::WorkerLauncher>
        launcher{};  // of every loop but the first: see RemoteLauncher
    api::LiveFunctions live{};
    std::unique_ptr<workers::Dispatcher> dispatcher{};
    std::unique_ptr<api::InvokeResource> invoke{};
    std::unique_ptr<api::FunctionUrl> functionUrl{};
    std::unique_ptr<api::Api> api{};
    std::thread thread{};
};

class HomeLoops {
public:
    using Work = std::function<void(HomeLoop&)>;

    explicit HomeLoops(size_t count);

    size_t size() const { return loops_.size(); }
    // The one that owns the launcher's socket and runs what belongs to no function.
    HomeLoop& first() { return *loops_.front(); }
    HomeLoop& homeOf(std::string_view functionId);
    const std::vector<std::unique_ptr<HomeLoop>>& all() const { return loops_; }

    void startThreads();
    // Ends the threads, the first loop's last: others may have asked it for something.
    void stopThreads();

    // Not on a loop's thread. Runs `work` on every loop, at the same time, and waits until it was
    // run everywhere.
    void onEach(const Work& work);
    // Any thread: the same, some time soon.
    void postEach(const Work& work);

private:
    std::vector<std::unique_ptr<HomeLoop>> loops_;
};

// How many loops a machine gets when nobody says: one up to four cores, whose rest is for the
// workers, then a quarter of them.
size_t usualLoops(size_t cores);
// The part of `all` that one of `loops` loops has; the parts add up to `all`.
uint64_t partOf(uint64_t all, size_t index, size_t loops);

}  // namespace cf::app
