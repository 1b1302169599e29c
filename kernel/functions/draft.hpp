// A function as a save wants it: what is stored now, with the fields of a patch laid over it.
// Validation that needs more than one field, or the runtimes of this machine, happens here.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/failure.hpp"
#include "functions/document.hpp"
#include "functions/function.hpp"
#include "functions/limits.hpp"
#include "functions/ports.hpp"

namespace cf::functions {

struct Draft {
    std::string name{};
    std::string description{};
    std::map<std::string, std::string> labels{};
    Settings settings{};
    VersionSpec spec{};
    Sources sources{};
    RuntimeInfo runtime{};
    bool forgetLocks = false;  // the build is to resolve its dependencies anew
    bool changesVersion =
        false;  // spec or sources differ from the present version, or that one is not ready
    bool changesFunction = false;  // name, description, labels or settings differ
};

// What a patch is laid over; nothing for a new function.
struct Present {
    const FunctionEntry& entry;
    const Version& version;  // the shown one, with its sources and locks
};

// Failures: invalid_function with every refused field of the patch and of this step;
// runtime_unavailable when a new version would be needed and nobody can build it.
base::Result<Draft> makeDraft(Patch&& patch, const std::optional<Present>& present,
                              const Limits& limits, const RuntimeCatalog& runtimes);

}  // namespace cf::functions
