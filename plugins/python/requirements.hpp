// What a function asks for in requirements.txt or in "dependencies": the lines, judged before
// anything is stored and before an installer sees them. Pure; used by wanted.cpp and by
// writeDependencies().
//
// Follows PEP 508 (names, extras, specifiers, markers) and pip's requirements file format. What
// would make the installer read files of the machine, run a version control system or expand
// variables of its environment (`${...}` could carry the operator's tokens to an index of the
// author's choice) is refused.
#pragma once

#include <cloudfunction/executor.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace cf::python {

inline constexpr size_t mostPackages = 2000;
inline constexpr size_t mostRemarks = 100;  // more of them help nobody

// One package that is asked for.
struct Requirement {
    std::string file;  // where it stands, as the user named it
    uint32_t line = 0;
    std::string name;  // normalised (PEP 503): lower case, "-" for any run of "-", "_" and "."
    std::string text;  // for the installer: name, extras, specifier, marker
    std::vector<std::string> hashes;  // "sha256:<hex>"
};

// All that a requirements file and the files it includes say.
struct Requirements {
    std::vector<Requirement> packages;
    std::vector<Requirement> constraints;  // of `-c` files
    std::vector<std::string> options;      // lines such as "--pre" or "--index-url https://..."
    cloudfunction::Remarks remarks;        // errors: with one of them the rest is of no use
};

// Why a file's content cannot be read, as a sentence, or nothing.
std::string whyNotText(std::string_view content);

// In quotes, and cut where it is long.
std::string quoted(std::string_view text);

// PEP 503's normal form of a distribution's name.
std::string normalName(std::string_view name);

// Reads one PEP 508 requirement without URL. Returns what is wrong with it, as a sentence, or
// nothing.
std::string readRequirement(std::string_view text, Requirement& requirement);

// Reads `name`, one of `files`, with all that it includes.
Requirements readRequirements(const std::vector<cloudfunction::File>& files, std::string_view name);

}  // namespace cf::python
