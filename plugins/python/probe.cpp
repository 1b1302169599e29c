#include "probe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <simdjson.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cloudfunction/executor.hpp>
#include <cstdlib>
#include <optional>

extern char** environ;

namespace cf::python {

namespace {

using cloudfunction::Failed;
using cloudfunction::jsonString;

// The platform ends a look for toolchains before (executors.probe_timeout).
constexpr auto patience = std::chrono::seconds(600);
constexpr const char* install =
    "install it with `apt install python3`, or set executor.python.path";

// Asked of the interpreter itself. Runs on anything since 2.7, so that an old one can say how old
// it is. The extension modules are imported to see where their libraries come from; a folder that
// other users may not read is of no use to a worker, which is one.
constexpr const char* question = R"(
import json, os, sys, sysconfig
me = os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable)
lib = os.path.dirname(os.path.realpath(os.__file__))
for name in ('_ssl', '_ctypes', '_hashlib', '_sqlite3', '_bz2', '_lzma', 'zlib', 'readline'):
    try:
        __import__(name)
    except ImportError:
        pass
folders = [os.path.realpath(sys.prefix), os.path.realpath(sys.exec_prefix), lib]
with open('/proc/self/maps') as maps:
    for line in maps:
        path = line[line.find('/'):].strip() if '/' in line else ''
        if '.so' in path and os.path.isfile(path):
            folders.append(os.path.dirname(os.path.realpath(path)))
folders.append(os.path.dirname(me))
there = ('/usr', '/lib', '/lib64', '/bin')
mounts = []
for folder in folders:
    if not any((folder + '/').startswith(known + '/') for known in list(there) + mounts):
        mounts.append(folder)
# What installed packages depend on: extension modules on the tag, bytecode on the magic number. Both
# stay the same from the first final release of a minor version on.
compatibility = '%d.%d.%d' % sys.version_info[:3]
if sys.version_info[0] == 3 and sys.version_info[3] == 'final':
    import importlib.util
    compatibility = '%d.%d %s %s' % (sys.version_info[0], sys.version_info[1], sysconfig.get_config_var('SOABI'),
                                     ''.join('%02x' % byte for byte in importlib.util.MAGIC_NUMBER))
private = [path for path in [me, lib] + mounts if os.stat(path).st_mode & 5 != 5]
print(json.dumps({'version': '%d.%d.%d' % sys.version_info[:3], 'major': sys.version_info[0],
                  'minor': sys.version_info[1], 'executable': me, 'mounts': mounts,
                  'private': private, 'tag': sysconfig.get_config_var('SOABI') or '',
                  'compatibility': compatibility}))
)";

// Standard output of a program; nothing when it could not be started, failed or took too long.
std::optional<std::string> outputOf(std::vector<std::string> arguments) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_t pid = -1;
    const int failed = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    std::string output;
    bool late = false;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (failed == 0) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd waiting{ends[0], POLLIN, 0};
        late = left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0;
        if (late) break;
        char buffer[4096];
        const ssize_t size = ::read(ends[0], buffer, sizeof buffer);
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) break;
        output.append(buffer, static_cast<size_t>(size));
    }
    ::close(ends[0]);
    if (failed != 0) return std::nullopt;
    if (late) ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (late || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
    return output;
}

struct Answer {
    Interpreter interpreter;
    int major = 0;
    int minor = 0;
    std::vector<std::string> unreadable;
    bool newEnough() const {
        return major > floorMajor || (major == floorMajor && minor >= floorMinor);
    }
};

std::optional<Answer> ask(const std::string& program) {
    const auto output = outputOf({program, "-E", "-s", "-S", "-c", question});
    if (!output) return std::nullopt;
    simdjson::dom::parser parser;
    simdjson::dom::element said;
    int64_t major = 0, minor = 0;
    if (parser.parse(*output).get(said) != simdjson::SUCCESS ||
        said["major"].get(major) != simdjson::SUCCESS ||
        said["minor"].get(minor) != simdjson::SUCCESS)
        return std::nullopt;
    Answer answer{
        Interpreter::fromJson(*output), static_cast<int>(major), static_cast<int>(minor), {}};
    simdjson::dom::array list;
    if (said["private"].get(list) == simdjson::SUCCESS)
        for (const simdjson::dom::element path : list)
            answer.unreadable.emplace_back(path.get_string().value());
    return answer;
}

// Asked with the effective capabilities: a probe may look below home directories where its user
// alone may not, and access(2) would leave that right out.
bool runs(const std::string& program) {
    return ::faccessat(AT_FDCWD, program.c_str(), X_OK, AT_EACCESS) == 0;
}

