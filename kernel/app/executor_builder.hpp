// The functions domain's Builder and RuntimeCatalog over the executors: translates values, nothing
// else. Folders are the caller's (functions/artifacts). Thread-safe; several builds run at once.
#pragma once

#include <atomic>
#include <chrono>

#include "executors/catalog.hpp"
#include "functions/ports.hpp"

namespace cf::app {

struct BuildOptions {
    sandbox::Limits limits{};                    // of each build tool
    uint64_t diskBytes = 2048ull << 20;          // of a whole build
    std::chrono::milliseconds timeout{300'000};  // of a whole build
    sandbox::NetworkPolicy network{};            // of tools that fetch
    std::string networkFault{};                  // why they have none here; empty: they have
};

class ExecutorRuntimes : public functions::RuntimeCatalog {
public:
    explicit ExecutorRuntimes(const executors::Catalog& catalog) : catalog_(catalog) {}
    std::optional<functions::RuntimeInfo> resolve(std::string_view nameOrAlias) const override;
    base::Result<functions::SourceFile> writeDependencies(
        const functions::BuildRequest& request) const override;
    std::vector<std::string> names() const override { return catalog_.names(); }

private:
    const executors::Catalog& catalog_;
};

class ExecutorBuilder : public functions::Builder {
public:
    // All must outlive the builder.
    ExecutorBuilder(BuildOptions options, const executors::Catalog& catalog,
                    executors::ToolRunner& tools, executors::SourceChecker& checker)
        : options_(std::move(options)), catalog_(catalog), tools_(tools), checker_(checker) {}

    base::Result<std::vector<base::SourceRemark>> validate(
        const functions::BuildRequest& request) override;
    base::Result<void> build(const functions::BuildRequest& request,
                             functions::BuildListener& listener) override;
    void discard(std::string_view runtime, std::string_view artifactKey) override;

    // Any thread: builds that run end soon with build_cancelled, later ones at once. For the
    // platform's end.
    void cancelAll() { cancelled_ = true; }

private:
    BuildOptions options_;
    const executors::Catalog& catalog_;
    executors::ToolRunner& tools_;
    executors::SourceChecker& checker_;
    std::atomic<bool> cancelled_{false};
};

// A version as its executor is to see it; also for launch plans. Views into the arguments.
// `sources` may be empty where the executor needs none.
executors::FunctionSpec functionSpec(std::string_view name, const functions::Settings& settings,
                                     const functions::VersionSpec& spec,
                                     const std::vector<functions::SourceFile>& sources);

}  // namespace cf::app
