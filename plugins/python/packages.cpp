#include "packages.hpp"

#include <simdjson.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "../registry_timeout.hpp"

namespace cf::python {

namespace {

using namespace cloudfunction;
namespace fs = std::filesystem;

constexpr int mostSourceBuilds = 30;

std::string field(std::string_view name, std::string_view value) {
    return "," + jsonString(name) + ":" + jsonString(value);
}

std::string arrayOf(std::string_view name, const std::vector<std::string>& values) {
    std::string json = "," + jsonString(name) + ":[";
    for (const auto& value : values) json += (json.back() == '[' ? "" : ",") + jsonString(value);
    return json + "]";
}

std::string textOf(const simdjson::dom::element& object, const char* name) {
    std::string_view value;
    return object[name].get(value) == simdjson::SUCCESS ? std::string{value} : std::string{};
}

std::string lastLineOf(std::string_view text) {
    while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
    const auto line = text.substr(text.rfind('\n') + 1);
    return line.empty() ? "the tool was killed" : std::string{line};
}

// What strangers left behind may forbid even its owner to look inside.
void discard(const fs::path& path) {
    std::error_code error, ofOne;
    const auto open = [&](const fs::directory_entry& entry) {
        if (entry.symlink_status(ofOne).type() == fs::file_type::directory)
            fs::permissions(entry.path(), fs::perms::owner_all, fs::perm_options::add, ofOne);
    };
    open(fs::directory_entry(path));
    for (fs::recursive_directory_iterator at(path, error), end; !error && at != end;
         at.increment(error))
        open(*at);
    fs::remove_all(path, error);
}

}  // namespace

// A file that code of packages may have put there: only a plain one of a sane size is read.
Packages::Answer Packages::readAnswer(const std::string& path) {
    Answer answer;
    std::error_code none;
    if (!fs::is_regular_file(fs::symlink_status(path, none)) ||
        fs::file_size(path, none) > (4u << 20))
        return answer;
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    simdjson::dom::parser parser;
    simdjson::dom::element said, error;
    if (parser.parse(text).get(said) != simdjson::SUCCESS) return answer;
    answer.lock = textOf(said, "lock");
    answer.file = textOf(said, "file");
    answer.sha256 = textOf(said, "sha256");
    if (said["error"].get(error) != simdjson::SUCCESS) return answer;
    answer.kind = textOf(error, "kind");
    answer.message = textOf(error, "message");
    answer.hint = textOf(error, "hint");
    answer.name = textOf(error, "name");
    answer.requirement = textOf(error, "requirement");
    return answer;
}

std::string Packages::decides() const {
    return "python " + x_interpreter.version.substr(0, x_interpreter.version.rfind('.')) + " " +
           x_interpreter.tag + (buildsSources() ? " source builds" : "") + "\n";
}

void Packages::prepareFolder() {
    if (x_interpreter.installer.version.empty())
        throw Failed(CF_UNAVAILABLE,
                     "packages cannot be installed: " + x_interpreter.executable + " has no pip",
                     "the operator can install it with `apt install python3-pip`");
    if (!x_folder.empty()) return;
    x_folder = x_job.scratch() + "/packages";
    for (const char* part : {"", "/tmp", "/built", "/wheels", "/builders"})
        fs::create_directories(x_folder + part);
    x_job.mount(x_folder, x_folder, CF_MOUNT_WRITABLE);
    x_job.mount(x_host.property("home"), x_host.property("home"), CF_MOUNT_READ_ONLY);
    for (const auto& mount : x_interpreter.mounts) x_job.mount(mount, mount, CF_MOUNT_READ_ONLY);
    for (const auto& mount : x_interpreter.installer.mounts)
        x_job.mount(mount, mount, CF_MOUNT_READ_ONLY | CF_MOUNT_OPTIONAL);
}

Packages::Answer Packages::run(const std::string& task, const std::string& fields, bool network) {
    prepareFolder();
    return runIn(x_folder, task, fields, network);
}

Packages::Answer Packages::runIn(const std::string& folder, const std::string& task,
                                 const std::string& fields, bool network) {
    Tool tool;
    tool.argv = {x_interpreter.executable, "-I", "-B", x_host.property("home") + "/packages.py"};
    tool.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                        {"HOME", folder},
                        {"LANG", "C.UTF-8"},
                        {"TMPDIR", folder + "/tmp"},
                        {"PIP_CONFIG_FILE", "/dev/null"}};
    if (network) {
        std::map<std::string, std::string> settings;
        // An index that does not answer should be known to be so before the build's time is over.
        const std::map<std::string, std::string> patience = {
            {"PIP_RETRIES", "1"},
            {"PIP_TIMEOUT", std::to_string(registryTimeout(x_host, "python"))}};
        settings = patience;
        for (const auto& [name, value] : x_interpreter.installer.environment)
            settings[name] = value;
        // What was said to the platform counts more than what pip was told.
        if (!x_host.property("registry_timeout").empty())
            for (const auto& [name, value] : patience) settings[name] = value;
        tool.environment.insert(tool.environment.end(), settings.begin(), settings.end());
    }
    tool.directory = folder;
    tool.input = "{\"task\":" + jsonString(task) + field("folder", folder) + fields + "}";
    tool.network = network;
    tool.logged = true;
    const auto path = folder + "/answer.json";
    fs::remove(path);
    const auto ended = x_job.run(tool);
    const auto answer = readAnswer(path);
    if (ended.ok() || answer.failed()) return answer;
    if (ended.outOfMemory)
        throw Failed(CF_FAILED, "installing the packages ran out of memory",
                     "raise build.memory_mb");
    // A package's own code may have killed it.
    throw Failed(task == "build" ? CF_INVALID : CF_FAILED,
                 "installing the packages failed: " + lastLineOf(ended.errors),
                 "the build log has what was said");
}

