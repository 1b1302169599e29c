// Makes versions answer calls: the functions domain's Activator over the workers of the event loops, and the syntax
// checks of executors through its warm workers. Control-plane threads call it; the work happens on the loops:
// a version's on the one where its function is at home, what callers find it by on all of them.
#pragma once

#include <atomic>
#include <string>
#include <unordered_map>

#include "app/home_loop.hpp"
#include "executors/catalog.hpp"
#include "functions/ports.hpp"
#include "telemetry/function_logs.hpp"
#include "workers/shared_plans.hpp"

namespace cf::app {

class WorkerActivator final : public functions::Activator, public executors::SourceChecker {
public:
    // All outlive it; the loops run while it is called.
    WorkerActivator(HomeLoops& loops, const executors::Catalog& catalog, telemetry::FunctionLogs& logs, bool onMachinesNetwork)
        : loops_(loops), catalog_(catalog), logs_(logs), onMachinesNetwork_(onMachinesNetwork) {}

    // Callers may come from now on: changes wait until every loop knows of them, so that whoever was told of one meets
    // it on every connection.
    void callersCome() { callersCome_ = true; }

    base::Result<void> activate(const functions::LiveFunction& next) override;
    void abandon(const functions::LiveFunction& next) override;
    void commit(const functions::LiveFunction& now) override;
    void updateSettings(const functions::LiveFunction& now) override;
    void remove(const std::string& functionId) override;

    base::Result<std::string> check(const std::string& executorId, std::string_view file, std::string_view source,
                                    executors::Clock::time_point deadline) override;

private:
    base::Result<workers::TargetPtr> targetOf(const functions::LiveFunction& function) const;

    using AtHome = void (workers::Dispatcher::*)(workers::TargetPtr);
    void publish(workers::TargetPtr target, const functions::HttpSettings& http, AtHome atHome);
    void forget(const std::string& functionId);
    void everywhere(const HomeLoops::Work& work);

    HomeLoops& loops_;
    const executors::Catalog& catalog_;
    telemetry::FunctionLogs& logs_;  // its folders follow the functions
    mutable workers::SharedPlans plans_;
    std::atomic<bool> callersCome_{false};
    bool onMachinesNetwork_;         // `outbound` is the machine's own network here, which no worker loses again
};

// A plan of executors/ as workers/ take it.
workers::LaunchPlan workerPlan(executors::LaunchPlan plan);

}  // namespace cf::app
