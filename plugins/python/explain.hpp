// Why a worker ended, in words. Pure; used by describeExit().
#pragma once

#include <cloudfunction/executor.hpp>

namespace cf::python {

// False where there is nothing to add to what the host knows (a kill at the deadline or the memory
// limit).
bool explainExit(const cloudfunction::Exit& end, std::string& message, std::string& hint);

}  // namespace cf::python
