#include "launch.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>

namespace node_executor {

namespace {

constexpr std::string_view workerFolder = "/opt/cloudfunction/node";
constexpr uint64_t mostAtOnce = 1000;  // as the worker's HELLO says

// Line of `text` that begins at `at`.
std::string lineAt(std::string_view text, size_t at) {
    return std::string(text.substr(at, text.find('\n', at) - at));
}

}  // namespace

void planWorker(const cloudfunction::FunctionInfo* function, const Toolchain& toolchain,
                const std::string& home, const cloudfunction::Plan& plan) {
    if (toolchain.node.empty()) {
        throw cloudfunction::Failed(CF_UNAVAILABLE, "Node.js was not found on this machine",
                                    "apt install nodejs");
    }
    const uint32_t memoryMb = function != nullptr ? function->memoryMb : 0;
    bool ownStart = memoryMb > prewarmedMemoryMb;

    plan.argument(toolchain.node);
    // Each of V8's own flags makes Node.js start a quarter slower, so only those who need a large
    // heap have one.
    if (ownStart) plan.argument("--max-old-space-size=" + std::to_string(memoryMb - memoryMb / 8));
    plan.argument("--v8-pool-size=2");  // fewer threads to start; a worker seldom has more than one
                                        // core anyway
    // Lets CHECK parse modules; functions see one more class in `vm`.
    plan.argument("--experimental-vm-modules");
    plan.argument(std::string(workerFolder) + "/worker.js");

    plan.mount(home, workerFolder);
    if (toolchain.outsideOfUsr()) {
        const std::string& source = toolchain.prefix.empty() ? toolchain.node : toolchain.prefix;
        plan.mount(source, source);
    }

    plan.environment("PATH", "/usr/local/bin:/usr/bin:/bin");
    plan.environment("HOME", "/tmp");
    plan.environment("TMPDIR", "/tmp");
    bool languageSet = false;
    if (function != nullptr) {
        for (const auto& [name, value] : function->environment) {
            if (std::find(startEnvironment.begin(), startEnvironment.end(), name) ==
                startEnvironment.end())
                continue;
            plan.environment(name, value);
            languageSet = languageSet || name == "LANG";
            ownStart = true;
        }
    }
    if (!languageSet) plan.environment("LANG", "C.UTF-8");

    plan.set(CF_PLAN_CONCURRENCY, mostAtOnce);
    plan.set(CF_PLAN_CHECKS, 1);
    if (ownStart) plan.set(CF_PLAN_NOT_PREWARMED, 1);
}

bool explainExit(const cloudfunction::Exit& exit, std::string& message, std::string& hint) {
    const std::string_view errors = exit.lastErrors;
    if (errors.find("JavaScript heap out of memory") != std::string_view::npos) {
        message = "heap out of memory: the function's objects need more than its " +
                  std::to_string(exit.memoryMb) + " MB of memory allow";
        hint = "raise memory_mb, or keep less in memory at once";
        return true;
    }
    size_t uncaught = errors.rfind("\nUncaught ");
    if (uncaught != std::string_view::npos)
        ++uncaught;
    else if (errors.starts_with("Uncaught "))
        uncaught = 0;
    if (uncaught != std::string_view::npos) {
        message = "an error outside of the handler's own run ended the worker: " +
                  lineAt(errors, uncaught);
        hint =
            "it was thrown in a timer, an event or a promise that nothing waits for; catch it "
            "there, or await it";
        return true;
    }
    if (const size_t fatal = errors.find("FATAL ERROR: "); fatal != std::string_view::npos) {
        message = "Node.js gave up: " + lineAt(errors, fatal);
        return true;
    }
    const bool aborted = exit.signal == SIGABRT ||
                         errors.find("node::Abort(") != std::string_view::npos ||
                         errors.find("Native stack trace") != std::string_view::npos;
    if (aborted || exit.signal == SIGSEGV || exit.signal == SIGBUS || exit.signal == SIGILL) {
        message = aborted ? "the function's process was aborted (SIGABRT)"
                          : std::string("Node.js crashed (") + ::strsignal(exit.signal) + ")";
        hint = aborted ? "process.abort or a package's native code did that; throw an error instead"
                       : "a package's native code is at fault, most likely";
        return true;
    }
    if (exit.exitCode == 9 || errors.find("in NODE_OPTIONS") != std::string_view::npos) {
        message = "Node.js did not start: " + lineAt(errors, 0);
        hint = "see NODE_OPTIONS in the function's environment";
        return true;
    }
    if (exit.exitCode >= 0) {
        message = "the worker left with exit code " + std::to_string(exit.exitCode) +
                  "; the function, or something it uses, called process.exit";
        hint = "return from the handler, or throw an error, instead of leaving the process";
        return true;
    }
    return false;
}

}  // namespace node_executor
