// Which Node.js and which esbuild this machine has.
#pragma once

#include <string>
#include <string_view>

#include "cloudfunction/executor.hpp"

namespace node_executor {

// The oldest major version of Node.js that the worker runs on.
inline constexpr int oldestMajor = 14;

// What the probe found and every later operation works with. Empty `node` before the probe and
// where it failed.
struct Toolchain {
    std::string node;     // the program itself, as it calls itself: no link, no shell shim
    std::string version;  // "20.19.1"
    std::string prefix;   // folder with its libraries where that lies outside of /usr; else empty
    std::string esbuild;  // empty: no TypeScript

    bool outsideOfUsr() const;
    std::string json() const;
    static Toolchain fromJson(std::string_view found);
};

// Looks for both and starts each once. Properties: `path` and `esbuild` name the programs, else
// PATH decides. Throws Failed(CF_UNAVAILABLE) without a Node.js that is new enough. Only for the
// throw-away probe process.
Toolchain probeToolchain(const cloudfunction::Host& host);

bool belowUsr(std::string_view path);

}  // namespace node_executor
