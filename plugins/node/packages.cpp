#include "packages.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "json_mistake.hpp"
#include "lock.hpp"
#include "npm.hpp"
#include "npm_report.hpp"
#include "operator_config.hpp"
#include "package_json.hpp"
#include "source.hpp"

namespace node_executor {

namespace fs = std::filesystem;
using cloudfunction::Failed;
using cloudfunction::File;
using cloudfunction::FunctionInfo;
using cloudfunction::Job;

namespace {

constexpr const char* lockFile = "package-lock.json";
constexpr const char* shrinkwrap = "npm-shrinkwrap.json";

// Names of what lies below node_modules/ in the files themselves.
std::vector<std::string> vendored(const FunctionInfo& function) {
    constexpr std::string_view folder = "node_modules/";
    std::vector<std::string> names;
    for (const auto& file : function.files) {
        if (!file.name.starts_with(folder)) continue;
        const std::string_view rest = file.name.substr(folder.size());
        size_t end = rest.find('/');
        if (rest.starts_with('@') && end != std::string_view::npos) end = rest.find('/', end + 1);
        const std::string name(rest.substr(0, end));
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    return names;
}

// Refuses what package.json asks for and node_modules/ lacks: nothing fetches it, and the function
// would find out when it runs.
void refuseMissing(const Job& job, std::string_view manifest,
                   const std::vector<std::string>& present) {
    std::string missing;
    const PackageJson package(manifest);
    for (const auto& wanted : package.wanted()) {
        if (!wanted.required ||
            std::find(present.begin(), present.end(), wanted.name) != present.end())
            continue;
        job.report(remarkOn(manifest, wanted.name,
                            wanted.name + " is asked for, and is not in node_modules/"));
        missing += (missing.empty() ? "" : ", ") + wanted.name;
    }
    if (missing.empty()) return;
    throw Failed(CF_INVALID,
                 "the files bring node_modules/ along, so nothing is installed, and it lacks " +
                     missing,
                 "put it into node_modules/ as well (`npm ci --omit=dev` fills the folder), leave "
                 "node_modules/ out to have everything installed, or do not ask for it");
}

class Installation {
public:
    Installation(const Job& job, const FunctionInfo& function, const Toolchain& toolchain,
                 const PackageRules& rules, const File& manifest)
        : job_(job),
          function_(function),
          rules_(rules),
          manifest_(manifest.content),
          package_(manifest.content),
          config_(userConfig(function)),
          npm_(job, toolchain, config_, rules.registryTimeout) {}

    bool needed() const { return !package_.wanted().empty(); }

    Packages run() {
        refuseWhatCannotBe();
        const File* sent = findFile(function_, shrinkwrap);
        if (sent == nullptr) sent = findFile(function_, lockFile);
        if (sent != nullptr) {
            const std::string name(sent->name), content(sent->content);
            const Lock lock(name, content);
            refuseUnpinned(name, lock);
            return layerOf(name, content, lock);
        }
        for (const char* other : {"yarn.lock", "pnpm-lock.yaml", "bun.lock"}) {
            if (findFile(function_, other) != nullptr)
                warn(std::string(other) +
                     " is not used: packages are installed by npm, whose lock is "
                     "package-lock.json; one was made");
        }
        const std::string madeFrom = package_.decisive() + config_;
        if (const auto kept = job_.recallLock(lockFile, madeFrom)) return keep(madeFrom, *kept);
        std::string lock;
        try {
            lock = npm_.resolve(manifest_);
        } catch (const Unreachable& failure) {
            const auto old = job_.recallLock(lockFile, madeFrom, CF_LOCK_OF_ANY_AGE);
            if (!old) throw;
            warn(failure.message + "; the versions of an earlier build are used");
            unreachable_ = failure;
            return keep(madeFrom, *old);
        }
        return keep(madeFrom, lock);
    }

private:
    static std::string userConfig(const FunctionInfo& function) {
        const File* file = findFile(function, ".npmrc");
        return file != nullptr ? userLines(file->content) : std::string();
    }

    void warn(const std::string& message) {
        job_.log("warning: " + message);
        job_.report({.file = "package.json", .message = message, .warning = true});
    }

    void refuseWhatCannotBe() {
        std::string first;
        const auto refuse = [&](const std::string& package, const std::string& message) {
            job_.report(remarkOn(manifest_, package, message));
            if (first.empty()) first = message;
        };
        if (package_.hasWorkspaces())
            refuse("", "workspaces are not supported: a function is one package");
        size_t told = 0;
        for (const auto& wanted : package_.wanted())
            if (std::string why = refusedRange(wanted); !why.empty() && ++told <= mostRemarks)
                refuse(wanted.name, why);
        if (!first.empty()) throw Failed(CF_INVALID, first);
    }

    Packages keep(const std::string& madeFrom, const std::string& content) {
        Packages packages = layerOf(lockFile, content);
        job_.keepLock(lockFile, madeFrom, content);
        return packages;
    }

    // A lock of the author's has to say which bytes it means: what two functions share must not
    // depend on who of them asked first, and whom.
    void refuseUnpinned(const std::string& name, const Lock& lock) {
        std::string first;
        for (const auto& one : lock.unpinned()) {
            const std::string message =
                one.place + " has no checksum (\"integrity\"), so any bytes would do for it";
            job_.report({.file = name, .line = one.line, .column = one.column, .message = message});
            if (first.empty()) first = name + ": " + message;
        }
        if (lock.unpinned().size() > 1)
            first += " (and " + std::to_string(lock.unpinned().size() - 1) + " more)";
        if (!first.empty()) {
            throw Failed(CF_INVALID, first,
                         "make the lock anew with `npm install --package-lock-only`, which writes "
                         "checksums, or leave it out: the platform makes one and keeps it");
        }
    }

    Packages layerOf(const std::string& name, const std::string& content) {
        return layerOf(name, content, Lock(name, content));
    }

    Packages layerOf(const std::string& name, const std::string& content, const Lock& lock) {
        // What the author's .npmrc says is part of it: it decides whom npm asks.
        const std::string key = "node_modules 2\nscripts " +
                                std::string(rules_.scripts ? "yes" : "no") + "\n" +
                                cloudfunction::jsonString(config_) + "\n" + package_.decisive() +
                                lock.decisive();
        const auto layer = job_.layer(key, 0, [&](const std::string& directory) {
            // Who did not answer a moment ago is not waited for a second time.
            if (unreachable_) throw Failed(*unreachable_);
            npm_.install(directory, manifest_, name, content);
            npm_.forget();
            runScripts(directory, lock);
        });
        return {layer.link + "/node_modules", lock.topLevel()};
    }

    void runScripts(const std::string& directory, const Lock& lock) {
        const auto& required = lock.scripts();
        const auto& optional = lock.optionalScripts();
        if (required.empty() && optional.empty() && lock.tellsScripts()) return;
        if (!rules_.scripts) {
            warn(
                "packages want to run install scripts, which executor.node.install_scripts=false "
                "forbids: " +
                (required.empty() ? (optional.empty() ? "unknown" : optional[0]) : required[0]));
            return;
        }
        if (!required.empty() || !lock.tellsScripts()) {
            const auto run = npm_.runScripts(directory, required, rules_.scriptsNetwork);
            if (!run.ok()) {
                const auto problem =
                    readScriptProblem(run.errors, run.output, rules_.scriptsNetwork);
                job_.report(remarkOn(manifest_, problem.package, problem.message));
                throw Failed(CF_INVALID, problem.message, problem.hint);
            }
        }
        // Whatever is optional may fail; the package that asked for it works without.
        for (const auto& name : optional) {
            const auto run = npm_.runScripts(directory, {name}, rules_.scriptsNetwork);
            if (!run.ok())
                job_.log("warning: " +
                         readScriptProblem(run.errors, run.output, rules_.scriptsNetwork).message +
                         "; it is optional");
        }
        std::error_code ignored;
        if (!fs::is_directory(fs::symlink_status(fs::path(directory) / "node_modules", ignored)))
            throw Failed(CF_INVALID, "an install script replaced node_modules");
    }

    const Job& job_;
    const FunctionInfo& function_;
    const PackageRules& rules_;
    std::string_view manifest_;
    PackageJson package_;
    std::string config_;
    Npm npm_;
    std::optional<Failed> unreachable_;
};

}  // namespace

Packages providePackages(const Job& job, const FunctionInfo& function, const Toolchain& toolchain,
                         const PackageRules& rules, const std::string& artifactDir) {
    const File* manifest = findFile(function, "package.json");
    auto names = vendored(function);
    if (manifest == nullptr) return {{}, std::move(names)};
    try {
        if (!names.empty()) {
            refuseMissing(job, manifest->content, names);
            return {{}, std::move(names)};
        }
        Installation installation(job, function, toolchain, rules, *manifest);
        if (!installation.needed()) return {};
        job.mount(artifactDir, artifactDir, CF_MOUNT_READ_ONLY);
        return installation.run();
    } catch (const Failed& failure) {
        if (failure.status == CF_INVALID && failure.message.starts_with("package.json ")) {
            cloudfunction::Remark remark{
                .file = "package.json", .line = 1, .column = 1, .message = failure.message};
            if (const auto mistake = findJsonMistake(manifest->content)) {
                remark.line = mistake->line;
                remark.column = mistake->column;
                remark.message += ": " + mistake->words;
            }
            job.report(remark);
        }
        throw;
    }
}

}  // namespace node_executor
