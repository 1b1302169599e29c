// How the parts of a row that may grow over time (settings, environment, remarks) are written as
// JSON columns, and read back: unknown members are ignored, missing ones get today's defaults, so
// rows outlive the release that wrote them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/failure.hpp"
#include "functions/function.hpp"

namespace cf::functions::rows {

std::string encode(const Settings& settings);
std::string encode(const Environment& environment);
std::string encode(const std::map<std::string, std::string>& labels);
std::string encode(const std::vector<std::string>& texts);
std::string encode(const std::vector<LiveShare>& live);
std::string encode(const std::vector<base::SourceRemark>& remarks);
std::string encode(const std::optional<base::Failure>& failure);

// Text that is not JSON of the expected shape gives what could be read of it.
Settings decodeSettings(std::string_view json);
std::string encodeNetwork(const NetworkRules& network);
NetworkRules decodeNetwork(const std::string& text);
Environment decodeEnvironment(std::string_view json);
std::vector<std::string> decodeTexts(std::string_view json);
std::map<std::string, std::string> decodeLabels(std::string_view json);
std::vector<LiveShare> decodeLive(std::string_view json);
std::vector<base::SourceRemark> decodeRemarks(std::string_view json);
std::optional<base::Failure> decodeFailure(std::string_view json);

}  // namespace cf::functions::rows
