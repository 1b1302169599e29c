#include "executors/report.hpp"

#include "base/json.hpp"

namespace cf::executors {

namespace {

base::Failure unreadable(std::string detail) {
    return {.reason = "probe_failed", .detail = std::move(detail)};
}

std::string textAt(simdjson::dom::object from, const char* key) {
    std::string_view text;
    return from.at_key(key).get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

}  // namespace

std::string writeReport(const ProbeReport& report) {
    std::string line = "{\"id\":";
    base::appendJsonString(line, report.id);
    base::appendJsonString(line += ",\"version\":", report.version);
    base::appendJsonString(line += ",\"abi\":", report.abi);
    // Carried as text: it may hold line ends, and it is checked once more where it is read.
    base::appendJsonString(line += ",\"manifest\":", report.manifestJson);
    base::appendJsonString(line += ",\"found\":", report.found);
    if (report.unavailable) {
        base::appendJsonString(line += ",\"unavailable\":{\"reason\":", report.unavailable->reason);
        base::appendJsonString(line += ",\"hint\":", report.unavailable->hint);
        line += '}';
    }
    return line += "}\n";
}

base::Result<ProbeReport> readReport(std::string_view lines) {
    const size_t end = lines.rfind('\n');
    if (end == std::string_view::npos) return unreadable("it ended without a report");
    const size_t before = end == 0 ? std::string_view::npos : lines.rfind('\n', end - 1);
    const size_t begin = before == std::string_view::npos ? 0 : before + 1;
    auto document = base::JsonDocument::parse(lines.substr(begin, end - begin));
    simdjson::dom::object root;
    if (!document || document->root().get(root) != simdjson::SUCCESS)
        return unreadable("its report is not readable");
    ProbeReport report;
    report.id = textAt(root, "id");
    report.version = textAt(root, "version");
    report.abi = textAt(root, "abi");
    report.manifestJson = textAt(root, "manifest");
    report.found = textAt(root, "found");
    simdjson::dom::object unavailable;
    if (root.at_key("unavailable").get(unavailable) == simdjson::SUCCESS)
        report.unavailable =
            Unavailable{textAt(unavailable, "reason"), textAt(unavailable, "hint")};
    return report;
}

}  // namespace cf::executors
