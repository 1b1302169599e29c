#include "app/record_reader.hpp"

namespace cf::app {

namespace {

base::Failure switchedOff() {
    return {.reason = "not_found", .detail = "invocations are not recorded on this platform", .hint = "set records.enabled = true"};
}

}  // namespace

base::Result<std::string> RecordReader::invocation(std::string_view invocationId) {
    if (recorder_ == nullptr) return switchedOff();
    auto record = recorder_->find(invocationId);
    if (!record) return std::move(record).failure();
    return telemetry::recordJson(*record, recorder_->node(), true);
}

base::Result<std::vector<std::string>> RecordReader::invocations(const std::string& functionId, size_t limit, const std::string& cursor,
                                                                 std::string& nextCursor) {
    if (recorder_ == nullptr) return switchedOff();
    auto records = recorder_->list({.functionId = functionId, .before = cursor, .limit = limit + 1});
    if (!records) return std::move(records).failure();
    if (records->size() > limit) {
        records->resize(limit);
        nextCursor = records->back().invocationId;
    }
    std::vector<std::string> documents;
    for (const auto& record : *records) documents.push_back(telemetry::recordJson(record, recorder_->node(), false));
    return documents;
}

base::Result<std::vector<std::string>> RecordReader::logs(const functions::FunctionEntry& function, const LogQuery& query) {
    telemetry::LogQuery wanted{.tail = query.tail};
    if (!query.invocationId.empty()) wanted.invocations.push_back(query.invocationId);
    if (!query.requestId.empty()) {
        if (recorder_ == nullptr) return switchedOff();
        auto ids = recorder_->withRequestId(function.function.id, query.requestId);
        if (!ids) return std::move(ids).failure();
        if (ids->empty()) return std::vector<std::string>{};
        wanted.invocations.insert(wanted.invocations.end(), ids->begin(), ids->end());
    }
    return logs_.tail(function.function.id, wanted);
}

}  // namespace cf::app
