// The decoder against a stream in any pieces and against a worker that means harm.
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <numeric>

#include "protocol/frame.hpp"

namespace cf::protocol {

class DecoderTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(DecoderTest);
    CPPUNIT_TEST(testPieces);
    CPPUNIT_TEST(testBadHeaders);
    CPPUNIT_TEST(testLimit);
    CPPUNIT_TEST(testReadableBytesBehindEveryPayload);
    CPPUNIT_TEST(testAnnouncementsCostNothing);
    CPPUNIT_TEST(testEndlessStreamNeedsNoMoreRoom);
    CPPUNIT_TEST(testLargeFrameGivesItsMemoryBack);
    CPPUNIT_TEST_SUITE_END();

    static std::string frame(uint64_t id, const std::string& payload) {
        std::string out;
        const size_t start = beginFrame(out, FrameType::log, id);
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
             {std::pair<size_t, char>{4, 0}, {4, 19}, {4, -1}, {5, 1}, {6, 1}, {7, 1}}) {
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
        decoder.space();
        CPPUNIT_ASSERT(decoder.room() < 1 << 20);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DecoderTest);

}  // namespace cf::protocol
