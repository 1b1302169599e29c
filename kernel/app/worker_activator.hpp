// Makes versions answer calls: the functions domain's Activator over the workers of one event loop, and the syntax
// checks of executors through its warm workers. Control-plane threads call it; the work happens on the loop.
#pragma once

#include <atomic>
#include <string>
#include <unordered_map>

#include "api/live_functions.hpp"
#include "base/event_loop.hpp"
#include "executors/catalog.hpp"
#include "functions/ports.hpp"
#include "telemetry/function_logs.hpp"
#include "workers/dispatcher.hpp"

namespace cf::app {

class WorkerActivator final : public functions::Activator, public executors::SourceChecker {
public:
    // All outlive it; the loop runs while it is called.
    WorkerActivator(base::EventLoop& loop, workers::Dispatcher& dispatcher, api::LiveFunctions& live, const executors::Catalog& catalog,
                    telemetry::FunctionLogs& logs, bool onMachinesNetwork)
        : loop_(loop), dispatcher_(dispatcher), live_(live), catalog_(catalog), logs_(logs), onMachinesNetwork_(onMachinesNetwork) {}

    base::Result<void> activate(const functions::LiveFunction& next) override;
    void abandon(const functions::LiveFunction& next) override;
    void commit(const functions::LiveFunction& now) override;
    void updateSettings(const functions::LiveFunction& now) override;
    void remove(const std::string& functionId) override;

    base::Result<std::string> check(const std::string& executorId, std::string_view file, std::string_view source,
                                    executors::Clock::time_point deadline) override;

private:
    base::Result<workers::TargetPtr> targetOf(const functions::LiveFunction& function) const;

    void forget(const std::string& functionId);

    base::EventLoop& loop_;
    workers::Dispatcher& dispatcher_;
    api::LiveFunctions& live_;
    const executors::Catalog& catalog_;
    telemetry::FunctionLogs& logs_;  // its folders follow the functions
    bool onMachinesNetwork_;         // `outbound` is the machine's own network here, which no worker loses again
};

// A plan of executors/ as workers/ take it.
workers::LaunchPlan workerPlan(executors::LaunchPlan plan);

}  // namespace cf::app
