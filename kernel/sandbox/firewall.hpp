// What sandboxes with an outbound network may reach, as nftables rules. Two tables: one on the
// machine, which keeps sandboxes away from the machine itself, and one in the router's namespace,
// which has the policy. Texts only; router.cpp and sandbox_network.cpp load them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/destination.hpp"
#include "sandbox/launcher_client.hpp"
#include "sandbox/refusal.hpp"

struct nft_ctx;

namespace cf::sandbox {

// Addresses of one platform's sandboxes: a private range. The first ones belong to the platform.
struct AddressRange {
    uint32_t base = 0;
    uint8_t prefix = 20;
    uint32_t machine() const { return base + 1; }  // the machine's end of the link to the router
    uint32_t router() const { return base + 2; }   // every sandbox's gateway and name server
    uint32_t sandbox(uint32_t index) const { return base + reserved + index; }
    uint32_t sandboxes() const { return ~base::maskOf(prefix) - reserved; }
    bool has(uint32_t address) const { return (address & base::maskOf(prefix)) == base; }
    std::string text() const { return base::rangeText(base, prefix); }
    static constexpr uint32_t reserved = 8;
};

// Ranges that are refused unless the operator opens them: everything that is not somewhere on the
// internet (IANA's special-purpose registry), and addresses at which clouds serve machines' secrets.
const std::vector<std::string>& refusedRanges();

// How rules refuse: by way of a chain that logs the reason first.
std::string refused(RefusalReason reason);

// Rules for destinations given as addresses, one a line, each ending in `verdict`.
std::string addressRules(const std::vector<std::string>& destinations, const std::string& verdict);
// The destinations given by name.
std::vector<base::Destination> namedDestinations(const std::vector<std::string>& destinations);

// `link` is the machine's end of the link, `switched` the interfaces whose forwarding the platform
// switched on: they pass nothing on to each other. What is refused is logged to `group` of
// nfnetlink_log, a few packets a second of each sandbox; not at all when it is 0.
std::string machineRules(const std::string& table, const std::string& link,
                         const AddressRange& range, const std::vector<std::string>& switched,
                         const NetworkOptions& options, uint16_t group);
std::string routerRules(const AddressRange& range, const NetworkOptions& options, uint16_t group);

// Commands on the router's table, for one sandbox.
std::string silence(uint32_t address);
std::string bind(uint32_t address, const std::vector<std::string>& allowed);
std::string unbind(uint32_t address);
// Lets through what a name resolved to, for `seconds`: for one sandbox, or (0) for all of them.
// With `closed` it is refused instead.
std::string grant(uint32_t sandbox, uint32_t address, uint16_t port, uint32_t seconds, bool closed);

// The sets of a table may be used by one process at a time; what is loaded stays without it.
class Firewall {
public:
    Firewall();  // of the thread's network namespace
    ~Firewall();
    Firewall(const Firewall&) = delete;
    Firewall& operator=(const Firewall&) = delete;
    // All commands or none. Gives what is wrong, or "".
    std::string run(const std::string& commands);
    std::string list(const std::string& command);  // what it prints; "" when it fails

private:
    nft_ctx* context_;
};

}  // namespace cf::sandbox
