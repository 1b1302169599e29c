// The lines of a properties file, in their order and with their numbers. Pure but for the one file
// it reads; used by settings.cpp.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/failure.hpp"

namespace cf::app {

// `line` counts from 1 and is where the entry begins: its value may go on below it, behind a
// backslash.
struct Property {
    std::string key{};
    std::string value{};
    size_t line = 0;
};

constexpr size_t propertiesLimit = 1u << 20;  // bytes of the file

// A key that stands twice is there twice. Fails with a sentence where there is no such file, it is
// none (a folder, a pipe, a device), or it is too large; never waits for a writer and reads no more
// than the limit.
base::Result<std::vector<Property>> readProperties(const std::string& file);

}  // namespace cf::app
