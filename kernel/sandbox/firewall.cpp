#include "sandbox/firewall.hpp"

#include <nftables/libnftables.h>

namespace cf::sandbox {

namespace {

constexpr const char* refuseHere =
    "meta l4proto tcp reject with tcp reset\nreject with icmpx type admin-prohibited\n";
constexpr const char* transport = "meta l4proto { tcp, udp } ";

std::string braced(const std::vector<std::string>& items, bool quoted) {
    std::string text;
    for (const auto& item : items)
        text += (text.empty() ? "{ " : ", ") + (quoted ? "\"" + item + "\"" : item);
    return text + " }";
}

std::string suffix(uint32_t address) { return std::to_string(address); }

// Where refusals of one sandbox are counted: a flood of them costs no more than these lines.
constexpr const char* counters =
    "set refusals { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }\n";

std::string logged(RefusalReason reason, uint16_t group) {
    if (group == 0) return {};
    return std::string("update @refusals { ip saddr limit rate 20/second burst 20 packets } ") +
           "log prefix \"" + wordOf(reason) + "\" group " + std::to_string(group) +
           " snaplen 64 queue-threshold 1\n";
}

}  // namespace

const std::vector<std::string>& refusedRanges() {
    static const std::vector<std::string> ranges = {
        "0.0.0.0/8",     "10.0.0.0/8",     "100.64.0.0/10",  "127.0.0.0/8",
        "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",   "192.168.0.0/16",
        "198.18.0.0/15", "224.0.0.0/4",    "240.0.0.0/4",
        "168.63.129.16"};  // the metadata service of a cloud, in a public range
    return ranges;
}

std::string refused(RefusalReason reason) { return std::string("goto refuse_") + wordOf(reason); }

std::string addressRules(const std::vector<std::string>& destinations, const std::string& verdict) {
    std::string rules;
    std::string why;
    for (const auto& text : destinations) {
        const auto destination = base::parseDestination(text, why);
        if (!destination || !destination->name.empty()) continue;
        rules += "ip daddr " + base::rangeText(destination->address, destination->prefix) + " ";
        if (destination->port != 0)
            rules += transport + ("th dport " + std::to_string(destination->port) + " ");
        rules += verdict + "\n";
    }
    return rules;
}

namespace {

// The same of packets whose destination the machine has changed: by where they were sent.
std::string publishedRules(const std::vector<std::string>& destinations,
                           const std::string& verdict) {
    std::string rules;
    std::string why;
    for (const auto& text : destinations) {
        const auto destination = base::parseDestination(text, why);
        if (!destination || !destination->name.empty()) continue;
        rules += "ct original ip daddr " +
                 base::rangeText(destination->address, destination->prefix) + " ";
        if (destination->port != 0)
            rules += transport + ("ct original proto-dst " + std::to_string(destination->port) + " ");
        rules += verdict + "\n";
    }
    return rules;
}

}  // namespace

std::vector<base::Destination> namedDestinations(const std::vector<std::string>& destinations) {
    std::vector<base::Destination> named;
    std::string why;
    for (const auto& text : destinations)
        if (auto destination = base::parseDestination(text, why);
            destination && !destination->name.empty())
            named.push_back(std::move(*destination));
    return named;
}

std::string machineRules(const std::string& table, const std::string& link,
                         const AddressRange& range, const std::vector<std::string>& switched,
                         const NetworkOptions& options, uint16_t group) {
    const std::string from = "iifname \"" + link + "\" ";
    const std::string to = "oifname \"" + link + "\" ";
    std::string rules = "table inet " + table + " {\nflags owner;\n" + (group != 0 ? counters : "");
    // What the machine sends itself leaves first: every packet to the platform passes here, too.
    rules += "chain arriving {\ntype filter hook prerouting priority -300; policy accept;\n"
             "iif \"lo\" accept\n" +
             from + "meta nfproto ipv6 drop\n" + from + "ip saddr != " + range.text() +
             " drop\niifname != \"" + link + "\" ip saddr " + range.text() + " drop\n}\n";
    // Every address of the machine, also those it gets later: this hook sees what is for itself.
    rules += "chain machine {\ntype filter hook input priority -10; policy accept;\niifname != \"" +
             link + "\" accept\nct state established,related accept\n" +
             addressRules(options.deny, "drop") + addressRules(options.allow, "accept") +
             logged(RefusalReason::machine, group) + refuseHere + "}\n";
    rules += "chain through {\ntype filter hook forward priority -10; policy accept;\n" + to +
             "ct state established,related accept\n" + to + "drop\n";
    if (!switched.empty())
        rules += "iifname " + braced(switched, true) + " oifname " + braced(switched, true) +
                 " drop\n";
    // What the machine publishes under its own address for somebody behind it (containers, virtual
    // machines) is the machine's as well.
    rules += "iifname != \"" + link + "\" accept\nct status & dnat != dnat accept\n" +
             publishedRules(options.deny, "drop") + publishedRules(options.allow, "accept") +
             logged(RefusalReason::machine, group) + refuseHere;
    rules += "}\nchain leaving {\ntype nat hook postrouting priority 100; policy accept;\nip saddr " +
             range.text() + " oifname != \"" + link + "\" masquerade\n}\n}\n";
    return rules;
}

std::string routerRules(const AddressRange& range, const NetworkOptions& options, uint16_t group) {
    const std::string gateway = base::addressText(range.router());
    std::string rules = "table inet sandboxes {\n";
    for (const char* set : {"opened", "closed"})
        rules += std::string("set ") + set + " { type ipv4_addr; flags timeout; size 65535; }\n" +
                 "set " + set + "_ports { type ipv4_addr . inet_service; flags timeout; size 65535; }\n";
    rules += "set silent { type ipv4_addr; size 65535; }\n"
             "map bound { type ipv4_addr : verdict; size 65535; }\n"
             "set flows { type ipv4_addr; size 65535; flags dynamic; }\n"
             "chain refuse {\nmeta l4proto tcp reject with tcp reset\n"
             "reject with icmpx type admin-prohibited\n}\n";
    if (group != 0) rules += counters;
    for (const RefusalReason reason :
         {RefusalReason::list, RefusalReason::denied, RefusalReason::reserved,
          RefusalReason::platform, RefusalReason::flows})
        rules += std::string("chain refuse_") + wordOf(reason) + " {\n" + logged(reason, group) +
                 "goto refuse\n}\n";
    // A sandbox cannot send from an address that is not its own: there is no way back to it.
    rules += "chain arriving {\ntype filter hook prerouting priority -300; policy accept;\n"
             "meta nfproto ipv6 drop\nfib saddr . iif oif missing drop\n}\n";
    rules += "chain router {\ntype filter hook input priority 0; policy drop;\n"
             "ct state established,related accept\niifname \"uplink\" drop\n"
             "ip saddr @silent goto refuse\n"
             "ip daddr " + gateway + " udp dport 53 accept\n"
             "ip daddr " + gateway + " tcp dport 53 accept\n" + refused(RefusalReason::platform) + "\n}\n";
    rules += "chain through {\ntype filter hook forward priority 0; policy drop;\n"
             "ct state established,related accept\niifname \"uplink\" drop\n"
             "ct state invalid drop\nip saddr @silent goto refuse\n"
             "ct state new add @flows { ip saddr ct count over " + std::to_string(options.flows) +
             " } " + refused(RefusalReason::flows) + "\n" +
             addressRules(options.deny, refused(RefusalReason::denied)) + "ip daddr @closed " +
             refused(RefusalReason::denied) + "\n" + transport +
             "ip daddr . th dport @closed_ports " + refused(RefusalReason::denied) + "\n"
             "ip saddr vmap @bound\n" +
             "ip daddr " + range.text() + " " + refused(RefusalReason::platform) + "\n" +
             addressRules(options.allow, "oifname \"uplink\" accept") +
             "ip daddr @opened accept\n" + transport +
             "ip daddr . th dport @opened_ports accept\nip daddr " +
             braced(refusedRanges(), false) + " " + refused(RefusalReason::reserved) + "\n"
             "oifname \"uplink\" accept\ngoto refuse\n}\n}\n";
    return rules;
}

std::string silence(uint32_t address) {
    return "add element inet sandboxes silent { " + base::addressText(address) + " }\n";
}

std::string bind(uint32_t address, const std::vector<std::string>& allowed) {
    const std::string id = suffix(address);
    const std::string rule = "add rule inet sandboxes only" + id + " ";
    std::string commands = "add set inet sandboxes any" + id +
                           " { type ipv4_addr; flags timeout; size 4096; }\n"
                           "add set inet sandboxes port" + id +
                           " { type ipv4_addr . inet_service; flags timeout; size 4096; }\n"
                           "add chain inet sandboxes only" + id + "\n";
    std::string line;
    for (const char c : addressRules(allowed, "return")) {
        line += c;
        if (c != '\n') continue;
        commands += rule + line;
        line.clear();
    }
    return commands + rule + "ip daddr @any" + id + " return\n" + rule + transport +
           "ip daddr . th dport @port" + id + " return\n" + rule + refused(RefusalReason::list) + "\n" +
           "add element inet sandboxes bound { " + base::addressText(address) + " : jump only" + id +
           " }\n";
}

std::string unbind(uint32_t address) {
    const std::string id = suffix(address);
    return "delete element inet sandboxes bound { " + base::addressText(address) +
           " }\nflush chain inet sandboxes only" + id + "\ndelete chain inet sandboxes only" + id +
           "\ndelete set inet sandboxes any" + id + "\ndelete set inet sandboxes port" + id + "\n";
}

std::string grant(uint32_t sandbox, uint32_t address, uint16_t port, uint32_t seconds,
                  bool closed) {
    std::string set = port == 0 ? "any" : "port";
    if (sandbox != 0)
        set += suffix(sandbox);
    else
        set = std::string(closed ? "closed" : "opened") + (port == 0 ? "" : "_ports");
    return "add element inet sandboxes " + set + " { " + base::addressText(address) +
           (port == 0 ? "" : " . " + std::to_string(port)) + " timeout " +
           std::to_string(seconds) + "s }\n";
}

Firewall::Firewall() : context_(::nft_ctx_new(NFT_CTX_DEFAULT)) {
    ::nft_ctx_buffer_output(context_);
    ::nft_ctx_buffer_error(context_);
}

Firewall::~Firewall() { ::nft_ctx_free(context_); }

std::string Firewall::run(const std::string& commands) {
    if (::nft_run_cmd_from_buffer(context_, commands.c_str()) == 0) return {};
    std::string error = ::nft_ctx_get_error_buffer(context_);
    error.resize(std::min(error.find('\n'), error.size()));
    return error.empty() ? "nftables refused the rules" : error;
}

std::string Firewall::list(const std::string& command) {
    if (::nft_run_cmd_from_buffer(context_, command.c_str()) != 0) return {};
    return ::nft_ctx_get_output_buffer(context_);
}

}  // namespace cf::sandbox
