// The dependencies that pyproject.toml names (PEP 621). Pure; used by wanted.cpp.
//
// Reads no more of TOML than it needs: of a tool's own tables only the shape is judged (toml.hpp),
// and that nothing stands twice. So no interpreter has to start for it, and every remark has its
// line.
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
