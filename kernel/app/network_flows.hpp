// How many connections a sandbox may have open: its share of `sandbox.network.flows`.
#pragma once

#include <cstdint>
#include <string>

#include "app/settings.hpp"

namespace cf::app {

// The machine keeps one table of connections for everybody on it, and drops packets of all when it is
// full. `root` stands in front of /proc, for tests. Any thread.
uint32_t flowsOfSandbox(const Settings& settings, const std::string& root = "");

}  // namespace cf::app
