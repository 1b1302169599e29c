// How the files that the process may open are divided: workers first, connections take what is
// left.
#pragma once

#include <cstddef>
#include <cstdint>

#include "app/settings.hpp"

namespace cf::app {

// What settings need in full.
size_t descriptorsWanted(const Settings& settings);
// The connections that `limit` descriptors leave: those of workers and of the platform itself are
// not theirs. Where a limit is too low for the workers alone, a quarter of it.
uint32_t connectionsWithin(const Settings& settings, size_t limit);

}  // namespace cf::app
