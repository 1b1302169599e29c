#include "app/executor_builder.hpp"

namespace cf::app {

namespace {

base::Failure unknownRuntime(const std::string& runtime) {
    return {.reason = "runtime_unavailable",
            .detail = "no executor serves the runtime \"" + runtime + "\"",
            .hint = "GET /api/v1/runtimes lists the runtimes of this platform"};
}

}  // namespace

executors::FunctionSpec functionSpec(std::string_view name, const functions::Settings& settings,
                                     const functions::VersionSpec& spec,
                                     const std::vector<functions::SourceFile>& sources) {
    executors::FunctionSpec function;
    function.name = name;
    function.runtime = spec.runtimeAlias.empty() ? spec.runtime : spec.runtimeAlias;
    function.handler = spec.handler;
    for (const auto& file : sources) function.files.emplace_back(file.name, file.content);
    for (const auto& [key, value] : spec.environment) function.environment.emplace_back(key, value);
    function.memoryMb = settings.memoryMb;
    function.concurrency = settings.concurrency;
    function.timeout = settings.timeout;
    function.fromCode = spec.fromCode;
    return function;
}

std::optional<functions::RuntimeInfo> ExecutorRuntimes::resolve(
    std::string_view nameOrAlias) const {
    const auto found = catalog_.find(nameOrAlias);
    if (!found) return std::nullopt;
    const auto& facts = found->executor->facts();
    functions::RuntimeInfo info;
    info.name = found->runtime->name;
    info.sourceFile = found->sourceFile;
    info.defaultHandler = found->runtime->defaultHandler;
    info.defaultMemoryMb = facts.manifest.defaultMemoryMb.value_or(0);
    info.available = found->executor->available();
    if (facts.unavailable) {
        info.reason = facts.unavailable->reason;
        info.hint = facts.unavailable->hint;
    }
    info.buildIdentity = found->executor->buildIdentity();
    info.layerIdentity = found->executor->layerIdentity();
    return info;
}

base::Result<functions::SourceFile> ExecutorRuntimes::writeDependencies(
    const functions::BuildRequest& request) const {
    const auto found = catalog_.find(request.spec.runtime);
    if (!found) return unknownRuntime(request.spec.runtime);
    auto manifest = found->executor->writeDependencies(
        functionSpec(request.functionName, request.settings, request.spec, request.sources),
        request.spec.dependencies);
    if (!manifest) return std::move(manifest).failure();
    return functions::SourceFile{std::move(manifest->name), std::move(manifest->content)};
}

base::Result<std::vector<base::SourceRemark>> ExecutorBuilder::validate(
    const functions::BuildRequest& request) {
    const auto found = catalog_.find(request.spec.runtime);
    if (!found) return unknownRuntime(request.spec.runtime);
    return found->executor->validate(
        functionSpec(request.functionName, request.settings, request.spec, request.sources));
}

base::Result<void> ExecutorBuilder::build(const functions::BuildRequest& request,
                                          functions::BuildListener& listener) {
    const auto found = catalog_.find(request.spec.runtime);
    if (!found) return unknownRuntime(request.spec.runtime);
    executors::JobSpec job;
    job.sourceDir = request.sourceDir;
    job.artifactDir = request.artifactDir;
    job.scratchDir = request.scratchDir;
    job.dependencies = request.dependencies;
    job.limits = options_.limits;
    job.diskBytes = options_.diskBytes;
    job.network = options_.network;
    job.networkFault = options_.networkFault;
    job.deadline = executors::Clock::now() + options_.timeout;
    job.log = [&listener](std::string_view line) { listener.log(line); };
    std::vector<base::SourceRemark> remarks;
    auto function =
        functionSpec(request.functionName, request.settings, request.spec, request.sources);
    // An artifact is shared by versions that differ in their environment only, so a build must not
    // see it.
    function.environment.clear();
    auto built =
        found->executor->prepare(function, std::move(job), tools_, checker_, cancelled_, remarks);
    for (const auto& remark : remarks) listener.remark(remark);
    return built;
}

void ExecutorBuilder::discard(std::string_view runtime, std::string_view artifactKey) {
    if (const auto found = catalog_.find(runtime)) found->executor->discard(artifactKey);
}

}  // namespace cf::app
