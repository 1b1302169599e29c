// The word that was probably meant, for messages about a mistyped name.
#pragma once

#include <string_view>
#include <vector>

namespace cf::base {

// The one of `known` that the fewest edits make of `wrong`; empty where that takes more than three,
// or more than half of a short word.
std::string_view nearest(std::string_view wrong, const std::vector<std::string_view>& known);

}  // namespace cf::base
