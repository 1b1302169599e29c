// What `cloudfunction unpack` runs: reads an archive on its standard input and writes what is in it
// to its standard output, as archive_frames.hpp says. Meant for the build sandbox: it is the one
// process that gives an archive of a stranger to libarchive. It writes no files. What it takes: zip,
// and tar as it is or packed by gzip or zstd.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cf::app {

// `arguments`: the most bytes of the archive, of the contents of its files, and the most entries.
// Gives the exit code: 0 also when the archive is refused, which is said in a frame.
int unpackMain(const std::vector<std::string>& arguments);

// What bytes that are no archive look like ("a PDF document"); empty for archives that are taken.
std::string looksLike(std::string_view bytes);

// What is wrong with the outer shape of a zip archive, one sentence; empty when nothing is. A zip
// names its entries twice, and programs differ in which of the two they believe; here both must say
// the same, and nothing may stand in front or behind.
std::string whyBadZip(std::string_view bytes);

// A symbolic link below node_modules/.bin/: every folder that npm filled has some, and no function
// needs them. They are left out; all other links are refused.
bool isProgramLink(std::string_view name);

}  // namespace cf::app
