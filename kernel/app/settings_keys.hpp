// The table of properties: one row a key, its default, what it accepts, and where its value goes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/settings.hpp"

namespace cf::app {

struct Key {
    std::string name;
    std::string standard;  // the default, as it would stand in the file
    std::string range;     // what is accepted, for people
    // Puts a value into the settings; false when it is not accepted.
    std::function<bool(Settings&, const std::string&)> apply;
};

const std::vector<Key>& keys();

}  // namespace cf::app
