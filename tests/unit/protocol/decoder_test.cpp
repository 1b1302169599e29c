// The decoder against a stream in any pieces and against a worker that means harm.
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "protocol/frame.hpp"

namespace cf::protocol {

class DecoderTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(DecoderTest);
    CPPUNIT_TEST(testPieces);
    CPPUNIT_TEST(testBadHeaders);
    CPPUNIT_TEST(testLimit);
    CPPUNIT_TEST(testOversizedAnswers);
    CPPUNIT_TEST(testOversizedAnswersAtEveryCut);
    CPPUNIT_TEST(testWhatIsNoOversizedAnswer);
    CPPUNIT_TEST(testPassingOverNeedsNoRoom);
    CPPUNIT_TEST(testReadableBytesBehindEveryPayload);
    CPPUNIT_TEST(testAnnouncementsCostNothing);
    CPPUNIT_TEST(testEndlessStreamNeedsNoMoreRoom);
    CPPUNIT_TEST(testLargeFrameGivesItsMemoryBack);
    CPPUNIT_TEST_SUITE_END();

    static std::string frame(uint64_t id, const std::string& payload,
                             FrameType type = FrameType::log) {
        std::string out;
        const size_t start = beginFrame(out, type, id);
        out += payload;
        endFrame(out, start);
        return out;
    }
    // Gives up to `most` bytes of `stream` from `at` on.
    static size_t feed(FrameDecoder& decoder, std::string_view stream, size_t at, size_t most) {
        char* to = decoder.space();
        CPPUNIT_ASSERT(decoder.room() > 0);
        const size_t count = std::min({most, decoder.room(), stream.size() - at});
        std::copy_n(stream.data() + at, count, to);
        decoder.filled(count);
        return count;
    }

