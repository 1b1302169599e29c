#include "build.hpp"

#include <unistd.h>

#include "builder_run.hpp"
#include "dependencies.hpp"

namespace go_executor {

using cloudfunction::Failed;
using cloudfunction::FunctionInfo;
using cloudfunction::Job;

namespace {

// Removes what runs left beside the program, also when one of them failed.
struct Clearing {
    const Job& job;
    const std::string& artifactDir;
    ~Clearing() {
        try {
            Toolset::clear(job, artifactDir);
        } catch (const std::exception& problem) {
            job.log(std::string("Files of the build are left behind: ") + problem.what());
        }
    }
};

}  // namespace

void build(const Job& job, const FunctionInfo& function, const Toolset& tools,
           unsigned registryTimeout, const std::string& sourceDir, const std::string& artifactDir) {
    const ReadyTools ready = tools.provide(job, artifactDir);
    const std::string program = artifactDir + "/main";
    const BuilderRun builder(job, function, ready, sourceDir, artifactDir, registryTimeout);
    {
        const Clearing clearing{job, artifactDir};
        Dependencies dependencies(builder, tools.toolchain());
        const bool possible = Dependencies::possible(function);
        while (true) {
            Provided provided;
            if (possible) provided = dependencies.provide();
            provided.arguments.insert(provided.arguments.end(), {"-output", program});
            const Report report = builder.run({.name = "build", .arguments = provided.arguments, .input = provided.input});
            builder.passOn(report);
            if (!report.incomplete) break;
            if (!dependencies.complete())
                throw Failed(CF_FAILED, "go.mod and go.sum do not fit the function's imports",
                             "Run `go mod tidy`, and send go.mod and go.sum as it leaves them.");
        }
    }
    if (::access(program.c_str(), F_OK) != 0) throw Failed(CF_FAILED, "the Go builder left no program");
}

}  // namespace go_executor
