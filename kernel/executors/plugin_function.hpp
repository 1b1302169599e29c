// A FunctionSpec as the ABI's cf_function, with the arrays it points into. Lives for one call.
#pragma once

#include "executors/executor.hpp"

namespace cf::executors {

class PluginFunction {
public:
    explicit PluginFunction(const FunctionSpec& spec) {
        for (const auto& [name, content] : spec.files)
            files_.push_back({toView(name), toView(content)});
        for (const auto& [name, value] : spec.environment)
            environment_.push_back({toView(name), toView(value)});
        function_ = prefixed<cf_function>();
        function_.name = toView(spec.name);
        function_.runtime = toView(spec.runtime);
        function_.handler = toView(spec.handler);
        function_.files = files_.data();
        function_.file_count = files_.size();
        function_.file_stride = sizeof(cf_file);
        function_.environment = environment_.data();
        function_.environment_count = environment_.size();
        function_.environment_stride = sizeof(cf_pair);
        function_.memory_mb = spec.memoryMb;
        function_.concurrency = spec.concurrency;
        function_.timeout_ms = static_cast<uint64_t>(spec.timeout.count());
        function_.from_code = spec.fromCode ? 1 : 0;
    }
    PluginFunction(const PluginFunction&) = delete;
    PluginFunction& operator=(const PluginFunction&) = delete;

    const cf_function* get() const { return &function_; }

private:
    std::vector<cf_file> files_;
    std::vector<cf_pair> environment_;
    cf_function function_;
};

}  // namespace cf::executors