void Packages::fail(const Answer& answer) {
    const auto* line = x_wanted.lineOf(answer.name);
    const bool ours =
        answer.kind == "network" || answer.kind == "index_refused" || answer.kind == "index_failed";
    if (!ours)
        x_job.report({line != nullptr ? line->file : x_wanted.manifest,
                      line != nullptr ? line->line : 0, 0, answer.message, false});
    // Also when the index is at fault: the save is refused in these words, as it cannot be built
    // today.
    throw Failed(CF_INVALID,
                 line != nullptr && !ours
                     ? line->file + ", line " + std::to_string(line->line) + ": " + answer.message
                     : answer.message,
                 answer.hint);
}

// Runs code of the package: without network, and where neither the operator's secrets nor the other
// packages of this job can be touched.
Packages::Answer Packages::runBuild(const std::string& archive) {
    const auto folder = x_job.scratch() + "/building";
    for (const char* part : {"", "/tmp", "/built"}) fs::create_directories(folder + part);
    const auto nothing = x_job.scratch() + "/nothing";
    std::ofstream{nothing};
    x_job.mount(x_folder, x_folder, CF_MOUNT_READ_ONLY);
    if (!x_layer.empty()) x_job.mount(x_layer, x_layer, CF_MOUNT_READ_ONLY);
    x_job.mount(folder, folder, CF_MOUNT_WRITABLE);
    for (const auto& secret : x_interpreter.installer.secrets)
        x_job.mount(nothing, secret, CF_MOUNT_READ_ONLY);
    x_job.log("Building " + archive + ": this runs the package's own code, without network");
    auto answer = runIn(
        folder, "build",
        field("file", x_folder + "/sdists/" + archive) + field("builders", x_folder + "/builders"),
        false);
    x_job.mount(folder, folder, CF_MOUNT_READ_ONLY);
    x_job.mount(x_folder, x_folder, CF_MOUNT_WRITABLE);
    if (!x_layer.empty()) x_job.mount(x_layer, x_layer, CF_MOUNT_WRITABLE);
    for (const auto& secret : x_interpreter.installer.secrets)
        x_job.mount(secret, secret, CF_MOUNT_READ_ONLY | CF_MOUNT_OPTIONAL);
    // What lies there was left by strangers: a link would lead this process astray.
    const auto wheel = folder + "/built/" + answer.file;
    const bool sound = !answer.failed() && answer.file.find('/') == std::string::npos &&
                       answer.file.ends_with(".whl") &&
                       fs::is_directory(fs::symlink_status(folder + "/built")) &&
                       fs::is_regular_file(fs::symlink_status(wheel));
    if (sound)
        fs::rename(wheel, x_folder + "/built/" + answer.file);
    else if (!answer.failed())
        answer.kind = "build_failed", answer.message = "building " + archive + " left no wheel";
    // Stays as an empty folder: it is among the job's mounts.
    for (const auto& entry : fs::directory_iterator(folder)) discard(entry.path());
    return answer;
}

