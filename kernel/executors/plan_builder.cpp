#include "executors/plan_builder.hpp"

#include <algorithm>

namespace cf::executors {

namespace {

// A plan crosses to the launcher in one message, so it has to stay small.
constexpr size_t planBytes = 64u << 10;

bool hasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

bool isAbsolute(std::string_view path) {
    return path.size() > 1 && path.size() < 4096 && path[0] == '/' &&
           path.find("/../") == std::string_view::npos && !path.ends_with("/..");
}

}  // namespace

PlanBuilder::PlanBuilder() {
    table_ = prefixed<cf_plan>();
    table_.context = this;
    table_.argument = [](void* context, cf_view value) {
        auto& self = *static_cast<PlanBuilder*>(context);
        const auto text = viewText(value);
        if (hasNul(text) || (self.bytes_ += text.size() + 1) > planBytes)
            return self.wrong("its arguments hold a NUL byte or are too long");
        self.plan_.worker.argv.emplace_back(text);
    };
    table_.environment = [](void* context, cf_view name, cf_view value) {
        auto& self = *static_cast<PlanBuilder*>(context);
        const auto key = viewText(name), text = viewText(value);
        if (key.empty() || key.find('=') != std::string_view::npos || hasNul(key) || hasNul(text))
            return self.wrong(
                "its environment holds a variable without a proper name or with a NUL byte");
        if ((self.bytes_ += key.size() + text.size() + 2) > planBytes)
            return self.wrong("its environment is too long");
        self.plan_.worker.environment.emplace_back(key, text);
    };
    table_.mount = [](void* context, cf_view source, cf_view target, uint32_t flags) {
        static_cast<PlanBuilder*>(context)->mount(source, target, flags);
    };
    table_.set = [](void* context, uint32_t what, uint64_t value) {
        static_cast<PlanBuilder*>(context)->set(what, value);
    };
}

void PlanBuilder::wrong(const char* what) {
    if (wrong_.empty()) wrong_ = what;
}

void PlanBuilder::mount(cf_view source, cf_view target, uint32_t flags) {
    const auto from = viewText(source), to = viewText(target);
    if ((flags & ~CF_MOUNT_OPTIONAL) != CF_MOUNT_READ_ONLY)
        return wrong("a worker's mounts are read-only");
    if (!isAbsolute(from) || !isAbsolute(to) || hasNul(from) || hasNul(to))
        return wrong("a mount's paths are not absolute");
    if ((bytes_ += from.size() + to.size() + 2) > planBytes || plan_.worker.mounts.size() >= 100)
        return wrong("it has too many mounts");
    plan_.worker.mounts.push_back({std::string(from), std::string(to), sandbox::MountKind::readOnly,
                                   (flags & CF_MOUNT_OPTIONAL) != 0});
}

void PlanBuilder::set(uint32_t what, uint64_t value) {
    switch (what) {
        case CF_PLAN_EXEC:
            plan_.worker.execStub = value != 0;
            break;
        case CF_PLAN_CONCURRENCY:
            plan_.concurrency = static_cast<uint32_t>(std::clamp<uint64_t>(value, 1, 10'000));
            break;
        case CF_PLAN_CHECKS:
            plan_.checks = value != 0;
            break;
        case CF_PLAN_NOT_PREWARMED:
            plan_.notPrewarmed = value != 0;
            break;
        default:
            break;  // of a later minor; a plugin that depends on it says so in requires_minor
    }
}

base::Result<LaunchPlan> PlanBuilder::finish() && {
    if (wrong_.empty()) {
        const auto& argv = plan_.worker.argv;
        if (argv.empty() || argv[0].empty())
            wrong("it names no program");
        else if (plan_.worker.execStub ? !isSourceName(argv[0]) : !isAbsolute(argv[0]))
            wrong(plan_.worker.execStub ? "its program is not a path inside the artifact"
                                        : "its program is not an absolute path");
    }
    if (!wrong_.empty())
        return base::Failure{.reason = "executor_error",
                             .detail = "the executor's launch plan is not usable: " + wrong_};
    return std::move(plan_);
}

}  // namespace cf::executors
