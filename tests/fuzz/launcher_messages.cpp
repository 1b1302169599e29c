// What a kernel that was taken over may send to the launcher, which has root; and the answers.
// The first two bytes choose the kind of the message.
#include "fuzz.hpp"
#include "sandbox/messages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace cf::sandbox;
    using cf::fuzz::require;
    if (size < 1) return 0;
    Packet packet;
    packet.kind = static_cast<MessageKind>(data[0] % 16);
    packet.task = 1;
    packet.items = cf::fuzz::textOf(data + 1, size - 1);
    std::string why;
    decodeOptions(packet);
    if (const auto start = decodeStart(packet, why)) {
        for (const Mount& mount : start->mounts)
            require(mountablePath(mount.target), "only what may be mounted is");
        require(!start->argv.empty() || start->execStub, "a start says what to start");
    }
    decodeAdopt(packet, why);
    decodeAttach(packet, why);
    decodeStarted(packet);
    decodeEnded(packet);
    decodeLayers(packet);
    decodeAttached(packet);
    decodeShare(packet);
    decodeFailed(packet);
    return 0;
}
