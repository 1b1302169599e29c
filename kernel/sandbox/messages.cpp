#include "sandbox/messages.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "protocol/frame.hpp"

namespace cf::sandbox {

namespace {

// Tags of control messages; the item format is the worker protocol's, and so are the tags below
// 1000.
enum class Item : uint16_t {
    text = 1000,
    argument,
    environment,
    mount,
    directory,
    flags,
    network,
    timeoutMs,
    request,
    path,
    kind,
    pid,
    uid,
    memoryBytes,
    processes,
    openFiles,
    fileBytes,
    tmpBytes,
    tmpInodes,
    milliCpus,
    instance,
    uidBase,
    uidCount,
    kernelUid,
    kernelGid,
    strict,
    execStub,
    exitCode,
    signal,
    outOfMemory,
    peak,
    layer,
    attachedLayer,
    allowed,
    networkRange,
    networkAllow,
    networkDeny,
    networkFallback,
    networkLink,
    taskFolders,
    privateFolder,
    address,
    port,
    protocol,
    reason,
    processorTime,
    diskBytes,
    outOfDisk,
    networkFlows,
    parts,
};

constexpr size_t maxArguments = 1024;
constexpr size_t maxVariables = 1024;
constexpr size_t maxMounts = 128;
constexpr size_t maxPath = 4095;
constexpr size_t maxLayers = 64;
constexpr size_t maxAllowed = 256;
constexpr size_t maxAllowedText = 255;

std::string begin(MessageKind kind, TaskId task) {
    const MessageHeader header{static_cast<uint16_t>(kind), 0, messageVersion, task};
    return std::string(reinterpret_cast<const char*>(&header), sizeof header);
}

template <typename Value>
void put(std::string& out, Item item, const Value& value) {
    if constexpr (std::is_convertible_v<Value, std::string_view>)
        protocol::putItem(out, static_cast<protocol::Tag>(item), std::string_view(value));
    else
        protocol::putItem(out, static_cast<protocol::Tag>(item), static_cast<uint64_t>(value));
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

// Reads the item when it is a limit; false when it is another one.
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

void putNetwork(std::string& out, const NetworkPolicy& network) {
    put(out, Item::network, static_cast<uint64_t>(network.mode));
    for (const auto& entry : network.allow) put(out, Item::allowed, entry);
}

// Reads the item when it is one of the network's; false when it is another one.
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

bool hasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

class Reader {
public:
    explicit Reader(const Packet& packet) : items_(packet.items) {}
    bool next() { return items_.next(); }
    Item item() const { return static_cast<Item>(items_.tag()); }
    std::string text() const { return std::string(items_.value()); }
    std::string_view view() const { return items_.value(); }
    uint64_t number() const { return items_.number(); }
    bool malformed() const { return items_.malformed(); }

private:
    protocol::ItemReader items_;
};

}  // namespace

bool mountablePath(std::string_view path) {
    if (path.empty() || path[0] != '/' || path.size() > maxPath || hasNul(path)) return false;
    const auto isBelow = [&](std::string_view top) {
        return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
    };
    if (isBelow("/proc") || isBelow("/sys") || path.starts_with("//")) return false;
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        if (path.substr(at, end - at) == "..") return false;
        at = end + 1;
    }
    return true;
}

std::string layerName(std::string_view path) {
    if (!mountablePath(path)) return {};
    const std::string_view name = path.substr(path.find_last_of('/') + 1);
    return name == "." || name.size() > 255 ? std::string() : std::string(name);
}

std::string encode(const LauncherOptions& options) {
    std::string out = begin(MessageKind::options, 0);
    put(out, Item::instance, options.instance);
    put(out, Item::uidBase, options.uidBase);
    put(out, Item::uidCount, options.uidCount);
    put(out, Item::kernelUid, options.kernelUid);
    put(out, Item::kernelGid, options.kernelGid);
    put(out, Item::strict, options.strict);
    put(out, Item::execStub, options.execStub);
    put(out, Item::taskFolders, options.taskFolders);
    put(out, Item::privateFolder, options.privateFolder);
    put(out, Item::networkRange, options.network.range);
    for (const auto& entry : options.network.allow) put(out, Item::networkAllow, entry);
    for (const auto& entry : options.network.deny) put(out, Item::networkDeny, entry);
    put(out, Item::networkFlows, options.network.flows);
    put(out, Item::networkFallback, options.network.hostWithoutRouter ? 1u : 0u);
    return out;
}

std::optional<LauncherOptions> decodeOptions(const Packet& packet) {
    LauncherOptions options;
    Reader reader(packet);
    while (reader.next()) switch (reader.item()) {
            case Item::instance:
                options.instance = reader.text();
                break;
            case Item::uidBase:
                options.uidBase = static_cast<uint32_t>(reader.number());
                break;
            case Item::uidCount:
                options.uidCount = static_cast<uint32_t>(reader.number());
                break;
            case Item::kernelUid:
                options.kernelUid = static_cast<uid_t>(reader.number());
                break;
            case Item::kernelGid:
                options.kernelGid = static_cast<gid_t>(reader.number());
                break;
            case Item::strict:
                options.strict = reader.number() != 0;
                break;
            case Item::execStub:
                options.execStub = reader.text();
                break;
            case Item::taskFolders:
                options.taskFolders = reader.text();
                break;
            case Item::privateFolder:
                options.privateFolder = reader.text();
                break;
            case Item::networkRange:
                options.network.range = reader.text();
                break;
            case Item::networkAllow:
                options.network.allow.push_back(reader.text());
                break;
            case Item::networkDeny:
                options.network.deny.push_back(reader.text());
                break;
            case Item::networkFlows:
                options.network.flows = static_cast<uint32_t>(reader.number());
                break;
            case Item::networkFallback:
                options.network.hostWithoutRouter = reader.number() != 0;
                break;
            default:
                break;
        }
    const bool plainName =
        !options.instance.empty() && options.instance.size() <= 64 &&
        std::all_of(options.instance.begin(), options.instance.end(),
                    [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
    if (packet.kind != MessageKind::options || reader.malformed() || !plainName) return {};
    return options;
}

std::string encode(const StartRequest& request) {
    std::string out = begin(MessageKind::start, request.task);
    put(out, Item::kind, static_cast<uint64_t>(request.kind));
    for (const auto& argument : request.argv) put(out, Item::argument, argument);
    for (const auto& variable : request.environment) put(out, Item::environment, variable);
    putMounts(out, request.mounts);
    if (!request.directory.empty()) put(out, Item::directory, request.directory);
    putLimits(out, request.limits);
    putNetwork(out, request.network);
    put(out, Item::execStub, request.execStub ? 1u : 0u);
    put(out, Item::timeoutMs, request.timeoutMs);
    return out;
}

std::optional<StartRequest> decodeStart(const Packet& packet, std::string& why) {
    StartRequest request;
    request.task = packet.task;
    Reader reader(packet);
    const auto refuse = [&](std::string_view sentence) {
        why = "The launcher refused the request: " + std::string(sentence) + ".";
        return std::nullopt;
    };
    uint64_t kind = 0;
    while (reader.next()) {
        if (readLimit(reader.item(), reader.number(), request.limits)) continue;
        if (readNetwork(reader.item(), reader.number(), reader.view(), request.network)) continue;
        switch (reader.item()) {
            case Item::kind:
                kind = reader.number();
                break;
            case Item::argument:
                request.argv.push_back(reader.text());
                break;
            case Item::environment:
                request.environment.push_back(reader.text());
                break;
            case Item::directory:
                request.directory = reader.text();
                break;
            case Item::execStub:
                request.execStub = reader.number() != 0;
                break;
            case Item::timeoutMs:
                request.timeoutMs = reader.number();
                break;
            case Item::mount: {
                auto mount = readMount(reader.view());
                if (!mount)
                    return refuse(
                        "a mount does not name two absolute paths outside of /proc and /sys");
                request.mounts.push_back(std::move(*mount));
                break;
            }
            default:
                break;
        }
    }
    if (reader.malformed()) return refuse("the message is malformed");
    if (kind < 1 || kind > 3) return refuse("it names no kind of task");
    request.kind = static_cast<TaskKind>(kind);
    if (const char* fault = networkFault(request.network)) return refuse(fault);
    if (request.task == 0) return refuse("the task has no id");
    if (request.argv.empty()) return refuse("there is no program to run");
    if (request.argv.size() > maxArguments) return refuse("there are more than 1024 arguments");
    if (request.environment.size() > maxVariables)
        return refuse("there are more than 1024 environment variables");
    if (request.mounts.size() > maxMounts) return refuse("there are more than 128 mounts");
    for (const auto& argument : request.argv)
        if (hasNul(argument)) return refuse("an argument contains a NUL byte");
    for (const auto& variable : request.environment)
        if (hasNul(variable) || variable.find('=') == std::string::npos || variable[0] == '=')
            return refuse("an environment variable is not of the form NAME=value");
    if (request.argv[0].empty() || (!request.execStub && request.argv[0][0] != '/'))
        return refuse("the program is not an absolute path");
    if (!request.directory.empty() && !mountablePath(request.directory))
        return refuse(
            "the directory to start in is not an absolute path outside of /proc and /sys");
    if (request.kind == TaskKind::worker)
        for (const Mount& mount : request.mounts)
            if (mount.kind != MountKind::readOnly)
                return refuse("a worker may have read-only mounts only");
    if (const char* fault = limitsFault(request.limits)) return refuse(fault);
    return request;
}

std::string encode(const AdoptRequest& request) {
    std::string out = begin(MessageKind::adopt, request.task);
    put(out, Item::kind, static_cast<uint64_t>(request.kind));
    put(out, Item::pid, static_cast<uint64_t>(request.pid));
    put(out, Item::uid, request.uid);
    putMounts(out, request.mounts);
    putLimits(out, request.limits);
    putNetwork(out, request.network);
    put(out, Item::networkLink, request.link);
    return out;
}

std::optional<AdoptRequest> decodeAdopt(const Packet& packet, std::string& why) {
    AdoptRequest request;
    request.task = packet.task;
    Reader reader(packet);
    uint64_t kind = 0;
    while (reader.next()) {
        if (readLimit(reader.item(), reader.number(), request.limits)) continue;
        if (readNetwork(reader.item(), reader.number(), reader.view(), request.network)) continue;
        switch (reader.item()) {
            case Item::kind:
                kind = reader.number();
                break;
            case Item::networkLink:
                request.link = static_cast<uint32_t>(std::min<uint64_t>(reader.number(), 1u << 24));
                break;
            case Item::pid:
                request.pid = static_cast<int32_t>(reader.number());
                break;
            case Item::uid:
                request.uid = static_cast<uint32_t>(reader.number());
                break;
            case Item::mount:
                if (auto mount = readMount(reader.view()))
                    request.mounts.push_back(std::move(*mount));
                break;
            default:
                break;
        }
    }
    if (reader.malformed() || kind < 1 || kind > 3 || packet.task == 0 ||
        request.mounts.size() > maxMounts || networkFault(request.network) != nullptr) {
        why = "an adoption is malformed";
        return {};
    }
    request.kind = static_cast<TaskKind>(kind);
    return request;
}

std::string encode(TaskId task, const StartedReply& reply) {
    std::string out = begin(MessageKind::started, task);
    put(out, Item::pid, static_cast<uint64_t>(reply.pid));
    put(out, Item::uid, reply.uid);
    put(out, Item::networkLink, reply.link);
    put(out, Item::processorTime, reply.processorTime ? 1u : 0u);
    return out;
}

StartedReply decodeStarted(const Packet& packet) {
    StartedReply reply;
    Reader reader(packet);
    while (reader.next()) {
        if (reader.item() == Item::pid) reply.pid = static_cast<int32_t>(reader.number());
        if (reader.item() == Item::uid) reply.uid = static_cast<uint32_t>(reader.number());
        if (reader.item() == Item::networkLink)
            reply.link = static_cast<uint32_t>(reader.number());
        if (reader.item() == Item::processorTime) reply.processorTime = reader.number() != 0;
    }
    return reply;
}

std::string encode(TaskId task, const Ended& ended) {
    std::string out = begin(MessageKind::ended, task);
    put(out, Item::exitCode, static_cast<uint64_t>(ended.exitCode));
    put(out, Item::signal, static_cast<uint64_t>(ended.signal));
    put(out, Item::outOfMemory, ended.outOfMemory ? 1u : 0u);
    put(out, Item::outOfDisk, ended.outOfDisk ? 1u : 0u);
    put(out, Item::peak, ended.memoryPeakBytes);
    return out;
}

std::string encode(TaskId task, const Refusal& refusal) {
    std::string out = begin(MessageKind::refused, task);
    put(out, Item::address, refusal.address);
    put(out, Item::port, refusal.port);
    put(out, Item::protocol, refusal.protocol);
    put(out, Item::reason, static_cast<uint64_t>(refusal.reason));
    return out;
}

Refusal decodeRefusal(const Packet& packet) {
    Refusal refusal;
    Reader reader(packet);
    while (reader.next()) {
        if (reader.item() == Item::address)
            refusal.address = static_cast<uint32_t>(reader.number());
        if (reader.item() == Item::port) refusal.port = static_cast<uint16_t>(reader.number());
        if (reader.item() == Item::protocol)
            refusal.protocol = static_cast<uint8_t>(reader.number());
        if (reader.item() == Item::reason)
            refusal.reason = static_cast<RefusalReason>(reader.number());
    }
    return refusal;
}

Ended decodeEnded(const Packet& packet) {
    Ended ended;
    Reader reader(packet);
    while (reader.next()) switch (reader.item()) {
            case Item::exitCode:
                ended.exitCode = static_cast<int>(reader.number());
                break;
            case Item::signal:
                ended.signal = static_cast<int>(reader.number());
                break;
            case Item::outOfMemory:
                ended.outOfMemory = reader.number() != 0;
                break;
            case Item::outOfDisk:
                ended.outOfDisk = reader.number() != 0;
                break;
            case Item::peak:
                ended.memoryPeakBytes = reader.number();
                break;
            default:
                break;
        }
    return ended;
}

std::string encode(const std::vector<Layer>& layers, bool strictRefusal) {
    std::string out = begin(MessageKind::layers, 0);
    put(out, Item::strict, strictRefusal ? 1u : 0u);
    for (const Layer& layer : layers) {
        std::string value;
        value += layer.active ? '\1' : '\0';
        value += layer.name;
        value += '\0';
        value += layer.detail;
        put(out, Item::layer, value);
    }
    return out;
}

std::vector<Layer> decodeLayers(const Packet& packet) {
    std::vector<Layer> layers;
    Reader reader(packet);
    while (reader.next()) {
        if (reader.item() != Item::layer) continue;
        const std::string_view value = reader.view();
        const size_t split = value.find('\0', 1);
        if (split == std::string_view::npos) continue;
        Layer layer;
        layer.active = value[0] != 0;
        layer.name = value.substr(1, split - 1);
        layer.detail = value.substr(split + 1);
        layers.push_back(std::move(layer));
    }
    return layers;
}

std::string encodeAttach(TaskId task, uint64_t request, const Attachment& attachment) {
    std::string out = begin(MessageKind::attach, task);
    put(out, Item::request, request);
    put(out, Item::path, attachment.artifactDir);
    for (const auto& layer : attachment.layers) put(out, Item::attachedLayer, layer);
    putLimits(out, attachment.limits);
    putNetwork(out, attachment.network);
    return out;
}

std::string encodeShare(TaskId task, uint32_t parts) {
    std::string out = begin(MessageKind::share, task);
    put(out, Item::parts, parts);
    return out;
}

uint32_t decodeShare(const Packet& packet) {
    uint64_t parts = 1;
    Reader reader(packet);
    while (reader.next())
        if (reader.item() == Item::parts) parts = reader.number();
    return static_cast<uint32_t>(std::clamp<uint64_t>(parts, 1, UINT32_MAX));
}

std::string encodeReclaim(uint64_t request, std::string_view path) {
    std::string out = begin(MessageKind::reclaim, 0);
    put(out, Item::request, request);
    put(out, Item::path, path);
    return out;
}

std::string encodeAttached(TaskId task, uint64_t request, std::string_view failure) {
    std::string out = begin(MessageKind::attached, task);
    put(out, Item::request, request);
    put(out, Item::path, failure);
    return out;
}

std::optional<AttachRequest> decodeAttach(const Packet& packet, std::string& why) {
    AttachRequest attach = decodeAttached(packet);
    Reader reader(packet);
    while (reader.next()) {
        if (readLimit(reader.item(), reader.number(), attach.limits)) continue;
        if (readNetwork(reader.item(), reader.number(), reader.view(), attach.network)) continue;
        if (reader.item() == Item::attachedLayer) attach.layers.push_back(reader.text());
    }
    const char* fault = limitsFault(attach.limits);
    if (fault == nullptr) fault = networkFault(attach.network);
    if (attach.layers.size() > maxLayers) fault = "there are more than 64 layers";
    std::set<std::string> names;
    for (const auto& layer : attach.layers) {
        if (layerName(layer).empty())
            fault = "a layer is not an absolute path outside of /proc and /sys";
        else if (!names.insert(layerName(layer)).second)
            fault = "two layers have the same name";
    }
    if (reader.malformed()) fault = "the message is malformed";
    if (!mountablePath(attach.path))
        fault = "the artifact is not an absolute path outside of /proc and /sys";
    if (fault == nullptr) return attach;
    why = "The launcher refused the request: " + std::string(fault) + ".";
    return {};
}

AttachRequest decodeAttached(const Packet& packet) {
    AttachRequest attach;
    Reader reader(packet);
    while (reader.next()) {
        if (reader.item() == Item::request) attach.request = reader.number();
        if (reader.item() == Item::path) attach.path = reader.text();
    }
    return attach;
}

std::string encodeFailed(TaskId task, std::string_view detail) {
    std::string out = begin(MessageKind::failed, task);
    put(out, Item::text, detail);
    return out;
}

std::string decodeFailed(const Packet& packet) {
    Reader reader(packet);
    while (reader.next())
        if (reader.item() == Item::text) return reader.text();
    return {};
}

std::string encodeBare(MessageKind kind, TaskId task) { return begin(kind, task); }

}  // namespace cf::sandbox
