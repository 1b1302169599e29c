#include "build.hpp"

#include <simdjson.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "esbuild.hpp"
#include "source.hpp"

namespace node_executor {

namespace fs = std::filesystem;
using cloudfunction::Failed;
using cloudfunction::File;
using cloudfunction::FunctionInfo;
using cloudfunction::Job;
using cloudfunction::jsonString;
using cloudfunction::Remark;

namespace {

// Name under which a module's entry exports its handler, and a bundle keeps it, whatever the user
// exports; the worker knows it too.
constexpr const char* aliasName = "__cloudfunction_handler";

struct Verdict {
    bool module = false;
    cloudfunction::Remarks errors;
};

Verdict ask(const Job& job, std::string_view file, std::string_view source) {
    const std::string remarks = job.check(file, source);
    Verdict verdict;
    simdjson::dom::parser parser;
    for (const simdjson::dom::element element : parser.parse(remarks).get_array()) {
        const std::string_view severity = element["severity"], kind = element["kind"],
                               message = element["message"];
        if (kind == "esm") verdict.module = true;
        if (severity != "error") continue;
        const uint64_t line = element["line"], column = element["column"];
        verdict.errors.push_back({.file = std::string(file),
                                  .line = static_cast<uint32_t>(line),
                                  .column = static_cast<uint32_t>(column),
                                  .message = std::string(message)});
    }
    return verdict;
}

class Build {
public:
    Build(const Job& job, const FunctionInfo& function, const Toolchain& toolchain,
          const PackageRules& rules, const std::string& sourceDir, const std::string& artifactDir)
        : job_(job),
          function_(function),
          toolchain_(toolchain),
          rules_(rules),
          source_(sourceDir),
          artifact_(artifactDir),
          entry_(entryOf(function)),
          esbuild_(job, toolchain.esbuild, toolchain.version),
          transpiles_(std::any_of(
              function.files.begin(), function.files.end(),
              [](const File& file) { return languageOf(file.name) == Language::typed; })),
          bundles_(transpiles_ && findFile(function, "tsconfig.json") != nullptr) {}

    void run() {
        if (!entry_.problem.empty()) throw Failed(CF_INVALID, entry_.problem);
        for (const auto& file : function_.files) outputs_[std::string(file.name)] = file.content;
        for (const auto& file : function_.files) {
            if (job_.cancelled()) throw Failed(CF_CANCELLED, "the build was cancelled");
            take(file);
        }
        if (failed_) throw Failed(CF_INVALID, firstError_);
        // Mistakes in the code are told before the minutes that packages may take.
        const Packages packages =
            providePackages(job_, function_, toolchain_, rules_, artifact_.string());
        if (bundles_) bundle(packages);
        if (failed_) throw Failed(CF_INVALID, firstError_);
        if (!transpiles_ && isModule(entry_.file)) makeModule();
        writeManifest();
        for (const auto& [name, content] : outputs_) write(name, content);
        if (!packages.link.empty()) link("node_modules", packages.link);
    }

private:
    void take(const File& file) {
        const Language language = languageOf(file.name);
        if (language == Language::none) return;
        if (language == Language::typed) return bundles_ ? void() : transpile(file);
        const Verdict verdict = ask(job_, file.name, file.content);
        for (const auto& remark : verdict.errors) report(remark);
        if (!verdict.errors.empty()) return;
        modules_[std::string(file.name)] = verdict.module;
        if (transpiles_ && !bundles_ && compiles(file)) transpile(file);
    }

    // Where there is TypeScript: modules become scripts, and import() of a script finds TypeScript.
    bool compiles(const File& file) const {
        const Language language = languageOf(file.name);
        if (language != Language::script) return language == Language::typed;
        const auto module = modules_.find(std::string(file.name));
        return (module != modules_.end() && module->second) ||
               file.content.find("import(") != std::string_view::npos;
    }

    // What the entry imports comes into its own file. All else stays apart, for imports that are
    // computed while it runs.
    void bundle(const Packages& packages) {
        const File& entry = *findFile(function_, entry_.file);
        Bundle made =
            esbuild_.bundle(source_, entry, packages.names, handingOver(), aliasName);
        for (const auto& file : function_.files) {
            if (compiles(file) && made.files.count(std::string(file.name)) == 0) transpile(file);
        }
        outputs_[entry_.file] = std::move(made.code);
    }

    // esbuild leaves out what nobody refers to, and renames what another file has a name for. null:
    // the entry has no such name, so it is none of the others' that is meant.
    std::string handingOver() const {
        if (entry_.name == "default") return {};
        return "\n;" + std::string(aliasName) + " = typeof " + entry_.name +
               " === \"undefined\" ? null : " + entry_.name + ";\n";
    }

