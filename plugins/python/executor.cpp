// The executor of Python functions. A version's artifact is its sources as they are, beside a link
// to the layer of its packages where it has any. Sources are parsed by a warm worker when they are
// saved, so that a save starts no process.
#include <simdjson.h>

#include <cloudfunction/executor.hpp>
#include <filesystem>
#include <fstream>

#include "../registry_timeout.hpp"
#include "describe.hpp"
#include "explain.hpp"
#include "handler.hpp"
#include "packages.hpp"
#include "precompile.hpp"
#include "probe.hpp"
#include "wanted.hpp"

namespace cf::python {

namespace {

using namespace cloudfunction;

// Where workers see the shim.
constexpr const char* shimFolder = "/opt/cloudfunction/python";
// What one worker of an `async def` handler, or of a plain one with threads, can take at once.
constexpr uint64_t mostInvocations = 100;

// Sends the remarks of CHECK on to the job; the first error in words, or nothing.
std::string reportRemarks(const Job& job, const std::string& json) {
    simdjson::dom::parser parser;
    simdjson::dom::array remarks;
    if (parser.parse(json).get(remarks) != simdjson::SUCCESS)
        throw Failed(
            CF_FAILED,
            "a worker answered the syntax check with something that is not a list of remarks");
    std::string firstError;
    for (const simdjson::dom::element element : remarks) {
        std::string_view file, message, severity;
        uint64_t line = 0, column = 0;
        if (element["file"].get(file) != simdjson::SUCCESS ||
            element["message"].get(message) != simdjson::SUCCESS)
            continue;
        if (element["line"].get(line) != simdjson::SUCCESS) line = 0;
        if (element["column"].get(column) != simdjson::SUCCESS) column = 0;
        const bool warning =
            element["severity"].get(severity) == simdjson::SUCCESS && severity == "warning";
        job.report({std::string{file}, static_cast<uint32_t>(line), static_cast<uint32_t>(column),
                    std::string{message}, warning});
        if (!warning && firstError.empty())
            firstError = std::string{file} + (line > 0 ? ", line " + std::to_string(line) : "") +
                         ": " + std::string{message};
    }
    return firstError;
}

class PythonExecutor final : public Executor {
public:
    static constexpr const char* id = "python";
    static constexpr const char* version = "0.1.0";
    static constexpr uint16_t requiresMinor = 1;

    PythonExecutor(Host host, std::string_view found)
        : Executor(host, found), x_interpreter(Interpreter::fromJson(found)) {}

    std::string probe() override {
        registryTimeout(host(), id);  // refuses what is no number
        return findInterpreter(host().property("path"), host().property("home")).toJson();
    }

    std::string describe() override { return manifest(); }

    Remarks validate(const FunctionInfo& function) override {
        auto remarks = checkFunction(function);
        const auto wanted = readWanted(function);
        remarks.insert(remarks.end(), wanted.remarks.begin(), wanted.remarks.end());
        return remarks;
    }

    ManifestFile writeDependencies(const FunctionInfo&,
                                   const std::vector<std::string_view>& dependencies) override {
        return requirementsFor(dependencies);
    }

    void prepare(const Job& job, const FunctionInfo& function, const std::string& sourceDir,
                 const std::string& artifactDir) override {
        std::string firstError;
        for (const auto& file : function.files) {
            if (!file.name.ends_with(".py")) continue;
            if (job.cancelled()) throw Failed(CF_CANCELLED, "the build was cancelled");
            const auto error = reportRemarks(job, job.check(file.name, file.content));
            if (firstError.empty()) firstError = error;
        }
        if (!firstError.empty())
            throw Failed(CF_INVALID, firstError, "correct the source and save again");
        const auto wanted = readWanted(function);
        for (const auto& remark : wanted.remarks)
            if (!remark.warning) throw Failed(CF_INVALID, remark.message);
        precompile(host(), x_interpreter, job, function, sourceDir, artifactDir);
        namespace fs = std::filesystem;
        if (wanted.any()) {
            const auto layer =
                Packages{host(), x_interpreter, job, wanted, sourceDir}.provide(function);
            fs::create_symlink(layer.link + "/" + packagesFolder,
                               fs::path(artifactDir) / packagesFolder);
        }
        for (const auto& entry : fs::directory_iterator(sourceDir)) {
            const auto name = entry.path().filename();
            // Wheels are in the layer already.
            if (wanted.fromWheels && name.string() + "/" == wheelFolder) continue;
            fs::copy(entry.path(), fs::path(artifactDir) / name,
                     fs::copy_options::recursive | fs::copy_options::copy_symlinks |
                         fs::copy_options::overwrite_existing);
        }
    }

    void plan(const FunctionInfo* function, const Plan& plan) override {
        if (x_interpreter.executable.empty())
            throw Failed(CF_UNAVAILABLE, "no Python interpreter was found",
                         "install it with `apt install python3`");
        bool own = false, ownEncoding = false;
        if (function != nullptr)
            for (const auto& [name, value] : function->environment) {
                if (!isStartVariable(name)) continue;
                own = true;
                ownEncoding = ownEncoding || isEncodingVariable(name);
                plan.environment(name, value);
            }
        plan.argument(x_interpreter.executable);
        // -I ignores PYTHON* variables: only a function that sets one starts without it.
        if (own)
            plan.argument("-s");
        else
            plan.argument("-I");
        plan.argument("-S");
        plan.argument("-B");
        if (!ownEncoding) {
            plan.argument("-X");
            plan.argument("utf8");
            plan.environment("LANG", "C.UTF-8");
        }
        plan.argument(std::string{shimFolder} + "/" + x_interpreter.shim);
        plan.environment("PATH", "/usr/local/bin:/usr/bin:/bin");
        plan.environment("HOME", "/tmp");
        plan.mount(host().property("home"), shimFolder);
        for (const auto& folder : x_interpreter.mounts) plan.mount(folder, folder);
        plan.set(CF_PLAN_CONCURRENCY, mostInvocations);
        plan.set(CF_PLAN_CHECKS, 1);
        if (own) plan.set(CF_PLAN_NOT_PREWARMED, 1);
    }

    bool describeExit(const Exit& end, std::string& message, std::string& hint) override {
        return explainExit(end, message, hint);
    }

private:
    const Interpreter x_interpreter;
};

}  // namespace

}  // namespace cf::python

CF_DEFINE_EXECUTOR(cf::python::PythonExecutor)
