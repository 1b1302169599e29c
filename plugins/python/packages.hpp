// Installs a function's packages: choose versions, lock them, make the layer. Used by prepare().
//
// Three tools at most run for new packages: one that may use the network and runs no code of
// packages (pip with wheels alone), one that installs without the network, and, only with
// executor.python.source_builds=true, one for each package that has no wheel, which runs the
// package's own build code: without network and without the operator's settings. Nothing runs at
// all where the lock and its layer are there.
#pragma once

#include <cloudfunction/executor.hpp>
#include <string>

#include "probe.hpp"
#include "wanted.hpp"

namespace cf::python {

class Packages {
public:
    // All outlive this object, which is made for one job.
    Packages(const cloudfunction::Host& host, const Interpreter& interpreter,
             const cloudfunction::Job& job, const Wanted& wanted, const std::string& sourceDir)
        : x_host(host),
          x_interpreter(interpreter),
          x_job(job),
          x_wanted(wanted),
          x_sourceDir(sourceDir) {}

    // The layer that holds what is wanted. Throws Failed: CF_INVALID after remarks were sent about
    // the lines at fault, or when a package index cannot be reached; CF_UNAVAILABLE without pip;
    // CF_FAILED when a tool broke.
    cloudfunction::Layer provide(const cloudfunction::FunctionInfo& function);

private:
    // What one of the tasks of packages/packages.py answered.
    struct Answer {
        std::string lock, file, sha256;
        std::string kind, message, hint, name, requirement;  // of a failure
        bool failed() const { return !kind.empty(); }
    };

    // Runs a task of packages/packages.py; `fields`: further members of the request, each with a
    // comma before it.
    Answer run(const std::string& task, const std::string& fields, bool network);
    Answer runIn(const std::string& folder, const std::string& task, const std::string& fields,
                 bool network);
    static Answer readAnswer(const std::string& path);
    void prepareFolder();

    std::string chooseLock(const std::string& madeFrom, Answer& unreachable);
    Answer resolve();
    void build(const std::string& requirement, const std::string& name, const std::string& sha256);
    Answer runBuild(const std::string& archive);
    void buildLocked(const std::string& lock);
    void fill(const std::string& lock, const std::string& directory);
    void fillFromWheels(const std::string& directory);
    [[noreturn]] void fail(const Answer& answer);
    std::string built() const { return ",\"built\":{" + x_built + "}"; }
    bool buildsSources() const { return x_host.property("source_builds") == "true"; }
    std::string decides() const;  // what a choice of versions depends on, besides the package index

    const cloudfunction::Host& x_host;
    const Interpreter& x_interpreter;
    const cloudfunction::Job& x_job;
    const Wanted& x_wanted;
    const std::string& x_sourceDir;
    std::string x_folder;  // of the tools, inside the job's scratch folder
    std::string x_built;  // members of a JSON object: wheels made here, by file, from which archive
    std::string x_layer;  // the folder to install into, once it is known
    bool x_fetched = false;  // the wheels of the lock are there
};

}  // namespace cf::python