    void transpile(const File& file) {
        try {
            outputs_[std::string(file.name)] = esbuild_.transform(file.name, file.content);
        } catch (const Failed& failure) {
            if (failure.status != CF_INVALID) throw;
            fail(failure.message);
        }
    }

    void report(const Remark& remark) {
        job_.report(remark);
        fail(remark.file + (remark.line > 0 ? ":" + std::to_string(remark.line) : "") + ": " +
             remark.message);
    }

    void fail(const std::string& message) {
        if (!failed_) firstError_ = message;
        failed_ = true;
    }

    bool packageSaysModule() const {
        const File* package = findFile(function_, "package.json");
        return package != nullptr && packageMember(package->content, "type") == "module";
    }

    bool isModule(const std::string& file) const {
        if (file.ends_with(".mjs")) return true;
        if (file.ends_with(".cjs")) return false;
        const auto found = modules_.find(file);
        return packageSaysModule() || (found != modules_.end() && found->second);
    }

    // Node.js decides by name and package.json what is a module; the artifact says it either way.
    void makeModule() {
        exportHandler();
        if (entry_.file.ends_with(".mjs") || packageSaysModule()) return;
        const bool othersAreScripts =
            std::any_of(modules_.begin(), modules_.end(), [&](const auto& file) {
                return !file.second && file.first.ends_with(".js") && file.first != entry_.file &&
                       usesRequire(file.first);
            });
        if (othersAreScripts) {
            // The entry alone changes its name: modules can import scripts, but not the other way
            // round.
            auto content = std::move(outputs_[entry_.file]);
            outputs_.erase(entry_.file);
            entry_.file = entry_.file.substr(0, entry_.file.rfind('.')) + ".mjs";
            outputs_[entry_.file] = std::move(content);
            return;
        }
        std::string& package = outputs_["package.json"];
        const size_t brace = package.find('{');
        if (brace == std::string::npos) {
            package = "{\"type\":\"module\"}\n";
        } else {
            const size_t next = package.find_first_not_of(" \t\r\n", brace + 1);
            const bool empty = next != std::string::npos && package[next] == '}';
            package.insert(brace + 1, empty ? "\"type\":\"module\"" : "\"type\":\"module\",");
        }
    }

    bool usesRequire(const std::string& file) const {
        const std::string& source = outputs_.at(file);
        return source.find("module.exports") != std::string::npos ||
               source.find("require(") != std::string::npos ||
               source.find("exports.") != std::string::npos;
    }

    // A top-level function needs no export: a line at the end gives it one, and no other line
    // moves.
    void exportHandler() {
        if (entry_.name == "default") return;
        std::string& source = outputs_[entry_.file];
        std::string exported = source + "\nexport { " + entry_.name + " as " + aliasName + " };\n";
        if (ask(job_, entry_.file, exported).errors.empty()) source = std::move(exported);
    }

    void writeManifest() {
        outputs_[".cloudfunction.json"] =
            "{\"entry\":" + jsonString(entry_.file) + ",\"name\":" + jsonString(entry_.name) +
            ",\"module\":" + (!transpiles_ && isModule(entry_.file) ? "true" : "false") +
            ",\"transpiled\":" + (transpiles_ ? "true" : "false") + "}\n";
    }

    void link(const std::string& name, const std::string& target) const {
        std::error_code problem;
        fs::create_symlink(target, artifact_ / name, problem);
        if (problem)
            throw Failed(CF_FAILED,
                         "cannot link " + name + " into the artifact: " + problem.message());
    }

    void write(const std::string& name, const std::string& content) const {
        const fs::path path = artifact_ / name;
        std::error_code problem;
        fs::create_directories(path.parent_path(), problem);
        std::ofstream out(path, std::ios::binary | std::ios::trunc);
        out.write(content.data(), static_cast<std::streamsize>(content.size()));
        out.close();
        if (!out) {
            throw Failed(CF_FAILED, "cannot write " + name + " into the artifact",
                         "is the data folder's disk full?");
        }
    }

    const Job& job_;
    const FunctionInfo& function_;
    const Toolchain& toolchain_;
    const PackageRules& rules_;
    std::string source_;
    fs::path artifact_;
    Entry entry_;
    Esbuild esbuild_;
    bool transpiles_;
    bool bundles_;
    bool failed_ = false;
    std::string firstError_;
    std::map<std::string, std::string> outputs_;  // by name in the artifact
    std::map<std::string, bool> modules_;  // what the parser made of each .js, .mjs and .cjs file
};

}  // namespace

void build(const Job& job, const FunctionInfo& function, const Toolchain& toolchain,
           const PackageRules& rules, const std::string& sourceDir,
           const std::string& artifactDir) {
    Build(job, function, toolchain, rules, sourceDir, artifactDir).run();
}

}  // namespace node_executor
