#include "functions/row_codec.hpp"

#include <algorithm>

#include "base/json.hpp"
#include "functions/json_text.hpp"

namespace cf::functions::rows {

namespace {

using simdjson::dom::element;

// Runs `use` with the root of `json` when it can be parsed.
template <typename Use>
void withRoot(std::string_view json, Use&& use) {
    simdjson::dom::parser parser;
    element root;
    if (!parser.parse(json.data(), json.size()).get(root)) use(root);
}

std::string textOf(element object, std::string_view key) {
    std::string_view text;
    return object[key].get(text) ? std::string() : std::string(text);
}

template <typename T>
void readNumber(element object, std::string_view key, T& out) {
    int64_t number = 0;
    if (!object[key].get(number)) out = static_cast<T>(number);
}

void readFlag(element object, std::string_view key, bool& out) {
    bool flag = false;
    if (!object[key].get(flag)) out = flag;
}

std::string texts(const std::vector<std::string>& list) {
    JsonArray array;
    for (const auto& text : list) array.text(text);
    return array.done();
}

void readTexts(element object, std::string_view key, std::vector<std::string>& out) {
    simdjson::dom::array array;
    if (object[key].get(array)) return;
    for (const element item : array)
        if (std::string_view text; !item.get(text)) out.emplace_back(text);
}

std::string remarkList(const std::vector<base::SourceRemark>& remarks) {
    JsonArray array;
    for (const auto& remark : remarks)
        array.raw(JsonObject()
                      .text("file", remark.file)
                      .number("line", remark.line)
                      .number("column", remark.column)
                      .text("message", remark.message)
                      .boolean("warning", remark.warning)
                      .done());
    return array.done();
}

std::vector<base::SourceRemark> readRemarks(element list) {
    std::vector<base::SourceRemark> remarks;
    simdjson::dom::array array;
    if (list.get(array)) return remarks;
    for (const element item : array) {
        base::SourceRemark& remark = remarks.emplace_back();
        remark.file = textOf(item, "file");
        remark.message = textOf(item, "message");
        readNumber(item, "line", remark.line);
        readNumber(item, "column", remark.column);
        readFlag(item, "warning", remark.warning);
    }
    return remarks;
}

}  // namespace

std::string encode(const Settings& settings) {
    JsonObject http;
    http.boolean("enabled", settings.http.enabled);
    if (settings.http.cors)
        http.raw("cors", JsonObject()
                             .raw("origins", texts(settings.http.cors->origins))
                             .raw("methods", texts(settings.http.cors->methods))
                             .raw("headers", texts(settings.http.cors->headers))
                             .boolean("credentials", settings.http.cors->credentials)
                             .number("max_age_s", settings.http.cors->maxAgeSeconds)
                             .done());
    return JsonObject()
        .number("timeout_ms", settings.timeout.count())
        .number("init_timeout_ms", settings.initTimeout.count())
        .number("memory_mb", settings.memoryMb)
        .number("concurrency", settings.concurrency)
        .number("min_workers", settings.minWorkers)
        .number("max_workers", settings.maxWorkers)
        .number("keep_alive_s", settings.keepAlive.count())
        .raw("http", http.done())
        .done();
}

Settings decodeSettings(std::string_view json) {
    Settings settings;
    withRoot(json, [&](element root) {
        int64_t timeout = settings.timeout.count(), initTimeout = settings.initTimeout.count();
        int64_t keepAlive = settings.keepAlive.count();
        readNumber(root, "timeout_ms", timeout);
        readNumber(root, "init_timeout_ms", initTimeout);
        readNumber(root, "keep_alive_s", keepAlive);
        settings.timeout = std::chrono::milliseconds(timeout);
        settings.initTimeout = std::chrono::milliseconds(initTimeout);
        settings.keepAlive = std::chrono::seconds(keepAlive);
        readNumber(root, "memory_mb", settings.memoryMb);
        readNumber(root, "concurrency", settings.concurrency);
        readNumber(root, "min_workers", settings.minWorkers);
        readNumber(root, "max_workers", settings.maxWorkers);
        element http, cors;
        if (root["http"].get(http)) return;
        readFlag(http, "enabled", settings.http.enabled);
        if (http["cors"].get(cors)) return;
        Cors& out = settings.http.cors.emplace();
        readTexts(cors, "origins", out.origins);
        readTexts(cors, "methods", out.methods);
        readTexts(cors, "headers", out.headers);
        readFlag(cors, "credentials", out.credentials);
        readNumber(cors, "max_age_s", out.maxAgeSeconds);
    });
    return settings;
}

// A list of pairs: an object would lose the order on its way through other tools.
std::string encode(const Environment& environment) {
    JsonArray array;
    for (const auto& [name, value] : environment)
        array.raw(JsonArray().text(name).text(value).done());
    return array.done();
}

// The mode, then a line for each destination: rows of older versions are read as they are.
std::string encodeNetwork(const NetworkRules& network) {
    std::string text = network.mode == NetworkMode::none ? "none" : "outbound";
    for (const auto& destination : network.allow) text += "\n" + destination;
    return text;
}

NetworkRules decodeNetwork(const std::string& text) {
    NetworkRules network;
    size_t end = std::min(text.find('\n'), text.size());
    if (text.compare(0, end, "none") == 0) network.mode = NetworkMode::none;
    while (end < text.size()) {
        const size_t start = end + 1;
        end = std::min(text.find('\n', start), text.size());
        network.allow.push_back(text.substr(start, end - start));
    }
    return network;
}

Environment decodeEnvironment(std::string_view json) {
    Environment environment;
    withRoot(json, [&](element root) {
        simdjson::dom::array array;
        if (root.get(array)) return;
        for (const element item : array) {
            std::string_view name, value;
            if (!item.at(0).get(name) && !item.at(1).get(value))
                environment.emplace_back(name, value);
        }
    });
    return environment;
}

std::string encode(const std::map<std::string, std::string>& labels) {
    JsonObject object;
    for (const auto& [name, value] : labels) object.text(name, value);
    return object.done();
}

std::string encode(const std::vector<std::string>& list) { return texts(list); }

std::vector<std::string> decodeTexts(std::string_view json) {
    std::vector<std::string> list;
    withRoot(json, [&](element root) {
        simdjson::dom::array array;
        if (root.get(array)) return;
        for (const element item : array)
            if (std::string_view text; !item.get(text)) list.emplace_back(text);
    });
    return list;
}

std::map<std::string, std::string> decodeLabels(std::string_view json) {
    std::map<std::string, std::string> labels;
    withRoot(json, [&](element root) {
        simdjson::dom::object object;
        if (root.get(object)) return;
        for (const auto [key, value] : object)
            if (std::string_view text; !value.get(text)) labels.emplace(key, text);
    });
    return labels;
}

std::string encode(const std::vector<LiveShare>& live) {
    JsonArray array;
    for (const auto& share : live)
        array.raw(
            JsonObject().number("version", share.version).number("weight", share.weight).done());
    return array.done();
}

std::vector<LiveShare> decodeLive(std::string_view json) {
    std::vector<LiveShare> live;
    withRoot(json, [&](element root) {
        simdjson::dom::array array;
        if (root.get(array)) return;
        for (const element item : array) {
            readNumber(item, "version", live.emplace_back().version);
            readNumber(item, "weight", live.back().weight);
        }
    });
    return live;
}

std::string encode(const std::vector<base::SourceRemark>& remarks) { return remarkList(remarks); }

std::vector<base::SourceRemark> decodeRemarks(std::string_view json) {
    std::vector<base::SourceRemark> remarks;
    withRoot(json, [&](element root) { remarks = readRemarks(root); });
    return remarks;
}

std::string encode(const std::optional<base::Failure>& failure) {
    if (!failure) return {};
    return JsonObject()
        .text("reason", failure->reason)
        .text("detail", failure->detail)
        .text("hint", failure->hint)
        .text("limit", failure->limit)
        .text("observed", failure->observed)
        .raw("remarks", remarkList(failure->remarks))
        .done();
}

std::optional<base::Failure> decodeFailure(std::string_view json) {
    if (json.empty()) return std::nullopt;
    base::Failure failure;
    withRoot(json, [&](element root) {
        failure.reason = textOf(root, "reason");
        failure.detail = textOf(root, "detail");
        failure.hint = textOf(root, "hint");
        failure.limit = textOf(root, "limit");
        failure.observed = textOf(root, "observed");
        element remarks;
        if (!root["remarks"].get(remarks)) failure.remarks = readRemarks(remarks);
    });
    return failure;
}

}  // namespace cf::functions::rows
