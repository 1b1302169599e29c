// The dependencies that pyproject.toml names (PEP 621). Pure; used by wanted.cpp.
//
// Reads the part of TOML that stands around `[project] dependencies` and no more: a tool's own
// tables are passed over, whatever is in them. So no interpreter has to start for it, and every
// remark has its line.
#pragma once

#include <string_view>

#include "requirements.hpp"

namespace cf::python {

struct Project {
    bool declares = false;  // there is a list of dependencies, maybe an empty one
    Requirements requirements;
};

Project readProject(std::string_view content);

}  // namespace cf::python
