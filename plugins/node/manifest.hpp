// What the platform shows of this executor: runtime, aliases, templates.
#pragma once

#include <string>

namespace node_executor {

// The manifest of docs/executor-abi.md, as JSON.
std::string manifest();

}  // namespace node_executor
