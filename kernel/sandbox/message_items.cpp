#include "sandbox/message_items.hpp"

#include <algorithm>

namespace cf::sandbox {

namespace {

constexpr size_t maxAllowed = 256;
constexpr size_t maxAllowedText = 255;

}  // namespace

std::string begin(MessageKind kind, TaskId task) {
    const MessageHeader header{static_cast<uint16_t>(kind), 0, messageVersion, task};
    return std::string(reinterpret_cast<const char*>(&header), sizeof header);
}

void putLimits(std::string& out, const Limits& limits) {
    put(out, Item::memoryBytes, limits.memoryBytes);
    put(out, Item::processes, limits.processes);
    put(out, Item::openFiles, limits.openFiles);
    put(out, Item::fileBytes, limits.fileBytes);
    put(out, Item::tmpBytes, limits.tmpBytes);
    put(out, Item::tmpInodes, limits.tmpInodes);
    put(out, Item::milliCpus, limits.cpus * 1000);
    put(out, Item::diskBytes, limits.diskBytes);
}

bool readLimit(Item item, uint64_t number, Limits& limits) {
    switch (item) {
        case Item::memoryBytes:
            limits.memoryBytes = number;
            return true;
        case Item::processes:
            limits.processes = static_cast<uint32_t>(std::min<uint64_t>(number, UINT32_MAX));
            return true;
        case Item::openFiles:
            limits.openFiles = static_cast<uint32_t>(std::min<uint64_t>(number, UINT32_MAX));
            return true;
        case Item::fileBytes:
            limits.fileBytes = number;
            return true;
        case Item::tmpBytes:
            limits.tmpBytes = number;
            return true;
        case Item::tmpInodes:
            limits.tmpInodes = number;
            return true;
        case Item::milliCpus:
            limits.cpus = static_cast<double>(std::min<uint64_t>(number, 1u << 20)) / 1000;
            return true;
        case Item::diskBytes:
            limits.diskBytes = number;
            return true;
        default:
            return false;
    }
}

const char* limitsFault(const Limits& limits) {
    constexpr uint64_t tebibyte = 1ull << 40;
    if (limits.memoryBytes < (1u << 20) || limits.memoryBytes > tebibyte)
        return "the memory limit is not between 1 MiB and 1 TiB";
    if (limits.processes < 1 || limits.processes > 1u << 20)
        return "the process limit is not between 1 and 1048576";
    if (limits.openFiles < 8 || limits.openFiles > 1u << 20)
        return "the limit of open files is not between 8 and 1048576";
    if (limits.fileBytes > tebibyte || limits.tmpBytes > tebibyte)
        return "a size limit is above 1 TiB";
    if (limits.tmpBytes < 4096) return "the size of /tmp is below 4096 bytes";
    if (limits.tmpInodes < 16 || limits.tmpInodes > 1u << 30)
        return "the number of files in /tmp is not between 16 and 2^30";
    return nullptr;
}

void putMounts(std::string& out, const std::vector<Mount>& mounts) {
    for (const Mount& mount : mounts) {
        std::string value;
        value += static_cast<char>(mount.kind);
        value += static_cast<char>(mount.optional);
        value += mount.source;
        value += '\0';
        value += mount.target;
        put(out, Item::mount, value);
    }
}

std::optional<Mount> readMount(std::string_view value) {
    if (value.size() < 2 ||
        static_cast<uint8_t>(value[0]) > static_cast<uint8_t>(MountKind::overlay))
        return {};
    Mount mount;
    mount.kind = static_cast<MountKind>(value[0]);
    mount.optional = value[1] != 0;
    value.remove_prefix(2);
    const size_t split = value.find('\0');
    if (split == std::string_view::npos) return {};
    mount.source = value.substr(0, split);
    mount.target = value.substr(split + 1);
    if (!mountablePath(mount.source) || !mountablePath(mount.target) || mount.target == "/")
        return {};
    return mount;
}

void putNetwork(std::string& out, const NetworkPolicy& network) {
    put(out, Item::network, static_cast<uint64_t>(network.mode));
    for (const auto& entry : network.allow) put(out, Item::allowed, entry);
}

bool readNetwork(Item item, uint64_t number, std::string_view text, NetworkPolicy& network) {
    if (item == Item::network)
        network.mode = static_cast<Network>(std::min<uint64_t>(number, UINT8_MAX));
    else if (item == Item::allowed)
        network.allow.emplace_back(text);
    else
        return false;
    return true;
}

const char* networkFault(const NetworkPolicy& network) {
    if (network.mode > Network::outbound) return "it names no kind of network";
    if (network.allow.size() > maxAllowed) return "the network's list has more than 256 entries";
    for (const auto& entry : network.allow)
        if (entry.empty() || entry.size() > maxAllowedText)
            return "an entry of the network's list is empty or longer than 255 bytes";
    return nullptr;
}

}  // namespace cf::sandbox
