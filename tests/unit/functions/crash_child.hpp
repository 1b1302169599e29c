// The part of the durability test that runs in a process of its own, until somebody kills it.
#pragma once

#include <string>

namespace cf::functions::test {

// Creates and updates functions in the store at `path` and writes a line to standard output after
// each acknowledged one: its name and the content of its source.
int saveForEver(const std::string& path);

}  // namespace cf::functions::test
