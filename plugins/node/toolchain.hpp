// Which Node.js, which npm and which esbuild this machine has.
#pragma once

#include <string>
#include <string_view>

#include "cloudfunction/executor.hpp"
#include "operator_config.hpp"

namespace node_executor {

// The oldest major version of Node.js that the worker runs on.
inline constexpr int oldestMajor = 14;

// What the probe found and every later operation works with. Empty `node` before the probe and
// where it failed.
struct Toolchain {
    std::string node;     // the program itself, as it calls itself: no link, no shell shim
    std::string version;  // "20.19.1"
    std::string abi;      // "115 linux x64": what native packages are built for
    std::string prefix;   // folder with its libraries where that lies outside of /usr; else empty
    std::string esbuild;  // empty: no TypeScript

    std::string npm;         // npm-cli.js, to be run with `node`; empty: there is none, and
    std::string npmProblem;  // why, as half a sentence: "npm was not found"
    std::string npmVersion;
    std::string headers;  // folder whose include/node has node.h; empty: none
    OperatorConfig config;

    bool outsideOfUsr() const;
    int npmMajor() const;
    // PATH for tools: programs that ask for `node` get this one.
    std::string path() const;
    // Makes `node` and `npm` visible to the tools of a build.
    void mountForTools(const cloudfunction::Job& job) const;
    // As the probe hands it to the executor; holds the operator's tokens.
    std::string json() const;
    static Toolchain fromJson(std::string_view found);
};

// Looks for all of them and starts each once. Properties: `path`, `npm` and `esbuild` name the
// programs, else PATH decides, and Node.js itself says where its npm lies. Throws
// Failed(CF_UNAVAILABLE) without a Node.js that is new enough. Only for the throw-away probe
// process.
Toolchain probeToolchain(const cloudfunction::Host& host);

bool belowUsr(std::string_view path);

}  // namespace node_executor
