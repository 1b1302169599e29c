// How a worker is started, and what its end means.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "cloudfunction/executor.hpp"
#include "toolchain.hpp"

namespace node_executor {

inline constexpr uint32_t defaultMemoryMb = 128;

// Up to here prewarmed workers do: V8's own limit on its heap, which it has from its start, is
// above this on every machine with 2 GB. The sandbox's limit is the one that holds.
inline constexpr uint32_t prewarmedMemoryMb = 1024;

// Variables that Node.js, ICU and OpenSSL read once, at their start. (TZ is not among them: it
// works at any time.)
inline constexpr std::array<std::string_view, 15> startEnvironment = {"NODE_OPTIONS",
                                                                      "NODE_EXTRA_CA_CERTS",
                                                                      "NODE_ICU_DATA",
                                                                      "NODE_PATH",
                                                                      "NODE_DEBUG",
                                                                      "NODE_NO_WARNINGS",
                                                                      "NODE_PENDING_DEPRECATION",
                                                                      "UV_THREADPOOL_SIZE",
                                                                      "OPENSSL_CONF",
                                                                      "SSL_CERT_FILE",
                                                                      "SSL_CERT_DIR",
                                                                      "LANG",
                                                                      "LANGUAGE",
                                                                      "LC_ALL",
                                                                      "LC_MESSAGES"};

// The operation `plan`; `home` is where the worker's files lie.
void planWorker(const cloudfunction::FunctionInfo* function, const Toolchain& toolchain,
                const std::string& home, const cloudfunction::Plan& plan);

// The operation `describe_exit`.
bool explainExit(const cloudfunction::Exit& exit, std::string& message, std::string& hint);

}  // namespace node_executor
