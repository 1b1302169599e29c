// The cheap check of a function before anything is stored.
#pragma once

#include "cloudfunction/executor.hpp"

namespace go_executor {

cloudfunction::Remarks checkFunction(const cloudfunction::FunctionInfo& function);

}  // namespace go_executor
