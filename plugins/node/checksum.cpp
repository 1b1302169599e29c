#include "checksum.hpp"

#include <algorithm>
#include <array>

namespace node_executor {

namespace {

struct Algorithm {
    std::string_view prefix;
    size_t digits;   // of base64, without padding
    size_t padding;  // "=" behind them
};

// What npm has written over the years.
constexpr std::array<Algorithm, 4> algorithms = {
    {{"sha1-", 27, 1}, {"sha256-", 43, 1}, {"sha384-", 64, 0}, {"sha512-", 86, 2}}};

bool isDigit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '+' || c == '/';
}

bool isOne(std::string_view text) {
    return std::any_of(algorithms.begin(), algorithms.end(), [&](const Algorithm& algorithm) {
        if (!text.starts_with(algorithm.prefix)) return false;
        const std::string_view digest = text.substr(algorithm.prefix.size());
        return digest.size() == algorithm.digits + algorithm.padding &&
               std::all_of(digest.begin(), digest.begin() + static_cast<long>(algorithm.digits),
                           isDigit) &&
               digest.substr(algorithm.digits) == std::string_view("==").substr(0, algorithm.padding);
    });
}

}  // namespace

bool isChecksum(std::string_view integrity) {
    bool any = false;
    while (!integrity.empty()) {
        const size_t end = std::min(integrity.find(' '), integrity.size());
        const std::string_view one = integrity.substr(0, end);
        integrity.remove_prefix(std::min(end + 1, integrity.size()));
        if (one.empty()) continue;
        if (!isOne(one)) return false;
        any = true;
    }
    return any;
}

}  // namespace node_executor
