// What a probe process tells the kernel about one plugin: lines of JSON on a descriptor of its own,
// each complete in itself, the last one wins. A plugin that dies half-way has still been described
// by the line before.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/failure.hpp"
#include "executors/manifest.hpp"

namespace cf::executors {

struct Unavailable {
    std::string reason{};  // one sentence
    std::string hint{};    // what to install or do; may be empty
};

struct ProbeReport {
    std::string id{};  // empty: it did not get as far as telling it
    std::string version{};
    std::string abi{};
    std::string manifestJson{};  // as `describe` wrote it; empty: not described
    std::string found{};  // as `probe` wrote it, an object; empty: not probed yet, or unavailable
    std::optional<Unavailable> unavailable{};
};

constexpr size_t foundLimit = 64u << 10;  // bytes

std::string writeReport(const ProbeReport& report);  // one line with its line end
// Reads the last complete line. Failures: there is none, or it is not such a report.
base::Result<ProbeReport> readReport(std::string_view lines);

}  // namespace cf::executors
