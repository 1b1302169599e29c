// Small files of /proc and /sys, read and written whole. Launcher only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cf::sandbox {

// The content, at most 1 MiB; empty when it cannot be read.
std::string readFile(const std::string& path);
// One write(2) to an existing file, as control files want it. Keeps errno.
bool writeFile(const std::string& path, std::string_view text);
// True when the directory is there afterwards and can be written to.
bool makeDirectory(const std::string& path);
std::vector<std::string> directoryNames(const std::string& path);  // without "." and ".."
std::vector<std::string> lines(const std::string& text);
std::vector<std::string> words(const std::string& text);

}  // namespace cf::sandbox
