#include "npm.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "npm_report.hpp"
#include "package_json.hpp"

namespace node_executor {

namespace fs = std::filesystem;
using cloudfunction::Failed;
using cloudfunction::Job;
using cloudfunction::Tool;
using cloudfunction::ToolRun;

namespace {

// Of npm's own settings; the operator's come behind them and win.
std::string settings(unsigned registryTimeout) {
    return "fetch-retries=1\n"
           "fetch-retry-mintimeout=1000\n"
           "fetch-retry-maxtimeout=5000\n"
           "fetch-timeout=" +
           std::to_string(registryTimeout) + "000\n";
}

// Read by Node.js before npm. --ignore-scripts does not mean all scripts: of a repository whose
// archive npm gets over https, versions before 11 run `prepare`. npm runs no code of packages but
// in processes that it starts, and here it starts none.
constexpr const char* noProcesses = R"js('use strict';
const child = require('child_process');
function refuse() {
    throw new Error('no program is started while packages are fetched');
}
child.ChildProcess.prototype.spawn = refuse;
for (const name of ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync']) child[name] = refuse;
if (process.execve) process.execve = refuse;
require('module').syncBuiltinESMExports();
)js";

void write(const fs::path& file, std::string_view content) {
    const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t written = 0;
    while (fd >= 0 && written < content.size()) {
        const ssize_t count = ::write(fd, content.data() + written, content.size() - written);
        if (count <= 0) break;
        written += static_cast<size_t>(count);
    }
    if (fd >= 0) close(fd);
    if (fd < 0 || written < content.size()) {
        throw Failed(CF_FAILED, "cannot write " + file.filename().string() + " for npm",
                     "is the data folder's disk full?");
    }
}

void discard(const fs::path& path) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
}

// Of the hundreds of lines about requests, those that tell how far it is.
std::string shownOf(std::string_view line) {
    if (line.empty() || line.starts_with("npm http cache ")) return {};
    constexpr std::string_view fetched = "npm http fetch GET 200 ";
    if (!line.starts_with(fetched)) return std::string(line);
    line.remove_prefix(fetched.size());
    const std::string_view address = line.substr(0, line.find(' '));
    // Answers about a package, rather than the package itself.
    if (!address.ends_with(".tgz") && address.find("/-/") == address.npos) return {};
    return "fetched " + std::string(address.substr(address.rfind('/') + 1));
}

[[noreturn]] void fail(const Job& job, const ToolRun& run, std::string_view lock,
                       std::string_view packageJson) {
    if (run.errors.find("heap out of memory") != std::string::npos) {
        throw Failed(CF_FAILED, "npm needed more memory than a build may use",
                     "raise build.memory_mb, or ask for fewer packages");
    }
    const NpmProblem problem = readNpmProblem(run.errors, lock);
    if (problem.users) job.report(remarkOn(packageJson, problem.package, problem.message));
    if (problem.unreachable) throw Unreachable(CF_INVALID, problem.message, problem.hint);
    throw Failed(problem.users ? CF_INVALID : CF_FAILED, problem.message, problem.hint);
}

}  // namespace

Npm::Npm(const Job& job, const Toolchain& toolchain, std::string userConfig,
         unsigned registryTimeout)
    : job_(job),
      toolchain_(toolchain),
      userConfig_(std::move(userConfig)),
      registryTimeout_(registryTimeout) {}

void Npm::prepareFolders() {
    if (!folder_.empty()) return;
    if (toolchain_.npm.empty()) {
        throw Failed(CF_UNAVAILABLE, "packages are asked for, and " + toolchain_.npmProblem,
                     "apt install npm, or set executor.node.npm to an npm-cli.js, and restart the "
                     "platform; or put the packages' source under files as node_modules/");
    }
    folder_ = job_.scratch() + "/npm";
    std::error_code failed;
    for (const char* name : {"cache", "config", "project"})
        fs::create_directories(fs::path(folder_) / name, failed);
    if (failed) throw Failed(CF_FAILED, "cannot make folders for npm: " + failed.message());
    write(folder_ + "/config/user", settings(registryTimeout_) + toolchain_.config.userConfig);
    write(folder_ + "/config/global", toolchain_.config.globalConfig);
    write(folder_ + "/config/no_processes.js", noProcesses);
    job_.mount(folder_, folder_, CF_MOUNT_WRITABLE);
    toolchain_.mountForTools(job_);
    for (const auto& file : toolchain_.config.files) {
        // Certificates of the machine are in every sandbox anyway.
        if (!belowUsr(file) && !file.starts_with("/etc/ssl/certs"))
            job_.mount(file, file, CF_MOUNT_READ_ONLY | CF_MOUNT_OPTIONAL);
    }
}

