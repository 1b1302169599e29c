// The sources that a save wants: the user's files, and the manifest that is written for him when
// he lists dependencies.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "functions/draft.hpp"

namespace cf::functions {

// Whether one of the errors is about the field at `pointer` or one in it.
bool isNamed(const std::vector<base::FieldError>& errors, std::string_view pointer);

// The files that the user gave, without the manifest that stands for spec.dependencies.
std::vector<SourceFile> ownSources(const VersionSpec& spec, const std::vector<SourceFile>& sources);

// Lays code, files and dependencies of `patch` over those in `draft` (whose runtime is set when
// `runtimeKnown`). What is refused goes to `errors`. Failures: the executor could not be asked.
base::Result<void> laySources(Patch& patch, const std::optional<Present>& present,
                              const RuntimeCatalog& runtimes, bool runtimeKnown, Draft& draft,
                              std::vector<base::FieldError>& errors);

}  // namespace cf::functions
