#include "precompile.hpp"

namespace cf::python {

using namespace cloudfunction;

void precompile(const Host& host, const Interpreter& interpreter, const Job& job,
                const FunctionInfo& function, const std::string& sourceDir,
                const std::string& artifactDir) {
    size_t bytes = 0;
    for (const auto& file : function.files)
        if (file.name.ends_with(".py")) bytes += file.content.size();
    if (bytes < worthPrecompiling) return;
    const auto home = host.property("home");
    job.mount(home, home, CF_MOUNT_READ_ONLY);
    for (const auto& folder : interpreter.mounts) job.mount(folder, folder, CF_MOUNT_READ_ONLY);
    Tool tool;
    tool.argv = {interpreter.executable,       "-I",      "-S",       "-B", "-W", "ignore",
                 home + "/compile_sources.py", sourceDir, artifactDir};
    tool.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LANG", "C.UTF-8"}};
    tool.logged = true;
    try {
        if (!job.run(tool).ok()) job.log("The sources were not compiled ahead: the compiler ended");
    } catch (const Failed& failed) {
        if (failed.status == CF_CANCELLED) throw;
        job.log("The sources were not compiled ahead: " + failed.message);
    }
}

}  // namespace cf::python
