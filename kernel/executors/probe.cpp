#include "executors/probe.hpp"

#include <cstring>

#include "base/json.hpp"
#include "base/printable.hpp"

namespace cf::executors {

namespace {

std::string propertiesJson(const std::map<std::string, std::string>& properties) {
    std::string json = "{";
    for (const auto& [key, value] : properties) {
        if (json.size() > 1) json += ',';
        base::appendJsonString(json, key);
        base::appendJsonString(json += ':', value);
    }
    return json += '}';
}

const char* stageOf(const ProbeReport& report) {
    if (report.id.empty()) return "while it was being loaded";
    if (report.manifestJson.empty()) return "while it described itself";
    return "while it looked for its toolchain";
}

std::string lastLine(std::string_view errors) {
    while (!errors.empty() && errors.back() == '\n') errors.remove_suffix(1);
    const size_t begin = errors.rfind('\n');
    return base::printable(
        (begin == std::string_view::npos ? errors : errors.substr(begin + 1)).substr(0, 300));
}

bool isObject(std::string_view json) {
    auto document = base::JsonDocument::parse(json);
    return document && document->root().is_object();
}

}  // namespace

ProbeReport probePlugin(ProcessRunner& runner, std::vector<std::string> command,
                        const ProbeRequest& request, std::chrono::milliseconds timeout) {
    command.push_back(request.library);
    command.push_back(request.homeParent);
    auto outcome = runner.run(command, propertiesJson(request.properties), timeout);
    ProbeReport report;
    if (!outcome) {
        report.unavailable = Unavailable{
            "its probe could not be started: " + outcome.failure().detail, outcome.failure().hint};
        return report;
    }
    if (auto read = readReport(outcome->output)) report = *std::move(read);
    if (report.unavailable) return report;

    std::string reason;
    if (outcome->timedOut)
        reason = std::string("it did not come back within ") +
                 std::to_string(timeout.count() / 1000) + " s " + stageOf(report);
    else if (outcome->signal != 0)
        reason = std::string("it crashed (") + strsignal(outcome->signal) + ") " + stageOf(report);
    else if (outcome->exitCode != 0 || report.found.empty())
        reason = std::string("it ended its process ") + stageOf(report);
    if (!reason.empty()) {
        const std::string said = lastLine(outcome->errors);
        report.unavailable =
            Unavailable{std::move(reason), said.empty() ? "" : "the last thing it wrote: " + said};
        report.found.clear();
    } else if (auto manifest = parseManifest(report.manifestJson); !manifest) {
        report.unavailable = Unavailable{manifest.failure().detail, ""};
    } else if (report.found.size() > foundLimit || !isObject(report.found)) {
        report.unavailable = Unavailable{"what its probe found is not a JSON object", ""};
    }
    return report;
}

}  // namespace cf::executors
