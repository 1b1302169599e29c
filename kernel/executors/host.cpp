#include "executors/host.hpp"

#include <exception>

#include "base/log.hpp"
#include "executors/job.hpp"
#include "executors/plugin_table.hpp"

namespace cf::executors {

namespace {

constexpr const char* noJob = "there is no build in this place";

// Nothing may be thrown into a plugin (it may be written in C), so every service goes through here.
// A sink of the plugin may throw as well.
template <typename Operation>
cf_status contained(cf_error* error, Operation operation) noexcept {
    try {
        return operation();
    } catch (const std::exception& exception) {
        return fillError(error, CF_FAILED, exception.what());
    } catch (...) {
        return fillError(error, CF_FAILED, "something that is not an exception was thrown");
    }
}

int32_t cancelled(cf_job* job) { return job == nullptr || job->build->stopped() ? 1 : 0; }

void toolMount(cf_job* job, cf_view source, cf_view target, uint32_t flags) {
    contained(nullptr, [&] {
        if (job != nullptr) job->build->mount(source, target, flags);
        return CF_OK;
    });
}

cf_status runTool(cf_job* job, const cf_tool* tool, cf_tool_result* result, cf_error* error) {
    return contained(error, [&] {
        if (job == nullptr || tool == nullptr) return fillError(error, CF_FAILED, noJob);
        return job->build->run(*tool, result, error);
    });
}

cf_status check(cf_job* job, cf_view file, cf_view source, const cf_sink* remarks,
                cf_error* error) {
    return contained(error, [&] {
        if (job == nullptr) return fillError(error, CF_FAILED, noJob);
        return job->build->check(file, source, remarks, error);
    });
}

void diagnostic(cf_job* job, const cf_diagnostic* diagnostic) {
    contained(nullptr, [&] {
        if (job != nullptr && diagnostic != nullptr) job->build->diagnostic(*diagnostic);
        return CF_OK;
    });
}

void buildLog(cf_job* job, cf_view line) {
    contained(nullptr, [&] {
        if (job != nullptr) job->build->log(viewText(line));
        return CF_OK;
    });
}

void scratch(cf_job* job, const cf_sink* path) {
    contained(nullptr, [&] {
        if (job != nullptr) job->build->scratch(path);
        return CF_OK;
    });
}

cf_status recallLock(cf_job* job, cf_view name, cf_view madeFrom, uint32_t flags,
                     const cf_sink* content) {
    return contained(nullptr, [&] {
        return job == nullptr ? CF_FAILED : job->build->recallLock(name, madeFrom, flags, content);
    });
}

void keepLock(cf_job* job, cf_view name, cf_view madeFrom, cf_view content) {
    contained(nullptr, [&] {
        if (job != nullptr) job->build->keepLock(name, madeFrom, content);
        return CF_OK;
    });
}

cf_status layer(cf_job* job, cf_view key, uint32_t flags, cf_layer_fill fill, void* context,
                const cf_sink* directory, const cf_sink* link, cf_error* error) {
    return contained(error, [&] {
        if (job == nullptr) return fillError(error, CF_FAILED, noJob);
        return job->build->layer(key, flags, fill, context, directory, link, error);
    });
}

base::LogLevel levelOf(int32_t level) {
    switch (level) {
        case CF_LOG_DEBUG:
            return base::LogLevel::debug;
        case CF_LOG_INFO:
            return base::LogLevel::info;
        case CF_LOG_WARNING:
            return base::LogLevel::warning;
        default:
            return base::LogLevel::error;
    }
}

}  // namespace

ExecutorHost::ExecutorHost(std::map<std::string, std::string> properties, std::string homeParent)
    : properties_(std::move(properties)), homeParent_(std::move(homeParent)) {
    table_ = prefixed<cf_host>();
    table_.context = this;
    table_.log = &ExecutorHost::log;
    table_.property = &ExecutorHost::property;
    table_.get_extension = [](void*, cf_view) -> const void* { return nullptr; };
    table_.cancelled = &cancelled;
    table_.tool_mount = &toolMount;
    table_.run_tool = &runTool;
    table_.check = &check;
    table_.diagnostic = &diagnostic;
    table_.build_log = &buildLog;
    table_.scratch = &scratch;
    table_.recall_lock = &recallLock;
    table_.keep_lock = &keepLock;
    table_.layer = &layer;
}

void ExecutorHost::log(void* context, int32_t level, cf_view message) {
    contained(nullptr, [&] {
        const auto* self = static_cast<ExecutorHost*>(context);
        base::log(levelOf(level), self->id_.empty() ? "executor" : "executor " + self->id_,
                  viewText(message).substr(0, 8192));
        return CF_OK;
    });
}

cf_status ExecutorHost::property(void* context, cf_view key, const cf_sink* value) {
    return contained(nullptr, [&] {
        const auto* self = static_cast<ExecutorHost*>(context);
        if (self->id_.empty() || value == nullptr || value->write == nullptr)
            return cf_status{CF_FAILED};
        if (viewText(key) == "home") {
            value->write(value->context, toView(self->homeParent_ + "/" + self->id_));
            return cf_status{CF_OK};
        }
        const auto found = self->properties_.find(self->id_ + "." + std::string(viewText(key)));
        if (found == self->properties_.end()) return cf_status{CF_FAILED};
        value->write(value->context, toView(found->second));
        return cf_status{CF_OK};
    });
}

}  // namespace cf::executors
