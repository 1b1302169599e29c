// What kernel and launcher say to each other, and how it is checked. One message is one packet of a
// SOCK_SEQPACKET pair, with descriptors beside it (unix(7), SCM_RIGHTS). The launcher keeps root
// and the kernel does not, so the launcher believes nothing: sizes, counts, paths and numbers are
// checked here before anything else sees them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "sandbox/launch_spec.hpp"
#include "sandbox/launcher_client.hpp"
#include "sandbox/refusal.hpp"

namespace cf::sandbox {

// What every packet begins with, in the machine's own byte order: both sides are one release.
struct MessageHeader {
    uint16_t kind;  // MessageKind
    uint16_t reserved;  // 0
    uint32_t version;  // messageVersion
    uint64_t task;
};
constexpr uint32_t messageVersion = 1;

enum class MessageKind : uint16_t {
    // kernel -> launcher
    options = 1,
    start,   // fds: none
    attach,  // items artifact, layers, limits, network, request
    share,   // item parts; changes a weight of the task's control group, no answer
    kill,    // fds: the task's pidfd, which works when the launcher that knew the task is gone
    adopt,  // fds: pidfd; tells a new launcher of a task that lives on
    reclaim,  // items path, request: what an interrupted tool left goes back to the kernel's user
    resume,   // everything has been adopted: carry on with new requests
    // launcher -> kernel
    layers,
    started,   // fds: worker: socket, output, errors, pidfd[, processor time][, peak]; others:
               // input, output, errors, pidfd
    failed,    // a start that failed
    attached,  // the answer to attach and reclaim; with a detail it failed
    ended,
    restarted,
    refused,  // a connection of the task; without descriptors or an answer
};

enum class TaskKind : uint8_t { worker = 1, tool, probe };

constexpr size_t maxMessage = 128 * 1024;
constexpr size_t maxMessageFds = 6;

// One received packet.
struct Packet {
    MessageKind kind{};
    TaskId task = 0;
    std::string items{};
    std::vector<base::UniqueFd> fds{};
};

// A request to start something: the three specs of launch_spec.hpp in one form.
struct StartRequest {
    TaskKind kind = TaskKind::worker;
    TaskId task = 0;
    std::vector<std::string> argv{};
    std::vector<std::string> environment{};  // NAME=value
    std::vector<Mount> mounts{};
    std::string directory{};
    Limits limits{};
    NetworkPolicy network{};
    bool execStub = false;
    uint64_t timeoutMs = 0;  // probes only
};

// What a new launcher has to know of a task that the old one started.
struct AdoptRequest {
    TaskKind kind = TaskKind::worker;
    TaskId task = 0;
    int32_t pid = -1;
    uint32_t uid = 0;
    std::vector<Mount> mounts{};  // writable ones: to be given back when the tool has ended
    Limits limits{};
    NetworkPolicy network{};
    uint32_t link = 0;  // as in StartedReply
};

struct StartedReply {
    int32_t pid = -1;
    uint32_t uid = 0;
    uint32_t link = 0;  // one more than the index of its link to the router; 0: it has none
    bool processorTime = false;  // its descriptor is there
};

// Encoders give a whole packet, without its descriptors.
std::string encode(const LauncherOptions& options);
std::string encode(const StartRequest& request);
std::string encode(const AdoptRequest& request);
std::string encode(TaskId task, const StartedReply& reply);
std::string encode(TaskId task, const Ended& ended);
std::string encode(TaskId task, const Refusal& refusal);
std::string encode(const std::vector<Layer>& layers, bool strictRefusal);
std::string encodeAttach(TaskId task, uint64_t request, const Attachment& attachment);
std::string encodeShare(TaskId task, uint32_t parts);
std::string encodeReclaim(uint64_t request, std::string_view path);
std::string encodeAttached(TaskId task, uint64_t request, std::string_view failure);
std::string encodeFailed(TaskId task, std::string_view detail);
std::string encodeBare(MessageKind kind, TaskId task);

// Decoders give nothing when the message breaks a rule; `why` then says which, as a sentence.
std::optional<LauncherOptions> decodeOptions(const Packet& packet);
std::optional<StartRequest> decodeStart(const Packet& packet, std::string& why);
std::optional<AdoptRequest> decodeAdopt(const Packet& packet, std::string& why);
StartedReply decodeStarted(const Packet& packet);
Ended decodeEnded(const Packet& packet);
Refusal decodeRefusal(const Packet& packet);
std::vector<Layer> decodeLayers(const Packet& packet);
struct AttachRequest {
    uint64_t request = 0;
    std::string path{};  // the artifact; in answers: what failed
    // Requests only:
    std::vector<std::string> layers{};
    Limits limits{};  // the version's, and so is the network
    NetworkPolicy network{};
};
std::optional<AttachRequest> decodeAttach(const Packet& packet, std::string& why);
// At least 1.
uint32_t decodeShare(const Packet& packet);
AttachRequest decodeAttached(const Packet& packet);
std::string decodeFailed(const Packet& packet);

// True for an absolute path without "..", NUL or excess length, outside of /proc and /sys: what may
// be mounted.
bool mountablePath(std::string_view path);
// The last part of a layer's path, which is its name inside; empty when it cannot be one.
std::string layerName(std::string_view path);

}  // namespace cf::sandbox
