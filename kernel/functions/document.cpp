#include "functions/document.hpp"

#include "base/clock.hpp"
#include "functions/draft_sources.hpp"
#include "functions/json_text.hpp"
#include "functions/sources.hpp"

namespace cf::functions {

namespace {

std::string timeText(int64_t ms) { return base::jsonString(base::rfc3339(base::fromUnixMs(ms))); }

std::string environmentJson(const Environment& environment) {
    JsonObject object;
    for (const auto& [name, value] : environment) object.text(name, value);
    return object.done();
}

std::string textsJson(const std::vector<std::string>& texts) {
    JsonArray array;
    for (const auto& text : texts) array.text(text);
    return array.done();
}

std::string networkJson(const NetworkRules& network) {
    return JsonObject()
        .text("mode", network.mode == NetworkMode::none ? "none" : "outbound")
        .raw("allow", textsJson(network.allow))
        .done();
}

std::string httpJson(const HttpSettings& http) {
    JsonObject object;
    object.boolean("enabled", http.enabled);
    if (http.cors)
        object.raw("cors", JsonObject()
                               .raw("origins", textsJson(http.cors->origins))
                               .raw("methods", textsJson(http.cors->methods))
                               .raw("headers", textsJson(http.cors->headers))
                               .boolean("credentials", http.cors->credentials)
                               .number("max_age", http.cors->maxAgeSeconds)
                               .done());
    return object.done();
}

std::string labelsJson(const std::map<std::string, std::string>& labels) {
    JsonObject object;
    for (const auto& [name, value] : labels) object.text(name, value);
    return object.done();
}

std::string liveJson(const std::vector<LiveShare>& live) {
    JsonArray array;
    for (const auto& share : live)
        array.raw(
            JsonObject().number("version", share.version).number("weight", share.weight).done());
    return array.done();
}

void addCode(JsonObject& object, const Version& version) {
    const auto files = ownSources(version.spec, *version.sources);
    if (version.spec.fromCode && files.size() == 1) {
        object.text("code", files.front().content).null("files");
        return;
    }
    JsonObject contents;
    for (const auto& file : files) {
        if (isValidUtf8(file.content))
            contents.text(file.name, file.content);
        else
            contents.raw(file.name, JsonObject().text("base64", encodeBase64(file.content)).done());
    }
    object.null("code").raw("files", contents.done());
}

void addLimits(JsonObject& object, const Settings& settings) {
    object.raw("timeout", secondsText(settings.timeout.count()))
        .raw("init_timeout", secondsText(settings.initTimeout.count()))
        .number("memory", settings.memoryMb)
        .number("concurrency", settings.concurrency);
}

void addWorkers(JsonObject& object, const Settings& settings) {
    object.number("min_workers", settings.minWorkers)
        .number("max_workers", settings.maxWorkers)
        .number("keep_alive", settings.keepAlive.count());
}

JsonObject remarkObject(const base::SourceRemark& remark) {
    JsonObject object;
    if (!remark.file.empty()) object.text("file", remark.file);
    if (remark.line != 0) object.number("line", remark.line);
    if (remark.column != 0) object.number("column", remark.column);
    object.text("message", remark.message);
    return object;
}

std::string warningsJson(const Version& version) {
    JsonArray array;
    for (const auto& remark : version.remarks)
        if (remark.warning) array.raw(remarkJson(remark));
    return array.done();
}

constexpr std::string_view managedFields[] = {"project",    "version",    "live",       "state",
                                              "created_at", "updated_at", "created_by", "warnings"};

void addManaged(JsonObject& object, const FunctionEntry& entry) {
    for (const auto field : managedFields) object.raw(field, readOnlyField(entry, field));
}

}  // namespace

std::string remarkJson(const base::SourceRemark& remark) { return remarkObject(remark).done(); }

const char* stateName(VersionState state) {
    switch (state) {
        case VersionState::building:
            return "building";
        case VersionState::ready:
            return "ready";
        case VersionState::failed:
            break;
    }
    return "failed";
}

std::string readOnlyField(const FunctionEntry& entry, std::string_view field) {
    const Function& function = entry.function;
    if (field == "id") return base::jsonString(function.id);
    if (field == "project") return base::jsonString(function.project);
    if (field == "version") return std::to_string(entry.shown().number);
    if (field == "live") return liveJson(function.live);
    if (field == "state") return base::jsonString(stateName(entry.shown().state));
    if (field == "created_at") return timeText(function.createdAtMs);
    if (field == "updated_at") return timeText(function.updatedAtMs);
    if (field == "created_by") return base::jsonString(function.createdBy);
    return warningsJson(entry.shown());
}

std::string functionDocument(const FunctionEntry& entry, const Version& version) {
    const Function& function = entry.function;
    JsonObject object;
    object.text("id", function.id).text("name", function.name);
    object.text("runtime", version.spec.runtimeAlias).text("handler", version.spec.handler);
    if (version.sources) addCode(object, version);
    object.raw("dependencies", textsJson(version.spec.dependencies));
    addLimits(object, function.settings);
    object.raw("environment", environmentJson(version.spec.environment))
        .raw("network", networkJson(version.spec.network))
        .raw("http", httpJson(function.settings.http));
    addWorkers(object, function.settings);
    object.text("description", function.description).raw("labels", labelsJson(function.labels));
    addManaged(object, entry);
    return object.done();
}

std::string functionSummary(const FunctionEntry& entry) {
    const Function& function = entry.function;
    JsonObject object;
    object.text("id", function.id).text("name", function.name);
    object.text("runtime", entry.shown().spec.runtimeAlias)
        .text("handler", entry.shown().spec.handler);
    addLimits(object, function.settings);
    object.raw("http", httpJson(function.settings.http));
    addWorkers(object, function.settings);
    object.text("description", function.description).raw("labels", labelsJson(function.labels));
    addManaged(object, entry);
    return object.done();
}

std::string versionDocument(const Version& version, bool live) {
    JsonObject object;
    object.number("version", version.number)
        .text("state", stateName(version.state))
        .boolean("live", live);
    object.text("runtime", version.spec.runtimeAlias).text("handler", version.spec.handler);
    if (version.sources) addCode(object, version);
    object.raw("dependencies", textsJson(version.spec.dependencies));
    if (version.sources) {
        JsonObject locks;
        for (const Lock& lock : version.locks) locks.text(lock.name, lock.content);
        object.raw("locks", locks.done());
    }
    object.raw("environment", environmentJson(version.spec.environment))
        .raw("network", networkJson(version.spec.network));
    if (version.artifactKey.empty())
        object.null("artifact");
    else
        object.text("artifact", version.artifactKey);
    JsonArray remarks;
    for (const auto& remark : version.remarks)
        remarks.raw(remarkObject(remark)
                        .text("severity", remark.warning ? "warning" : "error")
                        .done());
    object.raw("diagnostics", remarks.done());
    if (version.failure)
        object.raw("error", JsonObject()
                                .text("reason", version.failure->reason)
                                .text("detail", version.failure->detail)
                                .text("hint", version.failure->hint)
                                .done());
    else
        object.null("error");
    object.raw("created_at", timeText(version.createdAtMs)).text("created_by", version.createdBy);
    return object.done();
}

}  // namespace cf::functions
