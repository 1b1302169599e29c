// Explains in words how a Go program ended.
#pragma once

#include <string>

#include "cloudfunction/executor.hpp"

namespace go_executor {

// False when there is nothing to add to the exit code or the signal.
bool explainExit(const cloudfunction::Exit& exit, std::string& message, std::string& hint);

}  // namespace go_executor
