#include "toolchain.hpp"

#include <fcntl.h>
#include <poll.h>
#include <simdjson.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "source.hpp"

namespace node_executor {

namespace fs = std::filesystem;
using cloudfunction::Failed;

namespace {

// The platform ends a look for toolchains before (executors.probe_timeout).
constexpr int probeTimeoutMs = 600000;
// Since then it can leave the registry's addresses out of a lock.
constexpr std::pair<int, int> oldestNpm = {8, 12};
constexpr const char* installNode =
    "apt install nodejs, or set executor.node.path to a node program";

// Standard output of a program that ends with 0 in time, else nothing.
std::optional<std::string> outputOf(const std::vector<std::string>& command) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    std::vector<char*> argv;
    for (const auto& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    // NODE_OPTIONS of whoever started the platform must not decide what is found.
    std::string path =
        std::string("PATH=") + (std::getenv("PATH") ? std::getenv("PATH") : "/usr/bin:/bin");
    std::string home = "HOME=/tmp";
    char* environment[] = {path.data(), home.data(), nullptr};
    pid_t child = -1;
    const int failed = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environment);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed != 0) {
        close(ends[0]);
        return std::nullopt;
    }
    std::string output;
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(probeTimeoutMs);
    for (char piece[1024];;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd ready{ends[0], POLLIN, 0};
        if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) {
            kill(child, SIGKILL);
            break;
        }
        const ssize_t count = read(ends[0], piece, sizeof piece);
        if (count <= 0) break;
        output.append(piece, static_cast<size_t>(count));
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
    return output;
}

std::string onPath(const char* name) {
    const char* path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
    while (!rest.empty()) {
        const size_t colon = rest.find(':');
        const std::string candidate = std::string(rest.substr(0, colon)) + "/" + name;
        // A probe's right to look below private folders is a capability, which access(2) leaves
        // out.
        if (candidate[0] == '/' && faccessat(AT_FDCWD, candidate.c_str(), X_OK, AT_EACCESS) == 0)
            return candidate;
        rest = colon == std::string_view::npos ? std::string_view{} : rest.substr(colon + 1);
    }
    return {};
}

// A worker has a user of its own, so the program must be open to everybody. The folders above need
// not be: the sandbox mounts the program itself.
bool everybodyMayRun(const std::string& program) {
    struct stat about {};
    return stat(program.c_str(), &about) == 0 && (about.st_mode & 0005) == 0005;
}

// The folder to mount along with a program outside of /usr: its installation when it is one, never
// somebody's home.
std::string prefixOf(const std::string& program) {
    const fs::path folder = fs::path(program).parent_path();
    std::error_code ignored;
    if (folder.filename() != "bin") return {};
    const fs::path prefix = folder.parent_path();
    const bool installation = fs::exists(prefix / "include" / "node", ignored) ||
                              fs::exists(prefix / "lib" / "node_modules", ignored);
    return installation && prefix != prefix.root_path() ? prefix.string() : std::string{};
}

std::string textOf(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::stringstream content;
    content << in.rdbuf();
    return content.str();
}

std::vector<std::string> linesOf(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

// "9.2.0" to {9, 2}.
std::pair<int, int> majorMinor(const std::string& version) {
    const size_t dot = version.find('.');
    return {std::atoi(version.c_str()),
            dot == std::string::npos ? 0 : std::atoi(version.c_str() + dot + 1)};
}

// npm is a script that comes with Node.js, so Node.js says where it lies: what is called npm on
// PATH may be a version manager's shim that works in a home directory only.
void findNpm(const cloudfunction::Host& host, Toolchain& toolchain) {
    const fs::path prefix = fs::path(toolchain.node).parent_path().parent_path();
    const std::string given = host.property("npm");
    std::vector<fs::path> candidates = {given};
    if (given.empty()) {
        candidates = {prefix / "lib/node_modules/npm/bin/npm-cli.js",
                      "/usr/share/nodejs/npm/bin/npm-cli.js", "/usr/share/npm/bin/npm-cli.js"};
        std::error_code failed;
        const fs::path onThePath = fs::canonical(onPath("npm"), failed);
        if (!failed && onThePath.filename() == "npm-cli.js") candidates.push_back(onThePath);
    }
    toolchain.npmProblem = given.empty() ? "npm was not found" : "there is no npm at " + given;
    for (const auto& candidate : candidates) {
        std::error_code failed;
        const fs::path real = fs::canonical(candidate, failed);
        if (failed) continue;
        std::string version =
            packageMember(textOf(real.parent_path().parent_path() / "package.json"), "version");
        if (majorMinor(version) < oldestNpm) {
            toolchain.npmProblem = "npm " + version + " at " + real.string() +
                                   " is too old; version " + std::to_string(oldestNpm.first) + "." +
                                   std::to_string(oldestNpm.second) + " or later is needed";
            continue;
        }
        toolchain.npm = real.string();
        toolchain.npmVersion = std::move(version);
        toolchain.npmProblem.clear();
        toolchain.config = collectOperatorConfig(toolchain.npm);
        break;
    }
    std::error_code ignored;
    if (fs::exists(prefix / "include/node/node.h", ignored)) toolchain.headers = prefix.string();
}

std::string findEsbuild(const cloudfunction::Host& host) {
    const std::string given = host.property("esbuild");
    const std::string program = given.empty() ? onPath("esbuild") : given;
    if (program.empty()) return {};
    std::error_code failed;
    const fs::path real = fs::canonical(program, failed);
    if (failed || !outputOf({real.string(), "--version"})) {
        host.log(CF_LOG_WARNING,
                 "esbuild at " + program + " does not run; TypeScript is unavailable");
        return {};
    }
    return real.string();
}

}  // namespace

