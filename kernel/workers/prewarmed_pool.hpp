// Warm workers of one runtime that belong to no function yet. Taken from, never given back to;
// refilled in the background. Loop thread only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "workers/worker.hpp"

namespace cf::workers {

class PrewarmedPool final : public WorkerOwner {
public:
    // `plan` starts the generic worker of `runtime`; `memoryMb` is what it may use until it is
    // bound.
    PrewarmedPool(Context& context, std::string runtime, LaunchPlan plan, uint32_t memoryMb);
    ~PrewarmedPool() override;

    // A worker that waits, or one that is on its way, or nothing.
    std::unique_ptr<Worker> take();
    // What the worker that take() would return takes already; null when it would return nothing.
    const Place* nextPlace();
    const LaunchPlan& plan() const { return plan_; }
    // Gives up `count` of its workers to make room on a full platform; returns how many it could.
    size_t shrink(size_t count);
    size_t size() const { return workers_.size(); }
    // What they take together.
    uint64_t bytes() const;

    void workerWaits(Worker&) override;
    void workerGone(Worker&, WorkerEnd&&) override;

private:
    using Position = std::vector<std::unique_ptr<Worker>>::iterator;
    Position next();
    void refillLater(std::chrono::milliseconds delay);
    void refill();

    Context& context_;
    std::string runtime_;
    LaunchPlan plan_;
    uint32_t memoryMb_;
    size_t wanted_;
    std::vector<std::unique_ptr<Worker>> workers_;
    base::TimerId refill_ = 0;
    uint32_t failures_ = 0;  // in a row
};

}  // namespace cf::workers
