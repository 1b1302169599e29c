#include "esbuild.hpp"

#include <simdjson.h>

#include <charconv>
#include <fstream>
#include <utility>

#include "toolchain.hpp"

namespace node_executor {

using cloudfunction::Failed;
using cloudfunction::Remark;

namespace {

constexpr std::string_view mapMark = "//# sourceMappingURL=data:application/json;base64,";

std::string loaderOf(std::string_view file) {
    const std::string_view extension = file.substr(file.rfind('.') + 1);
    if (extension == "tsx" || extension == "jsx") return std::string(extension);
    return extension.find("ts") != std::string_view::npos ? "ts" : "js";
}

uint32_t number(std::string_view text) {
    uint32_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// `Could not resolve "axios"` with the line that adds it.
std::string missingPackage(const std::string& message) {
    const size_t begin = message.find('"') + 1;
    const std::string name = message.substr(begin, message.find('"', begin) - begin);
    if (name.empty() || name[0] == '.' || name[0] == '/') return message;
    return message + "; if it is a package, add it: \"dependencies\": [\"" + name +
           "\"], or to the dependencies of package.json";
}

// "    index.ts:3:6:" into `remark`.
bool parsePlace(std::string_view line, Remark& remark) {
    if (!line.starts_with("    ") || !line.ends_with(":")) return false;
    line = line.substr(4, line.size() - 5);
    const size_t second = line.rfind(':');
    const size_t first = second == std::string_view::npos || second == 0
                             ? std::string_view::npos
                             : line.rfind(':', second - 1);
    if (first == std::string_view::npos) return false;
    remark.file = line.substr(0, first);
    remark.line = number(line.substr(first + 1, second - first - 1));
    remark.column = number(line.substr(second + 1)) + 1;
    return remark.line > 0;
}

std::string fromBase64(std::string_view text) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const size_t digit = digits.find(c);
        if (digit == std::string_view::npos) break;
        bits = bits << 6 | static_cast<uint32_t>(digit);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out += static_cast<char>(bits >> count & 0xff);
    }
    return out;
}

// The files that the source map at the end of `code` names.
std::set<std::string> sourcesOf(std::string_view code) {
    std::set<std::string> files;
    const size_t at = code.rfind(mapMark);
    if (at == std::string_view::npos) return files;
    const std::string map = fromBase64(code.substr(at + mapMark.size()));
    simdjson::dom::parser parser;
    simdjson::dom::array sources;
    if (parser.parse(map)["sources"].get(sources) != simdjson::SUCCESS) return files;
    for (const simdjson::dom::element source : sources) {
        std::string_view name;
        if (source.get(name) == simdjson::SUCCESS) files.emplace(name);
    }
    return files;
}

// Node.js finds no TypeScript behind import(), so own files go through require, which the worker
// has taught that, and packages through Node.js as ever. `__toESM` is esbuild's: the namespace of
// what a require gives.
constexpr std::string_view importModule =
    R"js(async function __importModule(name, mode) {
  let file = "";
  if (/^(?:file:|\.{0,2}\/)|\.json$/.test(name)) {
    try {
      const path = String(name);
      file = require.resolve(path.startsWith("file:") ? require("url").fileURLToPath(path) : path);
    } catch (_) {}
  }
  const own = file.endsWith(".json") || (file && !file.includes("/node_modules/"));
  return own ? __toESM(require(file), mode) : import(name);
}
)js";

// Makes each import(), which esbuild has written as a require, a call of that function. What stands
// in its place is as long, because the source map counts columns.
void redirectImports(std::string& code) {
    constexpr std::string_view written = "Promise.resolve().then(() => __toESM(require(";
    constexpr std::string_view instead = "(                            __importModule((";
    static_assert(written.size() == instead.size());
    size_t at = code.find(written);
    if (at == std::string::npos) return;
    for (; at != std::string::npos; at = code.find(written, at))
        code.replace(at, written.size(), instead);
    const size_t map = code.rfind(mapMark);
    code.insert(map == std::string::npos ? code.size() : map, importModule);
}

void rewrite(const std::string& path, std::string_view content) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    out.close();
    if (!out) {
        throw Failed(CF_FAILED, "cannot write " + path.substr(path.rfind('/') + 1),
                     "is the data folder's disk full?");
    }
}

}  // namespace

