// A function's package.json, as far as building it needs to know. Reads what people wrote: whatever
// is not what it should be counts as absent, and npm says what is wrong with it; but for the packages
// that are asked for, which npm would leave out in silence.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cloudfunction/executor.hpp"

namespace node_executor {

inline constexpr size_t mostRemarks = 100;  // more of them help nobody

// A package that is asked for.
struct Wanted {
    std::string name;
    std::string range;      // "^1.2", "latest", a URL, ...
    bool required = false;  // one of `dependencies`: nothing works without it
};

class PackageJson {
public:
    // Throws Failed(CF_INVALID) when `content` is not a JSON object, asks for packages in a way that
    // npm does not understand, or for too many.
    explicit PackageJson(std::string_view content);

    // What a worker needs: dependencies, optionalDependencies and peerDependencies.
    const std::vector<Wanted>& wanted() const { return wanted_; }
    // The members that decide what npm resolves, as one text that leaves out all others: two
    // functions whose texts are equal may share a lock.
    const std::string& decisive() const { return decisive_; }
    bool hasWorkspaces() const { return hasWorkspaces_; }

private:
    std::vector<Wanted> wanted_;
    std::string decisive_;
    bool hasWorkspaces_ = false;
};

// A remark about `package`, placed where package.json asks for it; at no line when it does not.
cloudfunction::Remark remarkOn(std::string_view packageJson, std::string_view package,
                               std::string message);

// Why npm could not or should not fetch `range` in a build ("file:../x", a git address), as a
// sentence; empty: it may. The network and the registry have the last word.
std::string refusedRange(const Wanted& wanted);

}  // namespace node_executor
