// The Go executor. Each operation lies in a file of its own beside this one.
#include "cloudfunction/executor.hpp"

#include "../registry_timeout.hpp"
#include "build.hpp"
#include "dependencies.hpp"
#include "exits.hpp"
#include "handler.hpp"
#include "manifest.hpp"
#include "toolchain.hpp"
#include "toolset.hpp"

namespace go_executor {

using cloudfunction::FunctionInfo;
using cloudfunction::Host;
using cloudfunction::Job;
using cloudfunction::Plan;

class GoExecutor final : public cloudfunction::Executor {
public:
    static constexpr const char* id = "go";
    static constexpr const char* version = "1.1.0";
    static constexpr uint16_t requiresMinor = 1;

    GoExecutor(Host theHost, std::string_view foundBefore)
        : Executor(theHost, foundBefore),
          tools_(Toolchain::fromJson(foundBefore), host().property("home"), host().property("cache")) {
        // In the probe the reason would get lost here.
        if (!foundBefore.empty()) registryTimeout_ = cloudfunction::registryTimeout(host(), id);
    }

    std::string probe() override {
        cloudfunction::registryTimeout(host(), id);  // refuses what is no number
        return findToolchain(host()).toJson();
    }

    std::string describe() override { return manifest(); }

    cloudfunction::Remarks validate(const FunctionInfo& function) override { return checkFunction(function); }

    void prepare(const Job& job, const FunctionInfo& function, const std::string& sourceDir,
                 const std::string& artifactDir) override {
        build(job, function, tools_, registryTimeout_, sourceDir, artifactDir);
    }

    cloudfunction::ManifestFile writeDependencies(const FunctionInfo& /*function*/,
                                                  const std::vector<std::string_view>& dependencies) override {
        return writeManifest(dependencies);
    }

    // The host's stub sets the environment before it executes the program, so that there are no variables for which a
    // worker would have to be started anew, and one plan fits every version.
    void plan(const FunctionInfo* /*function*/, const Plan& plan) override {
        plan.set(CF_PLAN_EXEC, 1);
        plan.argument("main");
        plan.environment("PATH", "/usr/local/bin:/usr/bin:/bin");
        plan.environment("HOME", "/tmp");
        plan.environment("TMPDIR", "/tmp");
        plan.environment("LANG", "C.UTF-8");
        plan.set(CF_PLAN_CONCURRENCY, maxConcurrency);
    }

    bool describeExit(const cloudfunction::Exit& exit, std::string& message, std::string& hint) override {
        return explainExit(exit, message, hint);
    }

private:
    static constexpr uint64_t maxConcurrency = 1024;  // MaxConcurrency of worker/serve.go

    Toolset tools_;
    unsigned registryTimeout_ = 30;
};

}  // namespace go_executor

CF_DEFINE_EXECUTOR(go_executor::GoExecutor)
