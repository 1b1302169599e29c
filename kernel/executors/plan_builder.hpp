// Collects what an executor's `plan` writes and judges whether a worker can be started from it.
// Lives for one call.
#pragma once

#include <string>

#include "executors/executor.hpp"

namespace cf::executors {

class PlanBuilder {
public:
    PlanBuilder();
    PlanBuilder(const PlanBuilder&) = delete;
    PlanBuilder& operator=(const PlanBuilder&) = delete;

    const cf_plan* table() const { return &table_; }
    // The plan, or executor_error naming what is wrong with it.
    base::Result<LaunchPlan> finish() &&;

private:
    void wrong(const char* what);
    void mount(cf_view source, cf_view target, uint32_t flags);
    void set(uint32_t what, uint64_t value);

    cf_plan table_{};
    LaunchPlan plan_;
    size_t bytes_ = 0;
    std::string wrong_;  // the first thing that was
};

}  // namespace cf::executors
