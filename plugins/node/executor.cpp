// The Node.js executor: JavaScript and TypeScript. Each operation lies in a file of its own beside
// this one.
#include "cloudfunction/executor.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "../registry_timeout.hpp"
#include "build.hpp"
#include "launch.hpp"
#include "manifest.hpp"
#include "packages.hpp"
#include "source.hpp"
#include "specifier.hpp"
#include "toolchain.hpp"

namespace node_executor {

using cloudfunction::FunctionInfo;
using cloudfunction::Host;
using cloudfunction::Job;
using cloudfunction::Plan;
using cloudfunction::Remarks;

class NodeExecutor final : public cloudfunction::Executor {
public:
    static constexpr const char* id = "node";
    static constexpr const char* version = "1.1.0";
    static constexpr uint16_t requiresMinor = 1;

    NodeExecutor(Host theHost, std::string_view foundBefore)
        : Executor(theHost, foundBefore),
          home_(host().property("home")),
          toolchain_(Toolchain::fromJson(foundBefore)) {
        rules_.scripts = host().property("install_scripts", "true") != "false";
        rules_.scriptsNetwork = host().property("install_scripts_network", "false") == "true";
        // In the probe the reason would get lost here.
        if (!foundBefore.empty())
            rules_.registryTimeout = cloudfunction::registryTimeout(host(), id);
    }

    std::string probe() override {
        cloudfunction::registryTimeout(host(), id);  // refuses what is no number
        return probeToolchain(host()).json();
    }

    std::string describe() override { return manifest(); }

    Remarks validate(const FunctionInfo& function) override {
        const Entry entry = entryOf(function);
        if (entry.problem.empty()) return {};
        return {{.file = {}, .message = entry.problem}};
    }

    void prepare(const Job& job, const FunctionInfo& function, const std::string& sourceDir,
                 const std::string& artifactDir) override {
        build(job, function, toolchain_, rules_, sourceDir, artifactDir);
    }

    cloudfunction::ManifestFile writeDependencies(
        const FunctionInfo& /*function*/,
        const std::vector<std::string_view>& dependencies) override {
        return writePackageJson(dependencies);
    }

    void plan(const FunctionInfo* function, const Plan& plan) override {
        planWorker(function, toolchain_, home_, plan);
    }

    bool describeExit(const cloudfunction::Exit& exit, std::string& message,
                      std::string& hint) override {
        return explainExit(exit, message, hint);
    }

private:
    std::string home_;
    Toolchain toolchain_;
    PackageRules rules_;
};

}  // namespace node_executor

CF_DEFINE_EXECUTOR(node_executor::NodeExecutor)
