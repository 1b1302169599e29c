// What the executor says of itself, and the templates that people begin with.
#pragma once

#include <string>

namespace go_executor {

// The manifest of docs/executor-abi.md.
std::string manifest();

}  // namespace go_executor
