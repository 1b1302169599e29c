#include "build.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace go_executor {

using cloudfunction::Failed;
using cloudfunction::FunctionInfo;
using cloudfunction::Job;
using cloudfunction::Remark;
using cloudfunction::ToolRun;

namespace {

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

// Passes the remarks on; gives the errors in short: the first, and how many more.
std::string passOn(const Job& job, std::string_view output) {
    std::string first;
    size_t errors = 0;
    while (!output.empty()) {
        const size_t end = std::min(output.find('\n'), output.size());
        Remark remark;
        if (readRemark(output.substr(0, end), remark)) {
            job.report(remark);
            if (!remark.warning && errors++ == 0) first = describe(remark);
        }
        output.remove_prefix(std::min(end + 1, output.size()));
    }
    if (errors > 1) first += " (and " + std::to_string(errors - 1) + " more)";
    return first;
}

}  // namespace

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

void build(const Job& job, const FunctionInfo& function, const Toolset& tools, const std::string& sourceDir,
           const std::string& artifactDir) {
    const ReadyTools ready = tools.provide(job, artifactDir);
    const std::string program = artifactDir + "/main";
    const ToolRun run = job.run({.argv = {ready.builder, "build",
                                          "-source", sourceDir,
                                          "-output", program,
                                          "-handler", std::string(function.handler),
                                          "-goroot", ready.root,
                                          "-home", ready.home,
                                          "-cache", ready.cache,
                                          "-scratch", artifactDir + "/.build"},
                                 .environment = {{"PATH", "/usr/bin:/bin"}, {"TMPDIR", artifactDir}},
                                 .directory = artifactDir,
                                 .input = {},
                                 .timeoutMs = 0});
    Toolset::clear(job, artifactDir);
    const std::string problems = passOn(job, run.output);
    if (run.exitCode == 1 && !problems.empty()) throw Failed(CF_INVALID, problems);
    if (run.outOfMemory)
        throw Failed(CF_FAILED, "the Go compiler ran out of memory", "Raise the memory limit of builds, or split the code.");
    if (job.cancelled()) throw Failed(CF_CANCELLED, "the build was cancelled");
    if (!run.ok())
        throw Failed(CF_FAILED, run.errors.empty() ? "the Go builder was ended by signal " + std::to_string(run.signal)
                                                   : trimmed(run.errors));
    if (::access(program.c_str(), F_OK) != 0) throw Failed(CF_FAILED, "the Go builder left no program");
}

}  // namespace go_executor