cloudfunction::Remarks parseEsbuildOutput(std::string_view text) {
    constexpr std::string_view error = "[ERROR] ", warning = "[WARNING] ";
    cloudfunction::Remarks remarks;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (const size_t at = line.find(error); at != std::string_view::npos && at < 8) {
            remarks.push_back({.file = {}, .message = std::string(line.substr(at + error.size()))});
        } else if (const size_t mark = line.find(warning);
                   mark != std::string_view::npos && mark < 8) {
            remarks.push_back({.file = {},
                               .message = std::string(line.substr(mark + warning.size())),
                               .warning = true});
        } else if (!remarks.empty() && remarks.back().line == 0) {
            parsePlace(line, remarks.back());
        }
    }
    return remarks;
}

Esbuild::Esbuild(const cloudfunction::Job& job, std::string program, std::string target)
    : job_(job), program_(std::move(program)), target_(std::move(target)) {}

std::string Esbuild::transform(std::string_view file, std::string_view source) {
    cloudfunction::Tool tool;
    tool.argv = {"--loader=" + loaderOf(file), "--sourcefile=" + std::string(file)};
    tool.input = source;
    return codeOf(file, run(file, std::move(tool)));
}

Bundle Esbuild::bundle(const std::string& folder, const cloudfunction::File& entry,
                       const std::vector<std::string>& packages, const std::string& line,
                       const std::string& variable) {
    const std::string name(entry.name);
    cloudfunction::Tool tool;
    tool.argv = {"./" + name, "--bundle", "--platform=node", "--footer:js=var " + variable + ";"};
    for (const auto& package : packages) tool.argv.push_back("--external:" + package);
    tool.directory = folder;
    rewrite(folder + "/" + name, std::string(entry.content) + line);
    cloudfunction::ToolRun made = run(name, tool);
    rewrite(folder + "/" + name, entry.content);
    // Its mistakes are told as if the line had never been there.
    if (!made.ok()) made = run(name, tool);
    Bundle bundle{.code = codeOf(name, std::move(made)), .files = {}};
    bundle.files = sourcesOf(bundle.code);
    return bundle;
}

cloudfunction::ToolRun Esbuild::run(std::string_view file, cloudfunction::Tool tool) {
    if (program_.empty()) {
        throw Failed(CF_UNAVAILABLE,
                     std::string(file) + " needs esbuild, which this machine does not have",
                     "apt install esbuild, or set executor.node.esbuild to the program, and "
                     "restart the platform");
    }
    if (!mounted_ && !belowUsr(program_)) job_.mount(program_, program_, CF_MOUNT_READ_ONLY);
    mounted_ = true;
    tool.argv.insert(tool.argv.begin(), program_);
    for (const std::string& flag :
         {std::string("--format=cjs"), "--target=node" + target_, std::string("--sourcemap=inline"),
          std::string("--sources-content=false"), std::string("--charset=utf8"),
          std::string("--supported:dynamic-import=false"),
          std::string("--log-limit=50"), std::string("--color=false")})
        tool.argv.push_back(flag);
    // esbuild is a Go program; one thread is enough for one file and keeps it small.
    tool.environment = {{"HOME", "/tmp"}, {"PATH", "/usr/bin:/bin"}, {"GOMAXPROCS", "1"}};
    tool.timeoutMs = 60000;
    return job_.run(tool);
}

std::string Esbuild::codeOf(std::string_view file, cloudfunction::ToolRun run) {
    const auto remarks = parseEsbuildOutput(run.errors);
    for (auto remark : remarks) {
        if (remark.file.empty()) remark.file = file;
        if (remark.message.starts_with("Top-level await is currently not supported")) {
            remark.message =
                "await outside of a function works in JavaScript modules only; put it into an "
                "async function";
        } else if (remark.message.starts_with("Could not resolve \"")) {
            remark.message = missingPackage(remark.message);
        }
        job_.report(remark);
    }
    if (run.ok()) {
        redirectImports(run.output);
        return std::move(run.output);
    }
    for (const auto& remark : remarks) {
        if (remark.warning) continue;
        const std::string place = remark.file.empty() ? std::string(file) : remark.file;
        throw Failed(CF_INVALID, place + ": " + remark.message);
    }
    throw Failed(CF_FAILED, "esbuild failed on " + std::string(file) + ": " +
                                (run.errors.empty() ? "it said nothing" : run.errors));
}

}  // namespace node_executor