void Npm::forget() {
    if (folder_.empty()) return;
    for (const char* name : {"cache", "config", "project"}) discard(fs::path(folder_) / name);
    write(folder_ + "/nothing", "");
    for (const auto& file : toolchain_.config.files) {
        std::error_code ignored;
        if (belowUsr(file) || file.starts_with("/etc/ssl/certs")) continue;
        if (fs::is_regular_file(file, ignored))
            job_.mount(folder_ + "/nothing", file, CF_MOUNT_READ_ONLY);
    }
    job_.mount(folder_, folder_, CF_MOUNT_READ_ONLY);
}

Tool Npm::command(const std::vector<std::string>& arguments, const std::string& directory) const {
    Tool tool;
    tool.argv = {toolchain_.node, toolchain_.npm};
    tool.argv.insert(tool.argv.end(), arguments.begin(), arguments.end());
    for (const char* flag :
         {"--no-audit", "--no-fund", "--no-progress", "--no-color", "--no-update-notifier",
          "--logs-max=0", "--no-workspaces", "--location=project"})
        tool.argv.emplace_back(flag);
    tool.environment = {{"HOME", "/tmp"},
                        {"PATH", toolchain_.path()},
                        {"LANG", "C.UTF-8"},
                        {"NO_COLOR", "1"},
                        {"npm_config_cache", folder_ + "/cache"}};
    tool.directory = directory;
    tool.logged = true;
    return tool;
}

ToolRun Npm::fetch(const std::vector<std::string>& arguments, const std::string& directory) {
    Tool tool = command(arguments, directory);
    // Nothing of strangers runs next to the tokens.
    tool.argv.insert(tool.argv.begin() + 1, "--require=" + folder_ + "/config/no_processes.js");
    for (const char* flag : {"--loglevel=http", "--ignore-scripts", "--omit=dev",
                             "--omit-lockfile-registry-resolved", "--git=/bin/false"})
        tool.argv.emplace_back(flag);
    tool.environment.emplace_back("npm_config_userconfig", folder_ + "/config/user");
    tool.environment.emplace_back("npm_config_globalconfig", folder_ + "/config/global");
    for (const auto& pair : toolchain_.config.environment) tool.environment.push_back(pair);
    tool.network = true;
    tool.shown = shownOf;
    return job_.run(tool);
}

std::string Npm::resolve(std::string_view packageJson) {
    prepareFolders();
    // Its name is what npm calls the project in the lock.
    const fs::path project = fs::path(folder_) / "project" / "function";
    discard(project);
    std::error_code failed;
    fs::create_directories(project, failed);
    write(project / "package.json", packageJson);
    if (!userConfig_.empty()) write(project / ".npmrc", userConfig_);
    job_.log("Resolving packages");
    const ToolRun run = fetch({"install", "--package-lock-only"}, project.string());
    if (!run.ok()) fail(job_, run, {}, packageJson);
    std::ifstream in(project / "package-lock.json", std::ios::binary);
    std::stringstream lock;
    lock << in.rdbuf();
    if (!in || lock.str().empty())
        throw Failed(CF_FAILED, "npm ended well and wrote no package-lock.json");
    return lock.str();
}

void Npm::install(const std::string& directory, std::string_view packageJson,
                  const std::string& lockName, std::string_view lock) {
    prepareFolders();
    const fs::path place(directory);
    write(place / "package.json", packageJson);
    write(place / lockName, lock);
    if (!userConfig_.empty()) write(place / ".npmrc", userConfig_);
    // What resolving has just asked the registry is not asked again.
    job_.log("Fetching packages");
    const ToolRun run = fetch({"ci", "--prefer-offline"}, directory);
    if (!run.ok()) fail(job_, run, lock, packageJson);
    // The layer is node_modules and no more: no address of a registry, no name of a function.
    for (const auto& name : {std::string("package.json"), lockName, std::string(".npmrc"),
                             std::string("node_modules/.package-lock.json")})
        discard(place / name);
    std::error_code ignored;
    fs::create_directories(place / "node_modules", ignored);
}

ToolRun Npm::runScripts(const std::string& directory, const std::vector<std::string>& packages,
                        bool network) {
    std::vector<std::string> arguments = {"rebuild"};
    arguments.insert(arguments.end(), packages.begin(), packages.end());
    Tool tool = command(arguments, directory);
    for (const char* flag : {"--loglevel=info", "--foreground-scripts", "--ignore-scripts=false"})
        tool.argv.emplace_back(flag);
    if (toolchain_.npmMajor() >= 11) tool.argv.emplace_back("--dangerously-allow-all-scripts");
    tool.environment.back().second = "/tmp/npm";  // the cache
    tool.environment.emplace_back("npm_config_userconfig", "/tmp/none");
    tool.environment.emplace_back("npm_config_globalconfig", "/tmp/none-either");
    // Headers of this very Node.js, so that a compiler needs no download.
    if (!toolchain_.headers.empty())
        tool.environment.emplace_back("npm_config_nodedir", toolchain_.headers);
    tool.network = network;
    return job_.run(tool);
}

}  // namespace node_executor
