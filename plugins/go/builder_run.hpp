// Runs the builder (builder/, a Go program) in the build sandbox, for one build of one version.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cloudfunction/executor.hpp"
#include "toolset.hpp"

namespace go_executor {

// What a run left behind; builder/main.go says how its records are written.
struct Report {
    std::vector<cloudfunction::Remark> remarks;
    std::string state;                 // of `inspect`
    std::string vendor;                // of `inspect`
    std::vector<std::string> imports;  // of `inspect`
    std::string lock;                  // of `resolve`
    bool offline = false;              // of `resolve`, `download`: nobody answered
    bool incomplete = false;           // `resolve` would add what is missing in go.mod or go.sum
    bool failed() const;               // one of the remarks is an error
};

Report readReport(std::string_view records);

// One record that is a remark. False when the line is not one.
bool readRemark(std::string_view line, cloudfunction::Remark& remark);

class BuilderRun {
public:
    // All of them outlive it.
    BuilderRun(const cloudfunction::Job& job, const cloudfunction::FunctionInfo& function,
               const ReadyTools& tools, std::string sourceDir, std::string artifactDir, unsigned registryTimeout)
        : job_(job), function_(function), tools_(tools), sourceDir_(std::move(sourceDir)),
          artifactDir_(std::move(artifactDir)), registryTimeout_(registryTimeout) {}

    // `environment` comes on top of the builder's own; `input` is an archive (builder/archive.go) or empty. With `network`
    // the run may fetch, and what it says is shown in the build log as it comes.
    struct Command {
        std::string name;
        std::vector<std::string> arguments{};
        std::string input{};
        std::vector<std::pair<std::string, std::string>> environment{};
        bool network = false;
        bool logged = false;
    };
    // Throws Failed when the platform is at fault or the build was cancelled; what is wrong with the source is in the
    // report, and reported to nobody yet.
    Report run(const Command& command) const;

    // Reports all remarks; throws Failed(CF_INVALID) when one is an error.
    void passOn(const Report& report) const;

    const cloudfunction::Job& job() const { return job_; }
    const cloudfunction::FunctionInfo& function() const { return function_; }
    const std::string& artifactDir() const { return artifactDir_; }
    const ReadyTools& tools() const { return tools_; }

private:
    const cloudfunction::Job& job_;
    const cloudfunction::FunctionInfo& function_;
    const ReadyTools& tools_;
    std::string sourceDir_;
    std::string artifactDir_;
    unsigned registryTimeout_;  // seconds that proxies may stay silent
};

}  // namespace go_executor
