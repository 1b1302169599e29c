#include "sandbox/refusal.hpp"

#include <array>
#include <string_view>

#include "base/destination.hpp"

namespace cf::sandbox {

namespace {

struct Words {
    RefusalReason reason;
    const char* word;
    const char* text;
};

constexpr std::array<Words, 6> reasons = {{
    {RefusalReason::list, "list", "it is not in the function's network.allow; add it there"},
    {RefusalReason::denied, "denied", "sandbox.network.deny closes it to all functions"},
    {RefusalReason::reserved, "reserved",
     "private and special addresses are closed to functions; sandbox.network.allow opens "
     "addresses"},
    {RefusalReason::platform, "platform",
     "workers reach neither each other nor the platform's own network"},
    {RefusalReason::machine, "machine",
     "the machine that the platform runs on is closed to functions; sandbox.network.allow opens "
     "addresses"},
    {RefusalReason::flows, "flows",
     "too many connections are open at once (sandbox.network.flows); close some or use them again"},
}};

constexpr const char* metadataText =
    "metadata addresses are closed to functions; sandbox.network.allow opens addresses";

bool isMetadata(uint32_t address) {
    return address >> 16 == (169u << 8 | 254u) || base::addressText(address) == "168.63.129.16";
}

}  // namespace

const char* wordOf(RefusalReason reason) {
    for (const Words& one : reasons)
        if (one.reason == reason) return one.word;
    return "";
}

std::optional<RefusalReason> reasonOf(std::string_view word) {
    for (const Words& one : reasons)
        if (one.word == word) return one.reason;
    return {};
}

std::string refusalText(const Refusal& refusal) {
    constexpr uint8_t tcp = 6;
    constexpr uint8_t udp = 17;
    const char* const what = refusal.protocol == tcp   ? "connection"
                             : refusal.protocol == udp ? "datagram"
                                                       : "packet";
    std::string text = "[platform] ";
    text += refusal.name.empty() ? what + (" to " + base::addressText(refusal.address))
                                 : "name " + refusal.name;
    if (refusal.port != 0) text += ":" + std::to_string(refusal.port);
    const char* why = "the network's rules do not allow it";
    for (const Words& one : reasons)
        if (one.reason == refusal.reason) why = one.text;
    if (refusal.reason == RefusalReason::reserved && isMetadata(refusal.address))
        why = metadataText;
    return text + " refused: " + why;
}

}  // namespace cf::sandbox
