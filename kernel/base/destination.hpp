// Where a program may connect to, as people write it in lists: "host", "host:port", "address",
// "address/prefix", each address part with ":port" too. Read in three places that must agree: the
// properties file, a function's `network.allow`, and the sandbox that enforces both.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cf::base {

struct Destination {
    std::string name{};    // lower case, without a final dot; empty: the address counts
    uint32_t address = 0;  // IPv4, in host order; bits after the prefix are 0
    uint8_t prefix = 32;
    uint16_t port = 0;  // 0: every port
    bool operator==(const Destination&) const = default;
};

// Nothing when it is none; `why` then says what is wrong, as the end of a sentence ("has the port
// 99999; ports are 1 to 65535").
std::optional<Destination> parseDestination(std::string_view text, std::string& why);

// "192.0.2.1" as a number in host order.
std::optional<uint32_t> parseAddress(std::string_view text);
std::string addressText(uint32_t address);
// "192.0.2.0/24", or an address alone for a prefix of 32.
std::string rangeText(uint32_t address, uint8_t prefix);
// An IPv4 prefix as a mask in host order.
constexpr uint32_t maskOf(uint8_t prefix) { return prefix == 0 ? 0 : ~0u << (32 - prefix); }

}  // namespace cf::base
