// An executor's manifest: what its `describe` wrote, checked and parsed (docs/executor-abi.md,
// "Manifest"). Plain values, immutable once made; read by the catalogue, the API and the functions'
// defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
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

struct Manifest {
    std::string displayName{};
    std::vector<Runtime> runtimes{};
    std::vector<std::string>
        startEnvironment{};  // variables that the language reads only at its start
    std::optional<uint32_t> defaultMemoryMb{};

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