// Makes a wheel of a package that has none.
void Packages::build(const std::string& requirement, const std::string& name,
                     const std::string& sha256) {
    const auto archive = run("sdist",
                             field("requirement", requirement) + field("sha256", sha256) +
                                 arrayOf("options", x_wanted.requirements.options),
                             true);
    if (archive.failed()) fail(archive);
    auto wheel = runBuild(archive.file);
    if (!wheel.failed() &&
        normalName(wheel.file.substr(0, wheel.file.find('-'))) != normalName(name)) {
        wheel.kind = "build_failed";
        wheel.message = "building " + archive.file + " made a wheel of another name, " + wheel.file;
    }
    wheel.name = name;
    if (wheel.failed()) fail(wheel);
    x_built +=
        (x_built.empty() ? "" : ",") + jsonString(wheel.file) + ":" + jsonString(archive.sha256);
}

Packages::Answer Packages::resolve() {
    for (int round = 0;; ++round) {
        const auto answer = run("resolve",
                                field("requirements", x_wanted.text()) +
                                    field("constraints", x_wanted.constraints()) +
                                    arrayOf("options", x_wanted.requirements.options) + built(),
                                true);
        if (answer.kind != "no_wheel" || !buildsSources() || round == mostSourceBuilds)
            return answer;
        build(answer.requirement, answer.name, {});
    }
}

// Builds again what a kept lock names by its source archive.
void Packages::buildLocked(const std::string& lock) {
    std::istringstream lines(lock);
    for (std::string line; std::getline(lines, line);) {
        const auto space = line.find(' ');
        constexpr std::string_view hash = "--hash=sha256:";
        const auto begin = line.find(hash);
        if (!line.ends_with("# source") || begin == std::string::npos) continue;
        const auto digits = begin + hash.size();
        build(line.substr(0, space), line.substr(0, line.find('=')),
              line.substr(digits, line.find(' ', digits) - digits));
    }
}

void Packages::fill(const std::string& lock, const std::string& directory) {
    x_layer = directory;
    if (!x_fetched) {
        const auto fetched = run("fetch", field("lock", lock), true);
        if (fetched.failed()) fail(fetched);
        buildLocked(lock);
    }
    const auto installed =
        run("install", field("lock", lock) + field("directory", directory) + built(), false);
    if (installed.failed()) fail(installed);
}

void Packages::fillFromWheels(const std::string& directory) {
    const auto installed =
        run("install",
            field("wheels", x_sourceDir + "/wheels") + field("requirements", x_wanted.text()) +
                field("directory", directory),
            false);
    if (installed.failed()) fail(installed);
}

// A lock that was kept, or a new one. When the package index cannot be reached, any old one will
// do, as long as its layer is still there: `unreachable` then says what was wrong.
std::string Packages::chooseLock(const std::string& madeFrom, Answer& unreachable) {
    if (auto kept = x_job.recallLock(lockFile, madeFrom)) return *kept;
    const auto answer = resolve();
    if (answer.kind == "network" || answer.kind == "index_failed")
        if (auto old = x_job.recallLock(lockFile, madeFrom, CF_LOCK_OF_ANY_AGE)) {
            unreachable = answer;
            x_job.log("Warning: " + answer.message + "; the versions of an earlier build are used");
            return *old;
        }
    if (answer.failed()) fail(answer);
    x_fetched = true;
    return answer.lock;
}

Layer Packages::provide(const FunctionInfo& function) {
    if (x_wanted.fromWheels) {
        auto key = decides() + x_wanted.text();
        for (const auto& file : function.files)
            if (file.name.starts_with(wheelFolder))
                key += std::string{file.name} + " " + std::to_string(file.content.size()) + "\n" +
                       std::string{file.content};
        return x_job.layer(key, 0,
                           [&](const std::string& directory) { fillFromWheels(directory); });
    }
    auto lock = x_wanted.lock;
    Answer unreachable;
    if (lock.empty()) {
        const auto madeFrom = decides() + x_wanted.text() + "\n" + x_wanted.constraints();
        lock = chooseLock(madeFrom, unreachable);
        x_job.keepLock(lockFile, madeFrom, lock);
    }
    return x_job.layer(decides() + lock, 0, [&](const std::string& directory) {
        if (unreachable.failed()) fail(unreachable);
        fill(lock, directory);
    });
}

}  // namespace cf::python
