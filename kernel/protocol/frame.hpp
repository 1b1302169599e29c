// The frames between kernel and worker: types, tags, encoding, and a decoder that trusts nothing.
// Reference: docs/worker-protocol.md. Test vectors: tests/contract/protocol/vectors.json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cf::protocol {

constexpr uint64_t protocolVersion = 2;
// From it on a worker does not begin a call after its BEGIN_BY.
constexpr uint64_t beginByVersion = 2;
constexpr size_t headerSize = 16;
constexpr size_t itemHeaderSize = 8;
constexpr uint32_t maxPayload = 16u << 20;
// Event and context of an INVOKE together; the rest is for its items.
constexpr size_t maxCall = maxPayload - 512;

enum class FrameType : uint8_t {
    hello = 1, load, ready, loadFailed, invoke, result, check, checked, cache, error, log,
    chunk, end, credit, cancel, fork, forked, stop, notBegun,
};
constexpr uint8_t lastFrameType = static_cast<uint8_t>(FrameType::notBegun);

enum class Tag : uint16_t {
    version = 1, language, concurrency, artifact, handler, environment, functionName, functionVersion, memoryMb,
    timeoutMs, remainingMs, invocationId, requestId, deadlineMs, runNs, stream, text, file, source, credit, beginBy,
};

// One received frame; `payload` points into the decoder's buffer.
struct Frame {
    FrameType type;
    uint64_t id;
    std::string_view payload;
    // Size of an answer's payload that came whole, but above the decoder's limit, and was not kept; otherwise 0.
    uint32_t oversized = 0;
};

// Appends a header whose payload size is filled in by endFrame(out, the value returned here).
size_t beginFrame(std::string& out, FrameType type, uint64_t id);
void endFrame(std::string& out, size_t start);
void putItem(std::string& out, Tag tag, std::string_view value);
void putItem(std::string& out, Tag tag, uint64_t value);
void putU32(std::string& out, uint32_t value);

// What INVOKE carries beside event and context; items in the order of the document, the first four always.
struct InvokeItems {
    uint64_t remainingMs;
    std::string_view invocationId;
    std::string_view requestId;
    uint64_t deadlineMs;
    uint64_t beginByUs = 0;  // of CLOCK_MONOTONIC; 0: whenever its turn comes, and no such item
};
void putInvoke(std::string& out, uint64_t id, std::string_view event, std::string_view context, const InvokeItems& items);

// Walks metadata items. `next` is false at the end and on a malformed block (an item that does not fit, reserved bits, a
// number that is not 8 bytes long); `malformed` tells which.
class ItemReader {
public:
    explicit ItemReader(std::string_view block) : rest_(block) {}
    bool next();
    Tag tag() const { return tag_; }
    std::string_view value() const { return value_; }
    // The value as a number; 0 when it is not 8 bytes long.
    uint64_t number() const;
    bool malformed() const { return malformed_; }

private:
    std::string_view rest_;
    std::string_view value_;
    Tag tag_{};
    bool malformed_ = false;
};

// A RESULT or ERROR payload taken apart; `ok` is false when the sizes do not fit.
struct Answer {
    bool ok = false;
    std::string_view document;
    uint64_t runNs = 0;
};
Answer readAnswer(std::string_view payload);

// Turns a stream of bytes from a hostile worker into frames. Sizes are checked before anything is kept. The payload of
// an answer (RESULT, ERROR) above the limit but within the protocol is passed over: that is a matter of one invocation,
// and the worker's others go on.
class FrameDecoder {
public:
    // `maxFrame` caps payloads below the protocol's own limit.
    explicit FrameDecoder(uint32_t maxFrame = maxPayload) : maxFrame_(maxFrame) {}

    enum class State { frame, needMore, broken };

    // Where to read the next bytes: room() bytes at space(); then call filled(n).
    char* space();
    size_t room() const { return buffer_.size() < end_ + slack ? 0 : buffer_.size() - slack - end_; }
    void filled(size_t bytes) { end_ += bytes; }
    // The next whole frame, whose payload is valid until the next space() call; `broken` for good after a bad header.
    State next(Frame& frame);
    const char* brokenWhy() const { return brokenWhy_; }
    // True when it broke because a frame said to be larger than it may be.
    bool tooLarge() const { return tooLarge_; }
    // Bytes kept for a frame that is not complete yet.
    size_t buffered() const { return end_ - begin_; }

private:
    // Readable behind every payload, for validators that load whole registers.
    static constexpr size_t slack = 64;

    State skip(Frame& frame);

    std::string buffer_;
    size_t begin_ = 0;
    size_t end_ = 0;
    size_t wanted_ = headerSize;
    uint32_t maxFrame_;
    // The frame that is passed over, and how much of its payload is still to come.
    Frame skipped_{};
    size_t toSkip_ = 0;
    const char* brokenWhy_ = nullptr;
    bool tooLarge_ = false;
};

}  // namespace cf::protocol
