// What a build needs besides the toolchain: the builder (builder/, a Go program) and a warm build cache. Both belong to
// one version of Go and lie in <folder>/go<version>/. The platform's own build makes them where it finds Go; on a
// machine where Go came later, or was upgraded, the first build of a function makes them, inside its sandbox, and the
// executor keeps them for all others.
#pragma once

#include <mutex>
#include <string>

#include "cloudfunction/executor.hpp"
#include "toolchain.hpp"

namespace go_executor {

// Paths inside a job's sandbox.
struct ReadyTools {
    std::string builder;
    std::string home;   // has worker/
    std::string cache;
    std::string root;
};

class Toolset {
public:
    // `home`: the executor's worker files. `folder`: where toolsets lie; empty: home + "/toolsets".
    Toolset(Toolchain toolchain, std::string home, std::string folder);

    const Toolchain& toolchain() const { return toolchain_; }

    // [job] Mounts everything into the job's sandbox. Makes the toolset first where it is missing, which takes a minute;
    // other jobs wait for it meanwhile.
    ReadyTools provide(const cloudfunction::Job& job, const std::string& artifactDir) const;

    // [job] Removes what runs of the builder may have left in the artifact.
    static void clear(const cloudfunction::Job& job, const std::string& artifactDir);

private:
    bool make(const cloudfunction::Job& job, const std::string& artifactDir) const;

    Toolchain toolchain_;
    std::string home_;
    std::string folder_;  // of this version of Go
    mutable std::mutex making_;
};

}  // namespace go_executor
