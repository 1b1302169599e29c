#include "executors/executor.hpp"

#include <algorithm>
#include <exception>

#include "executors/plan_builder.hpp"
#include "executors/plugin_function.hpp"

namespace cf::executors {

namespace {

constexpr size_t remarksBytes = 1u << 20;

// Calls into a plugin. What it throws in spite of the contract becomes a status.
template <typename Call>
cf_status guarded(cf_error& error, Call call) {
    try {
        return call();
    } catch (const std::exception& exception) {
        return fillError(&error, CF_FAILED,
                         std::string("it threw an exception: ") + exception.what());
    } catch (...) {
        return fillError(&error, CF_FAILED, "it threw an exception");
    }
}

// A sink that keeps at most `limit` bytes and remembers that there was more.
struct Bounded {
    explicit Bounded(size_t limit_) : limit(limit_) {
        sink.context = this;
        sink.write = [](void* context, cf_view bytes) {
            auto& self = *static_cast<Bounded*>(context);
            const auto more = viewText(bytes);
            self.overflowed = self.overflowed || more.size() > self.limit - self.text.size();
            self.text.append(more.substr(0, self.limit - self.text.size()));
        };
    }
    Bounded(const Bounded&) = delete;
    Bounded& operator=(const Bounded&) = delete;

    size_t limit;
    std::string text{};
    bool overflowed = false;
    cf_sink sink = prefixed<cf_sink>();
};

}  // namespace

Executor::~Executor() {
    if (self_ == nullptr) return;
    auto error = prefixed<cf_error>();
    guarded(error, [&] {
        table_.operations.destroy(self_);
        return cf_status{CF_OK};
    });
}

std::string Executor::buildIdentity() const {
    return facts_.id + " " + facts_.version + " " + facts_.toolchainVersion;
}

std::string Executor::layerIdentity() const {
    return facts_.id + " " + facts_.version + " " +
           (facts_.compatibility.empty() ? facts_.toolchainVersion : facts_.compatibility);
}

base::Failure Executor::notAvailable() const {
    return {.reason = "runtime_unavailable",
            .detail = "the executor " + (facts_.id.empty() ? facts_.file : facts_.id) +
                      " is not available: " + facts_.unavailable->reason,
            .hint = facts_.unavailable->hint};
}

base::Failure Executor::failureOf(const char* operation, cf_status status,
                                  const cf_error& error) const {
    base::Failure failure;
    failure.reason = status == CF_UNAVAILABLE ? "runtime_unavailable" : "executor_error";
    const std::string said = errorMessage(error, "");
    failure.detail =
        "the executor " + facts_.id + " failed to " + operation + (said.empty() ? "" : ": " + said);
    failure.hint = errorHint(error);
    return failure;
}

base::Result<std::vector<base::SourceRemark>> Executor::validate(const FunctionSpec& spec) const {
    if (!available()) return notAvailable();
    const PluginFunction function(spec);
    Bounded remarks(remarksBytes);
    auto error = prefixed<cf_error>();
    const cf_status status = guarded(error, [&] {
        return table_.operations.validate(self_, function.get(), &remarks.sink, &error);
    });
    if (status != CF_OK && status != CF_INVALID)
        return failureOf("check the function", status, error);
    auto parsed = parseRemarks(remarks.text.empty() ? "[]" : std::string_view(remarks.text));
    if (!parsed || remarks.overflowed) return failureOf("check the function", CF_FAILED, error);
    const bool named = std::any_of(parsed->begin(), parsed->end(),
                                   [](const auto& remark) { return !remark.warning; });
    if (status == CF_INVALID && !named)
        parsed->push_back({.message = errorMessage(error, "the executor refuses this function")});
    return parsed;
}

base::Result<void> Executor::prepare(const FunctionSpec& spec, JobSpec jobSpec, ToolRunner& tools,
                                     SourceChecker& checker, const std::atomic<bool>& cancel,
                                     std::vector<base::SourceRemark>& remarks) const {
    if (!available()) return notAvailable();
    const PluginFunction function(spec);
    const std::string source = jobSpec.sourceDir, artifact = jobSpec.artifactDir;
    const auto limit = std::chrono::ceil<std::chrono::seconds>(jobSpec.deadline - Clock::now());
    BuildJob job(std::move(jobSpec), facts_.id, tools, checker, cancel);
    auto error = prefixed<cf_error>();
    const cf_status status = guarded(error, [&] {
        return table_.operations.prepare(self_, job.handle(), function.get(), toView(source),
                                         toView(artifact), &error);
    });
    remarks = job.remarks();
    // A job that was stopped has failed, whatever its executor made of that.
    if (cancel.load(std::memory_order_relaxed))
        return base::Failure{.reason = "build_cancelled", .detail = "the build was cancelled"};
    if (status != CF_OK && job.excess() != nullptr) {
        base::Failure failure = *job.excess();
        failure.remarks = remarks;
        return failure;
    }
    if (status == CF_CANCELLED || (status != CF_OK && job.outOfTime()))
        return base::Failure{
            .reason = "build_timeout",
            .detail = job.outOfTime()
                          ? "the build took longer than build.timeout (" +
                                std::to_string(limit.count()) + " s) and was stopped"
                          : errorMessage(error, "the build took too long and was stopped"),
            .hint = "need fewer dependencies, or raise build.timeout in the properties file"};
    if (status == CF_OK) return {};
    if (status == CF_INVALID)
        return base::Failure{.reason = "build_failed",
                             .detail = errorMessage(error, "the source does not build"),
                             .hint = errorHint(error),
                             .remarks = remarks};
    return failureOf("build the function", status, error);
}

base::Result<LaunchPlan> Executor::plan(const FunctionSpec* spec) const {
    if (!available()) return notAvailable();
    std::optional<PluginFunction> function;
    if (spec != nullptr) function.emplace(*spec);
    PlanBuilder builder;
    auto error = prefixed<cf_error>();
    const cf_status status = guarded(error, [&] {
        return table_.operations.plan(self_, function ? function->get() : nullptr, builder.table(),
                                      &error);
    });
    if (status != CF_OK) return failureOf("plan a worker", status, error);
    return std::move(builder).finish();
}

std::optional<ExitWords> Executor::describeExit(const sandbox::Ended& ended, uint32_t memoryMb,
                                                std::string_view lastErrors) const {
    if (!available()) return std::nullopt;
    auto exit = prefixed<cf_exit>();
    exit.exit_code = ended.exitCode;
    exit.signal = ended.signal;
    exit.memory_mb = memoryMb;
    exit.last_errors =
        toView(lastErrors.substr(lastErrors.size() - std::min<size_t>(lastErrors.size(), 8192)));
    auto error = prefixed<cf_error>();
    if (guarded(error, [&] { return table_.operations.describe_exit(self_, &exit, &error); }) !=
        CF_OK)
        return std::nullopt;
    ExitWords words{errorMessage(error, ""), errorHint(error)};
    if (words.message.empty()) return std::nullopt;
    return words;
}

base::Result<ManifestFile> Executor::writeDependencies(
    const FunctionSpec& spec, const std::vector<std::string>& dependencies) const {
    if (!available()) return notAvailable();
    if (table_.operations.write_dependencies == nullptr)
        return base::Failure{.reason = "invalid_function",
                             .detail = "the runtime \"" + std::string(spec.runtime) +
                                       "\" does not know dependencies"};
    const PluginFunction function(spec);
    std::vector<cf_view> wanted;
    for (const auto& one : dependencies) wanted.push_back(toView(one));
    Bounded name(4096), content(remarksBytes);
    auto error = prefixed<cf_error>();
    const cf_status status = guarded(error, [&] {
        return table_.operations.write_dependencies(self_, function.get(), wanted.data(),
                                                    wanted.size(), sizeof(cf_view), &name.sink,
                                                    &content.sink, &error);
    });
    if (status == CF_INVALID)
        return base::Failure{.reason = "invalid_function",
                             .detail = errorMessage(error, "is refused by the runtime"),
                             .hint = errorHint(error)};
    if (status != CF_OK || name.text.empty() || name.overflowed || content.overflowed)
        return failureOf("write the manifest of the dependencies", status, error);
    return ManifestFile{std::move(name.text), std::move(content.text)};
}

void Executor::discard(std::string_view artifactKey) const {
    if (!available()) return;
    auto error = prefixed<cf_error>();
    guarded(error, [&] {
        table_.operations.discard(self_, toView(artifactKey));
        return cf_status{CF_OK};
    });
}

}  // namespace cf::executors