std::string onPath(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
    while (!rest.empty()) {
        const auto end = rest.find(':');
        const std::string candidate = std::string{rest.substr(0, end)} + "/" + name;
        if (candidate.front() == '/' && runs(candidate)) return candidate;
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
    return {};
}

// Says why `program` will not do, or fills `found`.
std::string judge(const std::string& program, Interpreter& found) {
    if (!runs(program)) return "there is no program " + program;
    auto answer = ask(program);
    // The file behind a link or a script must give the same answer by itself: that is what workers
    // run.
    if (answer && answer->interpreter.executable != program)
        answer = ask(answer->interpreter.executable);
    if (!answer) return program + " does not answer as Python does";
    if (!answer->newEnough())
        return program + " is Python " + answer->interpreter.version + ", older than " +
               std::to_string(floorMajor) + "." + std::to_string(floorMinor) +
               ", the oldest that works";
    if (!answer->unreadable.empty())
        return program + " is of no use to workers, which run as other users: they may not read " +
               answer->unreadable.front();
    found = std::move(answer->interpreter);
    return {};
}

Interpreter findProgram(const std::string& configured) {
    Interpreter found;
    if (!configured.empty()) {
        const std::string reason = judge(configured, found);
        if (reason.empty()) return found;
        throw Failed(
            CF_UNAVAILABLE, "executor.python.path: " + reason,
            "set executor.python.path to an interpreter of version 3.7 or later, or leave it out");
    }
    std::string reasons;
    for (const auto& candidate : {onPath("python3"), std::string{"/usr/bin/python3"}}) {
        if (candidate.empty() || !runs(candidate)) continue;
        const std::string reason = judge(candidate, found);
        if (reason.empty()) return found;
        if (reasons.find(reason) == std::string::npos)
            reasons += (reasons.empty() ? "" : "; ") + reason;
    }
    if (reasons.empty()) reasons = "there is no python3 on PATH";
    throw Failed(CF_UNAVAILABLE, reasons + " (Python 3.7 or later is needed)", install);
}

}  // namespace

std::string Interpreter::toJson() const {
    std::string json = "{\"version\":" + jsonString(version) +
                       ",\"path\":" + jsonString(executable) +
                       ",\"executable\":" + jsonString(executable) + ",\"mounts\":[";
    for (const auto& mount : mounts)
        json += (&mount == mounts.data() ? "" : ",") + jsonString(mount);
    return json + "],\"tag\":" + jsonString(tag) +
           ",\"compatibility\":" + jsonString(compatibility) + ",\"shim\":" + jsonString(shim) +
           (installer.json.empty() ? "" : ",\"installer\":" + installer.json) + "}";
}

Interpreter Interpreter::fromJson(std::string_view json) {
    Interpreter interpreter;
    simdjson::dom::parser parser;
    simdjson::dom::element said;
    std::string_view version, executable;
    if (parser.parse(simdjson::padded_string(json)).get(said) != simdjson::SUCCESS ||
        said["version"].get(version) != simdjson::SUCCESS ||
        said["executable"].get(executable) != simdjson::SUCCESS)
        return interpreter;
    interpreter.version = version;
    interpreter.executable = executable;
    simdjson::dom::array list;
    if (said["mounts"].get(list) == simdjson::SUCCESS)
        for (const simdjson::dom::element path : list)
            interpreter.mounts.emplace_back(path.get_string().value());
    std::string_view tag;
    if (said["tag"].get(tag) == simdjson::SUCCESS) interpreter.tag = tag;
    std::string_view compatibility;
    if (said["compatibility"].get(compatibility) == simdjson::SUCCESS)
        interpreter.compatibility = compatibility;
    std::string_view shim;
    if (said["shim"].get(shim) == simdjson::SUCCESS) interpreter.shim = shim;
    simdjson::dom::element installer;
    if (said["installer"].get(installer) == simdjson::SUCCESS)
        interpreter.installer = Installer::fromJson(simdjson::minify(installer));
    return interpreter;
}

Interpreter findInterpreter(const std::string& configured, const std::string& home) {
    auto found = findProgram(configured);
    // With `site`: that is where Debian keeps pip.
    if (const auto said = outputOf({found.executable, "-I", "-B", home + "/installer_settings.py"}))
        found.installer = Installer::fromJson(*said);
    const auto shim =
        outputOf({found.executable, "-I", "-S", "-B", home + "/compiled.py", "find", home});
    if (shim && shim->ends_with('\n')) found.shim = shim->substr(0, shim->size() - 1);
    return found;
}

}  // namespace cf::python
