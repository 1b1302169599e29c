// The database's schema: numbered migrations that run in order, each inside the one transaction of
// an upgrade.
#pragma once

#include <span>

namespace cf::functions {

// Migration n of the list leads from schema n to n + 1; each is a list of statements. Released ones
// never change.
std::span<const std::span<const char* const>> migrations();

}  // namespace cf::functions
