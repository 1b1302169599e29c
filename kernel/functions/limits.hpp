// What functions may ask for and what they get when they ask for nothing. app/ fills this from the
// properties file.
#pragma once

#include <chrono>
#include <cstdint>

#include "functions/function.hpp"

namespace cf::functions {

struct Limits {
    Settings defaults{};  // of fields that are absent or null
    NetworkMode defaultNetwork = NetworkMode::outbound;
    size_t networkDestinations = 64;  // entries of a function's network.allow
    std::chrono::milliseconds minTimeout{100};  // timeout and init_timeout
    std::chrono::milliseconds maxTimeout{900'000};
    uint32_t minMemoryMb = 32;
    uint32_t maxMemoryMb = 10'240;
    uint32_t maxConcurrency = 1000;
    uint32_t maxMinWorkers = 1000;  // kept of one function
    uint32_t maxWorkers = 1000;  // of one function
    std::chrono::seconds maxKeepAlive{86'400};
    uint64_t codeBytes = 10ull << 20;  // all files together
    uint32_t files = 20'000;
    // Of a file's name: with every folder that it is ever put below it fits PATH_MAX of Linux.
    uint32_t pathBytes = 1024;
    uint32_t dependencies = 100;
    uint32_t dependencyBytes = 214;         // of one, as long as the longest package name there is
    uint32_t locks = 100;                   // what an executor keeps is a few
    uint32_t environmentBytes = 64u << 10;  // names and values together
    uint32_t descriptionBytes = 4096;
    uint32_t handlerBytes = 256;
    uint32_t labels = 64;
    uint32_t labelKeyBytes = 63;
    uint32_t labelValueBytes = 256;
    uint32_t corsEntries = 64;  // of each list
};

// How long things are kept and how much room must stay free.
struct Retention {
    uint32_t versions = 50;  // of one function; the live one and its predecessor always stay
    std::chrono::hours versionAge{30 * 24};
    std::chrono::minutes artifactGrace{
        20};                    // an unused artifact outlives the longest call of its last worker
    double minFreeDisk = 0.05;  // below this share saves are refused
};

}  // namespace cf::functions
