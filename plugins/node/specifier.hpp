// `dependencies` beside code: "axios@1" and what becomes of it.
#pragma once

#include <string_view>
#include <vector>

#include "cloudfunction/executor.hpp"

namespace node_executor {

// Whether npm could have a package of this name.
bool isPackageName(std::string_view name);

// The operation `write_dependencies`: a package.json, one package a line. Throws Failed(CF_INVALID)
// naming the first entry that is not a package's name with an optional version, range or tag.
cloudfunction::ManifestFile writePackageJson(const std::vector<std::string_view>& dependencies);

}  // namespace node_executor
