#include "toolset.hpp"

#include <unistd.h>

#include <filesystem>

namespace go_executor {

namespace fs = std::filesystem;
using cloudfunction::Failed;
using cloudfunction::Job;
using cloudfunction::Tool;
using cloudfunction::ToolRun;

namespace {

// The same paths in every sandbox, because they end up in programs and in the cache's keys.
constexpr const char* homeInside = "/opt/cloudfunction/go";
constexpr const char* toolsInside = "/opt/cloudfunction/go-tools";
constexpr const char* cacheInside = "/opt/cloudfunction/go-cache";

bool complete(const std::string& folder) { return ::access((folder + "/cf-go-build").c_str(), X_OK) == 0; }

bool below(const std::string& path, std::string_view folder) {
    return path.compare(0, folder.size(), folder) == 0 && path.size() > folder.size() && path[folder.size()] == '/';
}

// Copies regular files and folders. Entries of the cache keep their times, which lie far ahead on purpose
// (builder/warm.go says why).
void copyTree(const fs::path& from, const fs::path& to) {
    fs::create_directories(to);
    for (const auto& entry : fs::directory_iterator(from)) {
        const fs::path target = to / entry.path().filename();
        if (entry.is_symlink()) continue;
        if (entry.is_directory()) {
            copyTree(entry.path(), target);
        } else if (entry.is_regular_file()) {
            fs::copy_file(entry.path(), target);
            fs::last_write_time(target, entry.last_write_time());
        }
    }
}

}  // namespace

Toolset::Toolset(Toolchain toolchain, std::string home, std::string folder)
    : toolchain_(std::move(toolchain)), home_(std::move(home)),
      folder_((folder.empty() ? home_ + "/toolsets" : std::move(folder)) + "/go" + toolchain_.version) {}

ReadyTools Toolset::provide(const Job& job, const std::string& artifactDir) const {
    if (!toolchain_.found())
        throw Failed(CF_UNAVAILABLE, "there is no Go on this machine to build with", "apt install golang-go");
    job.mount(home_, homeInside, CF_MOUNT_READ_ONLY);
    if (!below(toolchain_.root, "/usr")) job.mount(toolchain_.root, toolchain_.root, CF_MOUNT_READ_ONLY);
    {
        const std::lock_guard lock(making_);
        if (!complete(folder_) && !make(job, artifactDir))
            return {artifactDir + "/.toolset/cf-go-build", homeInside, artifactDir + "/.toolset/cache", toolchain_.root};
    }
    job.mount(folder_, toolsInside, CF_MOUNT_READ_ONLY);
    // What one function's build writes into the cache must not be there for another's.
    job.mount(folder_ + "/cache", cacheInside, CF_MOUNT_OVERLAY);
    return {std::string(toolsInside) + "/cf-go-build", homeInside, cacheInside, toolchain_.root};
}

// False when the toolset could not be kept and lies in the artifact, for this one build.
bool Toolset::make(const Job& job, const std::string& artifactDir) const {
    job.log("Go " + toolchain_.version + " is new here: its build cache is being prepared, this once.");
    const std::string made = artifactDir + "/.toolset";
    const std::string scratch = made + "/scratch";
    fs::create_directories(scratch);
    fs::permissions(made, fs::perms::all);
    fs::permissions(scratch, fs::perms::all);
    const auto run = [&](Tool tool) {
        const ToolRun result = job.run(tool);
        if (job.cancelled()) throw Failed(CF_CANCELLED, "the build was cancelled");
        if (!result.ok())
            throw Failed(CF_FAILED, "the tools for Go " + toolchain_.version + " could not be built: " + result.errors);
    };
    run({.argv = {toolchain_.root + "/bin/go", "build", "-trimpath", "-o", made + "/cf-go-build", "."},
         .environment = {{"PATH", "/usr/bin:/bin"}, {"GOROOT", toolchain_.root}, {"GOCACHE", made + "/cache"},
                         {"GOPATH", scratch}, {"GOTMPDIR", scratch}, {"TMPDIR", scratch}, {"GOENV", "off"},
                         {"GOFLAGS", "-mod=mod"}, {"GO111MODULE", "on"}, {"GOWORK", "off"}, {"GOPROXY", "off"},
                         {"GOSUMDB", "off"}, {"GOTOOLCHAIN", "local"}, {"CGO_ENABLED", "0"}},
         .directory = std::string(homeInside) + "/builder",
         .input = {},
         .timeoutMs = 0});
    run({.argv = {made + "/cf-go-build", "warm", "-goroot", toolchain_.root, "-home", homeInside, "-cache", made + "/cache"},
         .environment = {{"PATH", "/usr/bin:/bin"}, {"TMPDIR", scratch}},
         .directory = scratch,
         .input = {},
         .timeoutMs = 0});
    const std::string partial = folder_ + ".partial";
    std::error_code error;
    try {
        fs::remove_all(partial);
        fs::create_directories(partial);
        copyTree(made + "/cache", partial + "/cache");
        fs::copy_file(made + "/cf-go-build", partial + "/cf-go-build");
        fs::permissions(partial + "/cf-go-build", fs::perms(0755));
        fs::rename(partial, folder_);
    } catch (const fs::filesystem_error& problem) {
        fs::remove_all(partial, error);
        job.log(std::string("The tools cannot be kept, so every build of a Go function will take as long as this one: ") +
                problem.what() + ". Set executor.go.cache to a folder that the platform may write.");
        return false;
    }
    clear(job, artifactDir);
    return true;
}

void Toolset::clear(const Job& job, const std::string& artifactDir) {
    // In the sandbox, because its files belong to the sandbox's user.
    std::vector<std::string> argv{"/bin/rm", "-rf"};
    for (const char* name : {"/.toolset", "/.modules"})
        if (const std::string path = artifactDir + name; ::access(path.c_str(), F_OK) == 0) argv.push_back(path);
    if (argv.size() > 2) job.run({.argv = argv, .environment = {}, .directory = artifactDir, .input = {}, .timeoutMs = 0});
}

}  // namespace go_executor
