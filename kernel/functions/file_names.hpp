// Names that cannot stand beside each other in one version. Stricter than Linux: sources are also
// read on machines whose file systems take "A" and "a", or both ways to write an accented letter,
// for one name, and an editor there would show one file where the platform has two.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cf::functions {

// `name` in a form that is equal for names that count as equal: Unicode's case folding, composed
// (NFC). Text that is not UTF-8 stays as it is.
std::string fileNameKey(std::string_view name);

struct FileName {
    std::string_view name{};  // relative, '/'-separated (whyUnsafeFileName has nothing against it)
    bool folder = false;      // an empty folder, or one that is named beside its files
};

// One name that has to go.
struct NameClash {
    std::string_view name{};
    std::string detail{};  // why, one sentence
};

// All clashes among `names`: the same name twice, names that differ in case or Unicode form only,
// and files that would have to be folders too. A folder may be named more than once. Takes time
// and memory in proportion to the names, whatever they are.
std::vector<NameClash> findNameClashes(const std::vector<FileName>& names);

// How many folders `names` need together, each counted once; in time and memory as above.
size_t countFolders(const std::vector<FileName>& names);

}  // namespace cf::functions
