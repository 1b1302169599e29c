// What the launcher answers. The kernel reads it without mistrust: the launcher has more rights
// than itself. (decodeAttached reads a reclaim, too, whose path the launcher checks.)
#include <algorithm>

#include "sandbox/message_items.hpp"

namespace cf::sandbox {

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
        if (reader.item() == Item::networkLink) reply.link = static_cast<uint32_t>(reader.number());
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
    if (!refusal.name.empty()) put(out, Item::name, refusal.name);
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
        if (reader.item() == Item::name) refusal.name = reader.text();
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

std::string encodeAttached(TaskId task, uint64_t request, std::string_view failure) {
    std::string out = begin(MessageKind::attached, task);
    put(out, Item::request, request);
    put(out, Item::path, failure);
    return out;
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

}  // namespace cf::sandbox
