// What a hostile worker may write into its socket.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "protocol/frame.hpp"

namespace {

using namespace cf::protocol;
using cf::fuzz::require;

void checkPayload(std::string_view payload) {
    ItemReader items(payload);
    std::string again;
    while (items.next()) {
        require(cf::fuzz::within(items.value(), payload), "items lie in their frame");
        putItem(again, items.tag(), items.value());
        items.number();
    }
    if (!items.malformed()) require(again == payload, "items are what was sent, and all of it");
    const Answer answer = readAnswer(payload);
    require(cf::fuzz::within(answer.document, payload), "a document lies in its frame");
}

constexpr uint32_t limit = 256;

// The frames that came whole, encoded again; whether it broke. What was passed over is taken from
// the stream, at the place of its frame.
std::pair<std::string, bool> decode(const std::string_view sent, size_t piece) {
    FrameDecoder decoder(limit);
    std::string frames;
    std::string_view stream = sent;
    while (!stream.empty()) {
        char* space = decoder.space();
        const size_t count = std::min({piece, stream.size(), decoder.room()});
        require(count > 0, "there is always room for more");
        std::memcpy(space, stream.data(), count);
        decoder.filled(count);
        stream.remove_prefix(count);
        for (;;) {
            Frame frame;
            const auto state = decoder.next(frame);
            if (state == FrameDecoder::State::broken) {
                require(decoder.brokenWhy() != nullptr, "what broke is said");
                return {frames, true};
            }
            if (state == FrameDecoder::State::needMore) break;
            require(frame.payload.size() <= limit, "no frame is larger than its limit");
            const size_t start = beginFrame(frames, frame.type, frame.id);
            frames += frame.payload;
            if (frame.oversized > 0) {
                require(frame.type == FrameType::result || frame.type == FrameType::error,
                        "only answers are passed over");
                require(frame.oversized > limit && frame.oversized <= maxPayload,
                        "of a size that the protocol allows");
                require(frame.oversized <= sent.size() - frames.size() - stream.size(),
                        "when they have come");
                frames += sent.substr(frames.size(), frame.oversized);
            }
            endFrame(frames, start);
            checkPayload(frame.payload);
        }
    }
    return {frames, false};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view stream = cf::fuzz::textOf(data, size);
    const auto whole = decode(stream, stream.size());
    require(stream.starts_with(whole.first), "frames are what was sent, in its order");
    require(whole == decode(stream, 1 + size % 23), "pieces give the same frames as the whole");
    return 0;
}
