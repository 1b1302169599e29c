// How much memory the platform may count on: what `workers.memory_budget = auto` is a part of.
#pragma once

#include <cstdint>
#include <string>

namespace cf::app {

// The machine's memory, or the smallest limit of the control groups that this process is in (a
// container's, a service's; v1 and v2) where one is lower. In bytes; 0 when neither can be read.
// `root` stands in front of /proc and /sys, for tests. Any thread.
uint64_t usableMemory(const std::string& root = "");

}  // namespace cf::app
