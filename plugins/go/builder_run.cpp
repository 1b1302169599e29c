#include "builder_run.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace go_executor {

using cloudfunction::Failed;
using cloudfunction::Remark;
using cloudfunction::ToolRun;

namespace {

// Exit codes of the builder.
constexpr int sourceAtFault = 1;
constexpr int lacksSums = 3;

std::string unescape(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        const char c = text[++i];
        out += c == 't' ? '\t' : c == 'n' ? '\n' : c;
    }
    return out;
}

std::string describe(const Remark& remark) {
    std::string text = remark.file;
    if (remark.line != 0) text += ":" + std::to_string(remark.line) + ":" + std::to_string(remark.column);
    return text.empty() ? remark.message : text + ": " + remark.message;
}

std::string trimmed(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

std::string readFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

bool Report::failed() const {
    return std::any_of(remarks.begin(), remarks.end(), [](const Remark& remark) { return !remark.warning; });
}

bool readRemark(std::string_view line, Remark& remark) {
    std::array<std::string_view, 5> fields;
    for (size_t i = 0; i < fields.size(); ++i) {
        const size_t end = i + 1 < fields.size() ? line.find('\t') : line.size();
        if (end == std::string_view::npos) return false;
        fields[i] = line.substr(0, end);
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    if (fields[0] != "error" && fields[0] != "warning") return false;
    remark.warning = fields[0] == "warning";
    remark.file = unescape(fields[1]);
    remark.line = static_cast<uint32_t>(std::strtoul(std::string(fields[2]).c_str(), nullptr, 10));
    remark.column = static_cast<uint32_t>(std::strtoul(std::string(fields[3]).c_str(), nullptr, 10));
    remark.message = unescape(fields[4]);
    return true;
}

Report readReport(std::string_view records) {
    Report report;
    while (!records.empty()) {
        const size_t end = std::min(records.find('\n'), records.size());
        const std::string_view line = records.substr(0, end);
        records.remove_prefix(std::min(end + 1, records.size()));
        if (Remark remark; readRemark(line, remark)) {
            report.remarks.push_back(std::move(remark));
            continue;
        }
        const size_t tab = line.find('\t');
        if (tab == std::string_view::npos) continue;
        const std::string_view kind = line.substr(0, tab);
        std::string value = unescape(line.substr(tab + 1));
        if (kind == "state") report.state = std::move(value);
        else if (kind == "vendor") report.vendor = std::move(value);
        else if (kind == "import") report.imports.push_back(std::move(value));
        else if (kind == "lock") report.lock = std::move(value);
        else if (kind == "offline") report.offline = true;
    }
    return report;
}

Report BuilderRun::run(const Command& command) const {
    // Records go to a file where the two streams are shown to the user.
    const std::string reportFile = artifactDir_ + "/.report";
    cloudfunction::Tool tool;
    tool.argv = {tools_.builder, command.name, "-source", sourceDir_, "-handler", std::string(function_.handler),
                 "-goroot", tools_.root, "-home", tools_.home, "-cache", tools_.cache, "-scratch", artifactDir_ + "/.build"};
    tool.argv.insert(tool.argv.end(), command.arguments.begin(), command.arguments.end());
    if (command.network) tool.argv.insert(tool.argv.end(), {"-patience", std::to_string(registryTimeout_) + "s"});
    if (!command.input.empty()) tool.argv.emplace_back("-input");
    if (command.logged) tool.argv.insert(tool.argv.end(), {"-report", reportFile});
    tool.environment = {{"PATH", "/usr/bin:/bin"}, {"TMPDIR", artifactDir_}};
    tool.environment.insert(tool.environment.end(), command.environment.begin(), command.environment.end());
    tool.directory = artifactDir_;
    tool.input = command.input;
    tool.network = command.network;
    tool.logged = command.logged;
    const ToolRun run = job_.run(tool);
    Report report = readReport(command.logged ? readFile(reportFile) : run.output);
    if (command.logged) ::unlink(reportFile.c_str());
    if (run.exitCode == sourceAtFault && report.failed()) return report;
    if (run.exitCode == lacksSums) {
        report.incomplete = true;
        return report;
    }
    if (run.outOfMemory)
        throw Failed(CF_FAILED, "the Go compiler ran out of memory", "Raise the memory limit of builds, or split the code.");
    if (job_.cancelled()) throw Failed(CF_CANCELLED, "the build was cancelled");
    if (!run.ok())
        throw Failed(CF_FAILED, run.errors.empty() ? "the Go builder was ended by signal " + std::to_string(run.signal)
                                                   : trimmed(run.errors));
    return report;
}

void BuilderRun::passOn(const Report& report) const {
    std::string first;
    size_t errors = 0;
    for (const Remark& remark : report.remarks) {
        job_.report(remark);
        if (!remark.warning && errors++ == 0) first = describe(remark);
    }
    if (errors > 1) first += " (and " + std::to_string(errors - 1) + " more)";
    if (errors > 0) throw Failed(CF_INVALID, first);
}

}  // namespace go_executor
