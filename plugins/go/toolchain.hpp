// Which Go this machine has, and where it keeps what builds need besides.
#pragma once

#include <string>
#include <string_view>

#include "cloudfunction/executor.hpp"
#include "operator.hpp"

namespace go_executor {

// The oldest Go that the worker shim and the builder compile with.
inline constexpr int floorMinor = 16;

// What the probe found, kept as the JSON object that `create` gets. Empty `root` before the probe and where it failed.
struct Toolchain {
    std::string version;  // "1.26.8"
    std::string path;     // the program `go` that was asked
    std::string root;     // GOROOT: root + "/bin/go" is what builds run
    OperatorSettings settings{};

    bool found() const { return !root.empty(); }
    // What the modules of a lock depend on: which go.mod files the go command wants to see, and so has to have fetched,
    // changes with the language alone.
    std::string language() const;  // "go1.26"
    std::string toJson() const;
    static Toolchain fromJson(std::string_view json);
};

// The first toolchain that is new enough: the property `path` alone where it is set, else `go` on PATH, else the usual
// places. Throws Failed(CF_UNAVAILABLE). Starts processes: only for the throw-away probe child.
Toolchain findToolchain(const cloudfunction::Host& host);

// "1.19.8" out of what `go version` prints; empty when it is something else.
std::string versionIn(std::string_view goVersionOutput);

}  // namespace go_executor