    // What `stream` holds, read up to the cuts and to the end: of a frame its number, whether it is
    // an answer, and the payload or the size of what was passed over.
    static std::string seen(std::string_view stream, const std::vector<size_t>& cuts) {
        FrameDecoder decoder(100);
        std::string found;
        size_t at = 0;
        const auto readTo = [&](size_t end) {
            while (at < end) {
                at += feed(decoder, stream, at, end - at);
                for (Frame one{}; decoder.next(one) == FrameDecoder::State::frame;) {
                    found += std::to_string(one.id) + (one.type == FrameType::log ? "l" : "a");
                    found += one.oversized > 0 ? std::to_string(one.oversized) : "";
                    CPPUNIT_ASSERT(one.oversized == 0 || one.payload.empty());
                    (found += one.payload) += ' ';
                }
                CPPUNIT_ASSERT(decoder.brokenWhy() == nullptr);
            }
        };
        for (const size_t cut : cuts) readTo(cut);
        readTo(stream.size());
        CPPUNIT_ASSERT_EQUAL(size_t{0}, decoder.buffered());
        return found;
    }
    // Its payload looks like frames.
    static std::string oversized(uint64_t id, FrameType type, size_t size) {
        std::string payload;
        while (payload.size() < size) payload += frame(99, "no frame", FrameType::result);
        return frame(id, payload.substr(0, size), type);
    }

public:
    void testPieces() {
        std::string stream;
        std::vector<std::string> payloads;
        for (const size_t size :
             {0ul, 1ul, 15ul, 5000ul, 70'000ul, 0ul, 300'000ul, 2ul, 1'500'000ul, 9ul}) {
            payloads.emplace_back(size, static_cast<char>('a' + payloads.size()));
            stream += frame(payloads.size(), payloads.back());
        }
        for (const size_t piece : {size_t{7}, size_t{1000}, size_t{65'536}, size_t{1} << 30}) {
            FrameDecoder decoder;
            size_t seen = 0;
            for (size_t at = 0; at < stream.size();) {
                at += feed(decoder, stream, at, piece);
                Frame found;
                while (decoder.next(found) == FrameDecoder::State::frame) {
                    CPPUNIT_ASSERT_EQUAL(uint64_t{seen + 1}, found.id);
                    CPPUNIT_ASSERT(found.payload == payloads[seen]);
                    ++seen;
                }
            }
            CPPUNIT_ASSERT_EQUAL(payloads.size(), seen);
            CPPUNIT_ASSERT_EQUAL(size_t{0}, decoder.buffered());
        }
    }

    void testBadHeaders() {
        const std::string good = frame(1, "");
        for (const auto& [at, byte] :
             {std::pair<size_t, char>{4, 0}, {4, 20}, {4, -1}, {5, 1}, {6, 1}, {7, 1}}) {
            std::string bad = good;
            bad[at] = byte;
            FrameDecoder decoder;
            feed(decoder, bad + good, 0, 100);
            Frame found;
            CPPUNIT_ASSERT(decoder.next(found) == FrameDecoder::State::broken);
            CPPUNIT_ASSERT(decoder.brokenWhy() != nullptr);
            CPPUNIT_ASSERT(!decoder.tooLarge());
            CPPUNIT_ASSERT(decoder.next(found) == FrameDecoder::State::broken);
        }
    }

    void testLimit() {
        FrameDecoder decoder(100);
        Frame found;
        feed(decoder, frame(1, std::string(100, 'x')), 0, 200);
        CPPUNIT_ASSERT(decoder.next(found) == FrameDecoder::State::frame);
        feed(decoder, frame(1, std::string(101, 'x')), 0, 16);  // the header is enough
        CPPUNIT_ASSERT(decoder.next(found) == FrameDecoder::State::broken);
        CPPUNIT_ASSERT(decoder.tooLarge());
    }

    // First, between others, last, and behind one another.
    void testOversizedAnswers() {
        const std::string small = frame(1, "x", FrameType::result), line = frame(0, "y"),
                          large = oversized(2, FrameType::result, 101),
                          error = oversized(3, FrameType::error, 70'000);
        for (const auto& [stream, frames] : std::vector<std::pair<std::string, std::string>>{
                 {large + small, "2a101 1ax "},
                 {small + large, "1ax 2a101 "},
                 {line + large + small, "0ly 2a101 1ax "},
                 {large + error + large, "2a101 3a70000 2a101 "},
                 {error + line + error, "3a70000 0ly 3a70000 "}})
            for (const size_t piece : {size_t{1} << 30, size_t{65'536}, size_t{1000}, size_t{15}}) {
                std::vector<size_t> cuts;
                for (size_t at = piece; at < stream.size(); at += piece) cuts.push_back(at);
                CPPUNIT_ASSERT_EQUAL(frames, seen(stream, cuts));
            }
    }

    void testOversizedAnswersAtEveryCut() {
        const std::string stream = oversized(1, FrameType::result, 150) + frame(2, "x") +
                                   oversized(3, FrameType::error, 101) +
                                   oversized(4, FrameType::result, 120) +
                                   frame(5, std::string(100, 'y'), FrameType::result) +
                                   frame(6, "") + oversized(7, FrameType::result, 130);
        const std::string frames =
            "1a150 2lx 3a101 4a120 5a" + std::string(100, 'y') + " 6l 7a130 ";
        CPPUNIT_ASSERT_EQUAL(frames, seen(stream, {}));
        for (size_t first = 1; first < stream.size(); ++first)
            for (size_t second = first; second < stream.size(); second += 13)
                CPPUNIT_ASSERT_EQUAL(frames, seen(stream, {first, second}));
        std::vector<size_t> all(stream.size());
        std::iota(all.begin(), all.end(), 0);
        CPPUNIT_ASSERT_EQUAL(frames, seen(stream, all));
    }

    // Neither what no answer is, nor what the protocol forbids, nor what has not come.
    void testWhatIsNoOversizedAnswer() {
        Frame found{};
        for (uint8_t type = 1; type <= lastFrameType; ++type) {
            const bool isAnswer =
                FrameType(type) == FrameType::result || FrameType(type) == FrameType::error;
            std::string head;
            beginFrame(head, FrameType(type), 1);
            for (const uint32_t size : {101u, maxPayload, maxPayload + 1, UINT32_MAX}) {
                head.replace(0, sizeof size, reinterpret_cast<const char*>(&size), sizeof size);
                FrameDecoder decoder(100);
                feed(decoder, head, 0, head.size());
                const auto state = decoder.next(found);
                const bool isPassedOver = isAnswer && size <= maxPayload;
                CPPUNIT_ASSERT(state == (isPassedOver ? FrameDecoder::State::needMore
                                                      : FrameDecoder::State::broken));
                CPPUNIT_ASSERT_EQUAL(!isPassedOver, decoder.tooLarge());
            }
        }
        FrameDecoder decoder(100);
        const std::string large = oversized(1, FrameType::result, 200) + std::string(16, '\xff');
        feed(decoder, large, 0, headerSize + 199);
        CPPUNIT_ASSERT(decoder.next(found) == FrameDecoder::State::needMore);
        CPPUNIT_ASSERT(decoder.next(found) == FrameDecoder::State::needMore);
        feed(decoder, large, headerSize + 199, 17);
        CPPUNIT_ASSERT(decoder.next(found) == FrameDecoder::State::frame);
        CPPUNIT_ASSERT_EQUAL(uint32_t{200}, found.oversized);
        CPPUNIT_ASSERT(decoder.next(found) == FrameDecoder::State::broken);
        CPPUNIT_ASSERT(!decoder.tooLarge());
    }

    void testPassingOverNeedsNoRoom() {
        FrameDecoder decoder(1000);
        const std::string stream =
            oversized(1, FrameType::result, maxPayload) + frame(2, std::string(900, 'x'));
        size_t most = 0, frames = 0;
        for (size_t at = 0; at < stream.size();) {
            at += feed(decoder, stream, at, 1 << 30);
            most = std::max(most, decoder.room() + decoder.buffered());
            Frame found{};
            while (decoder.next(found) == FrameDecoder::State::frame) ++frames;
            if (at < maxPayload) CPPUNIT_ASSERT_EQUAL(size_t{0}, decoder.buffered());
        }
        CPPUNIT_ASSERT_EQUAL(size_t{2}, frames);
        CPPUNIT_ASSERT(most < 200'000);
    }

    // The last of many small frames fills what was offered to the last byte; a sanitizer minds
    // reads past the buffer.
    void testReadableBytesBehindEveryPayload() {
        FrameDecoder decoder;
        unsigned sum = 0;
        for (int round = 0; round < 20; ++round) {
            char* to = decoder.space();
            const size_t room = decoder.room();
            std::string bytes;
            while (room - bytes.size() > 200) bytes += frame(1, std::string(50, 'x'));
            bytes += frame(2, std::string(room - bytes.size() - headerSize, 'y'));
            CPPUNIT_ASSERT_EQUAL(room, bytes.size());
            std::copy(bytes.begin(), bytes.end(), to);
            decoder.filled(room);
            Frame found;
            while (decoder.next(found) == FrameDecoder::State::frame)
                sum = std::accumulate(found.payload.data() + found.payload.size(),
                                      found.payload.data() + found.payload.size() + 64, sum);
        }
        CPPUNIT_ASSERT(sum != 1);
    }

    // A header that promises 16 MiB brings no 16 MiB into being.
    void testAnnouncementsCostNothing() {
        FrameDecoder decoder;
        std::string head = frame(1, "");
        head[3] = 1;  // 1 << 24
        feed(decoder, head, 0, 16);
        Frame found;
        CPPUNIT_ASSERT(decoder.next(found) == FrameDecoder::State::needMore);
        decoder.space();
        CPPUNIT_ASSERT(decoder.room() < 1 << 20);
        CPPUNIT_ASSERT(decoder.room() > 1000);
    }

    // A worker that writes so fast that a read always ends inside a frame must not make the buffer
    // grow for ever.
    void testEndlessStreamNeedsNoMoreRoom() {
        FrameDecoder decoder;
        std::string stream;
        while (stream.size() < 4'000'000) stream += frame(1, std::string(997, 'x'));
        size_t most = 0, frames = 0;
        for (size_t at = 0; at < stream.size();) {
            at += feed(decoder, stream, at, 1 << 30);
            most = std::max(most, decoder.room() + decoder.buffered());
            Frame found;
            while (decoder.next(found) == FrameDecoder::State::frame) ++frames;
        }
        CPPUNIT_ASSERT_EQUAL(stream.size() / 1013, frames);
        CPPUNIT_ASSERT(most < 300'000);
    }

    void testLargeFrameGivesItsMemoryBack() {
        FrameDecoder decoder;
        const std::string large = frame(1, std::string(8 << 20, 'x'));
        Frame found;
        for (size_t at = 0; at < large.size();) {
            at += feed(decoder, large, at, 1 << 30);
            const auto state = decoder.next(found);
            CPPUNIT_ASSERT(state == (at < large.size() ? FrameDecoder::State::needMore
                                                       : FrameDecoder::State::frame));
        }
        CPPUNIT_ASSERT(decoder.next(found) == FrameDecoder::State::needMore);
        CPPUNIT_ASSERT_EQUAL_MESSAGE("whatever comes next, or nothing", size_t{0}, decoder.room());
        decoder.space();
        CPPUNIT_ASSERT(decoder.room() > 0 && decoder.room() < 1 << 20);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DecoderTest);

}  // namespace cf::protocol