bool belowUsr(std::string_view path) {
    return path.starts_with("/usr/") || path.starts_with("/bin/");
}

bool Toolchain::outsideOfUsr() const { return !node.empty() && !belowUsr(node); }

int Toolchain::npmMajor() const { return majorMinor(npmVersion).first; }

std::string Toolchain::path() const {
    const std::string folder = fs::path(node).parent_path().string();
    return (belowUsr(folder + "/") ? "" : folder + ":") + "/usr/local/bin:/usr/bin:/bin";
}

void Toolchain::mountForTools(const cloudfunction::Job& job) const {
    const std::string ours = prefix.empty() ? node : prefix;
    if (outsideOfUsr()) job.mount(ours, ours, CF_MOUNT_READ_ONLY);
    const std::string root = fs::path(npm).parent_path().parent_path().string();
    const bool seen = belowUsr(npm) || (!prefix.empty() && npm.starts_with(prefix + "/"));
    if (!npm.empty() && !seen) job.mount(root, root, CF_MOUNT_READ_ONLY);
}

std::string Toolchain::json() const {
    using cloudfunction::jsonString;
    return "{\"version\":" + jsonString(version) + ",\"compatibility\":" + jsonString(abi) + ",\"path\":" + jsonString(node) +
           ",\"prefix\":" + jsonString(prefix) + ",\"esbuild\":" + jsonString(esbuild) +
           ",\"npm\":" + jsonString(npm) + ",\"npm_version\":" + jsonString(npmVersion) +
           ",\"npm_problem\":" + jsonString(npmProblem) + ",\"headers\":" + jsonString(headers) +
           ",\"config\":" + config.json() +
           (esbuild.empty() ? ",\"warning\":\"TypeScript is unavailable: esbuild was not found; "
                              "apt install esbuild\""
                            : "") +
           "}";
}

Toolchain Toolchain::fromJson(std::string_view found) {
    Toolchain toolchain;
    if (found.empty()) return toolchain;
    simdjson::dom::parser parser;
    const simdjson::dom::object object = parser.parse(found.data(), found.size());
    const auto read = [&](const char* key) {
        std::string_view value;
        return object[key].get(value) == simdjson::SUCCESS ? std::string(value) : std::string{};
    };
    toolchain.node = read("path");
    toolchain.version = read("version");
    toolchain.abi = read("compatibility");
    toolchain.prefix = read("prefix");
    toolchain.esbuild = read("esbuild");
    toolchain.npm = read("npm");
    toolchain.npmVersion = read("npm_version");
    toolchain.npmProblem = read("npm_problem");
    toolchain.headers = read("headers");
    simdjson::dom::object config;
    if (object["config"].get(config) == simdjson::SUCCESS)
        toolchain.config = OperatorConfig::fromJson(simdjson::minify(config));
    return toolchain;
}

Toolchain probeToolchain(const cloudfunction::Host& host) {
    const std::string given = host.property("path");
    const std::string program = given.empty() ? onPath("node") : given;
    if (program.empty())
        throw Failed(CF_UNAVAILABLE, "there is no program node on PATH", installNode);
    const auto answer =
        outputOf({program, "-p",
                  "[process.execPath, process.versions.node, process.versions.modules + ' ' + "
                  "process.platform + ' ' + process.arch].join('\\n')"});
    const std::vector<std::string> lines = answer ? linesOf(*answer) : std::vector<std::string>{};
    if (lines.size() < 2) {
        throw Failed(CF_UNAVAILABLE, program + " does not run, or is not Node.js", installNode);
    }
    Toolchain toolchain;
    toolchain.node = lines[0];
    toolchain.version = lines[1];
    if (lines.size() > 2) toolchain.abi = lines[2];
    if (std::atoi(toolchain.version.c_str()) < oldestMajor) {
        throw Failed(CF_UNAVAILABLE,
                     "Node.js " + toolchain.version + " at " + toolchain.node +
                         " is too old; version " + std::to_string(oldestMajor) +
                         " or later is needed",
                     installNode);
    }
    if (!everybodyMayRun(toolchain.node)) {
        throw Failed(CF_UNAVAILABLE,
                     "workers run as users of their own, and may not run " + toolchain.node,
                     "chmod o+rx " + toolchain.node);
    }
    if (!belowUsr(toolchain.node)) toolchain.prefix = prefixOf(toolchain.node);
    toolchain.esbuild = findEsbuild(host);
    findNpm(host, toolchain);
    return toolchain;
}

}  // namespace node_executor
