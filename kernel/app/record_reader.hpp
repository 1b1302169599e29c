// Records and logs for the API: its RecordSource over telemetry. Control-plane threads.
#pragma once

#include "api/api.hpp"
#include "telemetry/function_logs.hpp"
#include "telemetry/recorder.hpp"

namespace cf::app {

class RecordReader final : public api::RecordSource {
public:
    // `recorder` may be null: records are switched off.
    RecordReader(telemetry::Recorder* recorder, telemetry::FunctionLogs& logs) : recorder_(recorder), logs_(logs) {}

    base::Result<std::string> invocation(std::string_view invocationId) override;
    base::Result<std::vector<std::string>> invocations(const std::string& functionId, size_t limit, const std::string& cursor,
                                                       std::string& nextCursor) override;
    base::Result<std::vector<std::string>> logs(const functions::FunctionEntry& function, const LogQuery& query) override;

private:
    telemetry::Recorder* recorder_;
    telemetry::FunctionLogs& logs_;
};

}  // namespace cf::app
