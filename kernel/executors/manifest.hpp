// An executor's manifest: what its `describe` wrote, checked and parsed (docs/executor-abi.md,
// "Manifest"). Plain values, immutable once made; read by the catalogue, the API and the functions'
// defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/failure.hpp"

namespace cf::executors {

// Another name of a runtime. `code` given under it is stored as `sourceFile`.
struct Alias {
    std::string name{};
    std::string sourceFile{};
};

struct Template {
    std::string name{};
    std::string title{};
    std::string handler{};
    std::string code{};
    std::string runtime{};  // the name to create a function from it under: the runtime's, or one of
                            // its aliases
};

struct Runtime {
    std::string name{};
    std::string displayName{};
    std::vector<Alias> aliases{};
    std::string sourceFile{};  // how `code` is named when it is stored as a file
    std::vector<std::string> fileExtensions{};
    std::string editorMode{};
    std::string defaultHandler{};
    std::vector<Template> templates{};
};

// A property executor.<id>.<name> that the executor knows. Without values and range it takes any
// text.
struct Property {
    std::string name{};
    std::vector<std::string> values{};                     // one of these
    std::optional<std::pair<uint64_t, uint64_t>> range{};  // a whole number from, to
};

struct Manifest {
    std::string displayName{};
    std::vector<Runtime> runtimes{};
    std::vector<std::string>
        startEnvironment{};  // variables that the language reads only at its start
    std::optional<uint32_t> defaultMemoryMb{};
    std::optional<std::vector<Property>>
        properties{};  // all that it knows; nothing: it does not say

    // The runtime that `name` is the name or an alias of, or nullptr.
    const Runtime* find(std::string_view name) const;
};

constexpr size_t manifestLimit = 256u << 10;  // bytes

// Failures name the first thing that is wrong; unknown fields are ignored, so that newer executors
// load.
base::Result<Manifest> parseManifest(std::string_view json);

// [a-z][a-z0-9_]*, at most 64 characters; with `dashes` also '-'.
bool isId(std::string_view text, bool dashes);

// A relative path of at most 255 bytes with '/' separators, without "..", empty parts or control
// characters.
bool isSourceName(std::string_view path);

}  // namespace cf::executors
