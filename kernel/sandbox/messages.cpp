#include "sandbox/messages.hpp"

#include <algorithm>
#include <set>

#include "sandbox/message_items.hpp"

namespace cf::sandbox {

namespace {

constexpr size_t maxArguments = 1024;
constexpr size_t maxVariables = 1024;
constexpr size_t maxMounts = 128;
constexpr size_t maxPath = 4095;
constexpr size_t maxLayers = 64;

bool hasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

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
                request.link =
                    static_cast<uint32_t>(std::min<uint64_t>(reader.number(), UINT32_MAX));
                break;
            case Item::pid:
                request.pid = static_cast<int32_t>(reader.number());
                break;
            case Item::uid:
                request.uid = static_cast<uint32_t>(reader.number());
                break;
            case Item::mount:
                if (auto mount = readMount(reader.view());
                    mount && mount->kind == MountKind::writable)
                    request.mounts.push_back(std::move(*mount));
                break;
            default:
                break;
        }
    }
    if (reader.malformed() || kind < 1 || kind > 3 || packet.task == 0 ||
        request.mounts.size() > maxMounts || networkFault(request.network) != nullptr ||
        limitsFault(request.limits) != nullptr) {
        why = "an adoption is malformed";
        return {};
    }
    request.kind = static_cast<TaskKind>(kind);
    if (request.kind == TaskKind::probe && (request.link != 0 || !request.mounts.empty())) {
        why = "a probe has neither a link nor folders of its own";
        return {};
    }
    return request;
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

std::string encodeBare(MessageKind kind, TaskId task) { return begin(kind, task); }

}  // namespace cf::sandbox
