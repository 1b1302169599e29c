#include "toolchain.hpp"

#include <fcntl.h>
#include <glob.h>
#include <simdjson.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

extern char** environ;

namespace go_executor {

using cloudfunction::Failed;
using cloudfunction::jsonString;

namespace {

constexpr const char* installHint = "apt install golang-go, or unpack Go to /usr/local/go, or set executor.go.path.";

// Standard output of a program without arguments that need quoting; empty when it does not end well.
std::string outputOf(std::vector<std::string> argv) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return {};
    std::vector<char*> pointers;
    for (auto& argument : argv) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 1);
    pid_t pid = 0;
    const int started = ::posix_spawn(&pid, pointers[0], &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    std::string output;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 1; started == 0 && n > 0;) {
        n = ::read(pipe[0], buffer.data(), buffer.size());
        if (n > 0) output.append(buffer.data(), static_cast<size_t>(n));
    }
    ::close(pipe[0]);
    int status = 0;
    if (started != 0 || ::waitpid(pid, &status, 0) != pid || status != 0) return {};
    while (!output.empty() && output.back() == '\n') output.pop_back();
    return output;
}

std::vector<std::string> candidates(const std::string& configured) {
    if (!configured.empty()) return {configured};
    std::vector<std::string> paths;
    const char* variable = std::getenv("PATH");
    std::string_view rest = variable != nullptr ? variable : "";
    while (!rest.empty()) {
        const size_t end = std::min(rest.find(':'), rest.size());
        if (end > 0 && rest[0] == '/') paths.push_back(std::string(rest.substr(0, end)) + "/go");
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    paths.emplace_back("/usr/local/go/bin/go");
    glob_t found{};
    if (::glob("/usr/lib/go*/bin/go", 0, nullptr, &found) == 0)
        for (size_t i = found.gl_pathc; i > 0; --i) paths.emplace_back(found.gl_pathv[i - 1]);
    ::globfree(&found);
    return paths;
}

bool newEnough(const std::string& version) {
    const size_t dot = version.find('.');
    const int major = std::atoi(version.c_str());
    const int minor = dot == std::string::npos ? 0 : std::atoi(version.c_str() + dot + 1);
    return major > 1 || (major == 1 && minor >= floorMinor);
}

// A probe's right to look below private folders is a capability, which access(2) leaves out.
bool runs(const std::string& program) { return ::faccessat(AT_FDCWD, program.c_str(), X_OK, AT_EACCESS) == 0; }

}  // namespace

std::string versionIn(std::string_view output) {
    constexpr std::string_view before = "go version go";
    if (output.substr(0, before.size()) != before) return {};
    output.remove_prefix(before.size());
    return std::string(output.substr(0, output.find(' ')));
}

Toolchain findToolchain(const cloudfunction::Host& host) {
    // The installation itself shall answer, not a newer one that it would fetch, nor settings of some user, but for
    // those that say where modules come from.
    const char* const variable = std::getenv("GOENV");
    const std::string userFile = variable != nullptr ? variable : "";
    ::setenv("GOTOOLCHAIN", "local", 1);
    ::setenv("GOENV", "off", 1);
    ::setenv("GO111MODULE", "on", 1);
    ::unsetenv("GOFLAGS");
    ::unsetenv("GOROOT");
    const std::string configured = host.property("path");
    std::string tooOld;
    for (const std::string& path : candidates(configured)) {
        if (!runs(path)) continue;
        const std::string version = versionIn(outputOf({path, "version"}));
        if (version.empty()) continue;
        if (!newEnough(version)) {
            tooOld = path + " is Go " + version;
            continue;
        }
        const std::string root = outputOf({path, "env", "GOROOT"});
        if (root.empty() || root[0] != '/' || !runs(root + "/bin/go")) continue;
        if (userFile.empty()) ::unsetenv("GOENV");
        else ::setenv("GOENV", userFile.c_str(), 1);
        std::vector<std::string> question{path, "env", "-json"};
        question.insert(question.end(), goSettings().begin(), goSettings().end());
        return {version, path, root, readOperatorSettings(outputOf(std::move(question)))};
    }
    const std::string floor = "1." + std::to_string(floorMinor);
    if (!tooOld.empty())
        throw Failed(CF_UNAVAILABLE, tooOld + "; functions need Go " + floor + " or later", installHint);
    if (!configured.empty())
        throw Failed(CF_UNAVAILABLE, "executor.go.path is " + configured + ", which is not a working go program", installHint);
    throw Failed(CF_UNAVAILABLE, "there is no Go on this machine; functions need Go " + floor + " or later", installHint);
}

std::string Toolchain::language() const {
    const size_t minor = version.find('.');
    const size_t end = minor == std::string::npos ? minor : version.find_first_not_of("0123456789", minor + 1);
    const bool final = end == std::string::npos || version[end] == '.';
    return "go" + (final ? version.substr(0, end) : version);
}

std::string Toolchain::toJson() const {
    return "{\"version\":" + jsonString(version) + ",\"compatibility\":" + jsonString(language()) + ",\"path\":" + jsonString(path) + ",\"root\":" + jsonString(root) +
           ",\"operator\":" + settings.toJson() + "}";
}

Toolchain Toolchain::fromJson(std::string_view json) {
    Toolchain toolchain;
    simdjson::dom::parser parser;
    simdjson::dom::element document;
    if (json.empty() || parser.parse(simdjson::padded_string(json)).get(document) != simdjson::SUCCESS) return toolchain;
    const auto read = [&](const char* key, std::string& to) {
        std::string_view value;
        if (document[key].get(value) == simdjson::SUCCESS) to = value;
    };
    read("version", toolchain.version);
    read("path", toolchain.path);
    read("root", toolchain.root);
    toolchain.settings = OperatorSettings::fromJson(json);
    return toolchain;
}

}  // namespace go_executor
