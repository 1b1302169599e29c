// What control messages are made of: items with tags, and those that several messages have in
// common. For messages.cpp and message_replies.cpp alone. The format is the worker protocol's
// (protocol/frame.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "protocol/frame.hpp"
#include "sandbox/messages.hpp"

namespace cf::sandbox {

// Tags below 1000 are the worker protocol's.
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
    name,
};

// The header of a packet, which items follow.
std::string begin(MessageKind kind, TaskId task);

template <typename Value>
void put(std::string& out, Item item, const Value& value) {
    if constexpr (std::is_convertible_v<Value, std::string_view>)
        protocol::putItem(out, static_cast<protocol::Tag>(item), std::string_view(value));
    else
        protocol::putItem(out, static_cast<protocol::Tag>(item), static_cast<uint64_t>(value));
}

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

// Items that a start, an adoption and an attachment share. The readers say whether the item was one
// of theirs; the faults are the rest of a sentence, null for values that may be.
void putLimits(std::string& out, const Limits& limits);
bool readLimit(Item item, uint64_t number, Limits& limits);
const char* limitsFault(const Limits& limits);
void putMounts(std::string& out, const std::vector<Mount>& mounts);
std::optional<Mount> readMount(std::string_view value);
void putNetwork(std::string& out, const NetworkPolicy& network);
bool readNetwork(Item item, uint64_t number, std::string_view text, NetworkPolicy& network);
const char* networkFault(const NetworkPolicy& network);

}  // namespace cf::sandbox
