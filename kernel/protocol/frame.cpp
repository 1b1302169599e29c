#include "protocol/frame.hpp"

#include <algorithm>
#include <cstring>

namespace cf::protocol {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "frames are copied as they lie in memory");

namespace {

constexpr size_t readSize = 64 * 1024;
constexpr size_t keptCapacity = 1024 * 1024;

template <typename T>
T get(const char* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

bool isNumber(Tag tag) {
    switch (tag) {
        case Tag::version:
        case Tag::concurrency:
        case Tag::functionVersion:
        case Tag::memoryMb:
        case Tag::timeoutMs:
        case Tag::remainingMs:
        case Tag::deadlineMs:
        case Tag::runNs:
        case Tag::stream:
        case Tag::credit:
        case Tag::beginBy: return true;
        default: return false;
    }
}

template <typename T>
void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Numbers in a row, which then go out as one piece.
template <size_t N>
class Numbers {
public:
    template <typename T>
    Numbers& put(T value) {
        std::memcpy(bytes_ + size_, &value, sizeof value);
        size_ += sizeof value;
        return *this;
    }
    Numbers& itemHead(Tag tag, size_t size) {
        return put(static_cast<uint16_t>(tag)).template put<uint16_t>(0).put(static_cast<uint32_t>(size));
    }
    Numbers& item(Tag tag, uint64_t value) { return itemHead(tag, sizeof value).put(value); }
    std::string_view bytes() const { return {bytes_, size_}; }

private:
    char bytes_[N];
    size_t size_ = 0;
};

}  // namespace

size_t beginFrame(std::string& out, FrameType type, uint64_t id) {
    const size_t start = out.size();
    put<uint32_t>(out, 0);
    put(out, static_cast<uint8_t>(type));
    put<uint8_t>(out, 0);
    put<uint16_t>(out, 0);
    put(out, id);
    return start;
}

void endFrame(std::string& out, size_t start) {
    const auto size = static_cast<uint32_t>(out.size() - start - headerSize);
    std::memcpy(out.data() + start, &size, sizeof size);
}

void putU32(std::string& out, uint32_t value) { put(out, value); }

void putItem(std::string& out, Tag tag, std::string_view value) {
    put(out, static_cast<uint16_t>(tag));
    put<uint16_t>(out, 0);
    put(out, static_cast<uint32_t>(value.size()));
    out.append(value);
}

void putItem(std::string& out, Tag tag, uint64_t value) {
    putItem(out, tag, std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
}

// The frame of every call: in few pieces.
void putInvoke(std::string& out, uint64_t id, std::string_view event, std::string_view context, const InvokeItems& items) {
    constexpr size_t sizes = 2 * sizeof(uint32_t), number = itemHeaderSize + sizeof(uint64_t);
    Numbers<headerSize + sizes> head;
    Numbers<number + itemHeaderSize> first;
    Numbers<itemHeaderSize> second;
    Numbers<2 * number> last;
    first.item(Tag::remainingMs, items.remainingMs).itemHead(Tag::invocationId, items.invocationId.size());
    second.itemHead(Tag::requestId, items.requestId.size());
    last.item(Tag::deadlineMs, items.deadlineMs);
    if (items.beginByUs != 0) last.item(Tag::beginBy, items.beginByUs);
    const size_t payload = sizes + event.size() + context.size() + first.bytes().size() + items.invocationId.size() +
                           second.bytes().size() + items.requestId.size() + last.bytes().size();
    head.put(static_cast<uint32_t>(payload)).put(FrameType::invoke).put<uint8_t>(0).put<uint16_t>(0).put(id);
    head.put(static_cast<uint32_t>(event.size())).put(static_cast<uint32_t>(context.size()));
    out.append(head.bytes()).append(event).append(context).append(first.bytes()).append(items.invocationId);
    out.append(second.bytes()).append(items.requestId).append(last.bytes());
}

bool ItemReader::next() {
    if (rest_.empty()) return false;
    if (rest_.size() < itemHeaderSize) return malformed_ = true, false;
    const auto size = get<uint32_t>(rest_.data() + 4);
    if (size > rest_.size() - itemHeaderSize || get<uint16_t>(rest_.data() + 2) != 0) return malformed_ = true, false;
    tag_ = static_cast<Tag>(get<uint16_t>(rest_.data()));
    if (isNumber(tag_) && size != sizeof(uint64_t)) return malformed_ = true, false;
    value_ = rest_.substr(itemHeaderSize, size);
    rest_.remove_prefix(itemHeaderSize + size);
    return true;
}

uint64_t ItemReader::number() const { return value_.size() == 8 ? get<uint64_t>(value_.data()) : 0; }

Answer readAnswer(std::string_view payload) {
    Answer answer;
    if (payload.size() < 4) return answer;
    const auto size = get<uint32_t>(payload.data());
    if (size > payload.size() - 4) return answer;
    answer.document = payload.substr(4, size);
    ItemReader items(payload.substr(4 + size));
    while (items.next())
        if (items.tag() == Tag::runNs) answer.runNs = items.number();
    answer.ok = !items.malformed();
    return answer;
}

char* FrameDecoder::space() {
    if (begin_ == end_) {
        begin_ = end_ = 0;
    } else if (begin_ > 0 && room() < readSize) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    // Memory follows the bytes that came, not the size that a worker announces: it at most doubles.
    const size_t next = end_ + readSize;
    const size_t target = std::max(next, std::min(wanted_, 2 * end_));
    if (room() < readSize && buffer_.size() < target + slack) buffer_.resize(target + slack);
    return buffer_.data() + end_;
}

FrameDecoder::State FrameDecoder::next(Frame& frame) {
    if (brokenWhy_ != nullptr) return State::broken;
    if (toSkip_ > 0) return skip(frame);
    const size_t have = end_ - begin_;
    wanted_ = headerSize;
    if (have == 0 && buffer_.size() > keptCapacity) {  // one large answer must not keep its memory for ever
        begin_ = end_ = 0;
        std::string().swap(buffer_);
    }
    if (have < headerSize) return State::needMore;
    const char* at = buffer_.data() + begin_;
    const auto size = get<uint32_t>(at);
    const auto type = get<uint8_t>(at + 4);
    if (type == 0 || type > lastFrameType) return brokenWhy_ = "unknown frame type", State::broken;
    if (at[5] != 0 || get<uint16_t>(at + 6) != 0) return brokenWhy_ = "reserved header bits are set", State::broken;
    const Frame head{.type = static_cast<FrameType>(type), .id = get<uint64_t>(at + 8), .payload = {}};
    if (size > maxFrame_) {
        const bool isAnswer = head.type == FrameType::result || head.type == FrameType::error;
        if (!isAnswer || size > maxPayload)
            return tooLarge_ = true, brokenWhy_ = "frame is larger than allowed", State::broken;
        skipped_ = head;
        skipped_.oversized = size;
        toSkip_ = size;
        begin_ += headerSize;
        return skip(frame);
    }
    wanted_ = headerSize + size;
    if (have < wanted_) return State::needMore;
    frame = head;
    frame.payload = {at + headerSize, size};
    begin_ += wanted_;
    wanted_ = headerSize;
    return State::frame;
}

FrameDecoder::State FrameDecoder::skip(Frame& frame) {
    const size_t came = std::min(toSkip_, end_ - begin_);
    begin_ += came;
    toSkip_ -= came;
    if (toSkip_ > 0) return State::needMore;
    frame = skipped_;
    return State::frame;
}

}  // namespace cf::protocol
