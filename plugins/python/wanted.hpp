// Which packages a function wants, and where they are to come from. Pure; used by validate(), which
// refuses what is wrong, and by prepare().
#pragma once

#include <cloudfunction/executor.hpp>
#include <string>

#include "requirements.hpp"

namespace cf::python {

inline constexpr const char* requirementsFile = "requirements.txt";
inline constexpr const char* projectFile = "pyproject.toml";
inline constexpr const char* lockFile = "requirements.lock";
inline constexpr const char* wheelFolder = "wheels/";
inline constexpr const char* packagesFolder =
    "site-packages";  // in the artifact, a link to the layer

struct Wanted {
    std::string manifest;            // the file that decides; empty when there is none
    Requirements requirements;       // what it says
    std::string lock;                // the user's own requirements.lock, or empty
    bool fromWheels = false;         // the files bring their own wheels: nothing is fetched
    cloudfunction::Remarks remarks;  // all of them; with an error among them the rest is of no use

    // True when something has to be installed.
    bool any() const { return fromWheels || !lock.empty() || !requirements.packages.empty(); }
    // For the installer: one requirement a line, its options first.
    std::string text() const;
    std::string constraints() const;
    // The line that asks for a package, or nothing: it came along with another one.
    const Requirement* lineOf(std::string_view name) const;
};

Wanted readWanted(const cloudfunction::FunctionInfo& function);

// requirements.txt for "dependencies" beside the code. Throws Failed(CF_INVALID), naming the entry
// that makes no sense.
cloudfunction::ManifestFile requirementsFor(const std::vector<std::string_view>& dependencies);

}  // namespace cf::python
