// The modules from elsewhere that a function uses: which versions (a lock), fetched and compiled once (two layers).
//
// The layer of modules holds their sources and belongs to the lock. The layer of packages holds what the compiler made
// of those that the function imports, so that saving it again compiles the function's own files alone; it needs no
// network, and changes with the imports and with every release of Go. Both are for builds only: a program is static.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder_run.hpp"
#include "toolchain.hpp"

namespace go_executor {

// What `build` needs to compile without network.
struct Provided {
    std::vector<std::string> arguments;
    std::string input;  // the lock; empty: the user's own
};

class Dependencies {
public:
    // Both outlive it.
    Dependencies(const BuilderRun& builder, const Toolchain& toolchain) : builder_(builder), toolchain_(toolchain) {}

    // Whether a function can have any; others need no look at all.
    static bool possible(const cloudfunction::FunctionInfo& function);

    // Makes or finds lock and layers. Throws Failed; CF_INVALID after diagnostics.
    Provided provide();

    // When a build with what `provide` gave finds sums missing: resolves anew, on top of what there is. False when that
    // was done already.
    bool complete();

private:
    void recall();
    void resolve();
    std::string modules();
    std::string packages(const std::string& modules);
    std::string withNetrc(const std::string& archive) const;
    Report fetch(const std::string& name, std::vector<std::string> arguments) const;

    const BuilderRun& builder_;
    const Toolchain& toolchain_;
    Report inspected_;
    std::string madeFrom_;
    std::string lock_;        // empty: the user's go.mod and go.sum are as good as one
    std::string downloaded_;  // module cache of this job's `resolve`
    std::optional<Report> unreachable_;  // of a `resolve` that nobody answered, and an old lock took its place
    bool resolved_ = false;
    bool incomplete_ = false;  // said by a run inside of a layer's filling
};

// All go.mod of the function, and its go.sum, as an archive (builder/archive.go): what a lock is made from.
std::string manifestsOf(const cloudfunction::FunctionInfo& function);

// The go.mod that asks for these, each "path" or "path@version". Throws Failed(CF_INVALID).
cloudfunction::ManifestFile writeManifest(const std::vector<std::string_view>& dependencies);

}  // namespace go_executor
