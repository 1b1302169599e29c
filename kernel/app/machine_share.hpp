// How much of the machine the platform may count on: all of it, or what the control groups that
// this process is in (a container's, a service's; v1 and v2) leave it. `root` stands in front of
// /proc and /sys, for tests. Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace cf::app {

// In bytes; 0 when nothing can be read. What `workers.memory_budget = auto` is a part of.
uint64_t usableMemory(const std::string& root = "");

// At least one: those that this process may run on (sched_getaffinity(2)).
uint32_t allowedCores();

// At least one: `cores`, or what the smallest quota of processor time comes to, rounded up (cpu.max
// of v2, cpu.cfs_quota_us of v1). What `server.loops = auto` and the number of starts at once
// follow.
uint32_t usableCores(uint32_t cores, const std::string& root = "");

}  // namespace cf::app
