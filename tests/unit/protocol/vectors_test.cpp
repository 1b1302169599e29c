// The vectors that every worker shim is held to (tests/contract/protocol/vectors.json), read by the
// kernel's side.
#include <cppunit/extensions/HelperMacros.h>
#include <simdjson.h>

#include "protocol/frame.hpp"

namespace cf::protocol {

namespace {

std::string bytesOf(std::string_view hex) {
    std::string bytes;
    for (size_t at = 0; at + 1 < hex.size(); at += 2)
        bytes += static_cast<char>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16));
    return bytes;
}

FrameDecoder::State decode(FrameDecoder& decoder, const std::string& bytes, Frame& frame) {
    std::copy(bytes.begin(), bytes.end(), decoder.space());
    decoder.filled(bytes.size());
    return decoder.next(frame);
}

// Where the items of a frame of this type begin, or npos for a type without.
size_t itemsAt(const Frame& frame) {
    const auto u32 = [&](size_t at) {
        uint32_t value = 0;
        for (size_t i = 0; i < 4; ++i)
            value |= static_cast<uint32_t>(static_cast<unsigned char>(frame.payload[at + i]))
                     << (8 * i);
        return value;
    };
    switch (frame.type) {
        case FrameType::hello:
        case FrameType::load:
        case FrameType::check:
        case FrameType::log:
        case FrameType::credit:
            return 0;
        case FrameType::invoke:
            return 8 + u32(0) + u32(4);
        case FrameType::result:
        case FrameType::error:
            return frame.payload.size() < 4 ? std::string_view::npos : 4 + u32(0);
        default:
            return std::string_view::npos;
    }
}

}  // namespace

class VectorsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(VectorsTest);
    CPPUNIT_TEST(testSoundFrames);
    CPPUNIT_TEST(testInvalidFrames);
    CPPUNIT_TEST_SUITE_END();

    simdjson::dom::parser parser_;
    simdjson::dom::element vectors_;

public:
    void setUp() override { vectors_ = parser_.load(VECTORS); }

    void testSoundFrames() {
        size_t seen = 0;
        for (const simdjson::dom::element vector : vectors_["frames"].get_array()) {
            const std::string name{std::string_view(vector["name"])};
            const std::string bytes = bytesOf(vector["hex"]);
            FrameDecoder decoder;
            Frame frame{};
            CPPUNIT_ASSERT_MESSAGE(name,
                                   decode(decoder, bytes, frame) == FrameDecoder::State::frame);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                name, uint64_t(vectors_["types"][std::string_view(vector["type"])]),
                uint64_t(frame.type));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                name,
                uint64_t{std::stoull(std::string(std::string_view(vector["id"])), nullptr, 16)},
                frame.id);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(name, bytes.size() - headerSize, frame.payload.size());
            if (frame.type == FrameType::result || frame.type == FrameType::error)
                CPPUNIT_ASSERT_MESSAGE(name, readAnswer(frame.payload).ok);
            simdjson::dom::array expected;
            if (vector["items"].get(expected) == simdjson::SUCCESS) {
                ItemReader items(frame.payload.substr(itemsAt(frame)));
                for (const simdjson::dom::element item : expected) {
                    CPPUNIT_ASSERT_MESSAGE(name, items.next());
                    uint64_t tag = 0, number = 0;
                    if (item.at(0).get(tag) != simdjson::SUCCESS)
                        tag = uint64_t(vectors_["tags"][std::string_view(item.at(0))]);
                    CPPUNIT_ASSERT_EQUAL_MESSAGE(name, tag, uint64_t(items.tag()));
                    if (item.at(1).get(number) == simdjson::SUCCESS)
                        CPPUNIT_ASSERT_EQUAL_MESSAGE(name, number, items.number());
                    else
                        CPPUNIT_ASSERT_EQUAL_MESSAGE(name,
                                                     std::string(std::string_view(item.at(1))),
                                                     std::string(items.value()));
                }
                while (items.next())
                    CPPUNIT_ASSERT_MESSAGE(name, items.tag() > Tag::credit);  // of a later version
                CPPUNIT_ASSERT_MESSAGE(name, !items.malformed());
            }
            ++seen;
        }
        CPPUNIT_ASSERT(seen >= 26);
    }

    void testInvalidFrames() {
        size_t seen = 0;
        for (const simdjson::dom::element vector : vectors_["invalid"].get_array()) {
            const std::string name{std::string_view(vector["name"])};
            FrameDecoder decoder;
            Frame frame{};
            bool refused =
                decode(decoder, bytesOf(vector["hex"]), frame) != FrameDecoder::State::frame;
            if (!refused && (frame.type == FrameType::result || frame.type == FrameType::error))
                refused = !readAnswer(frame.payload).ok;
            if (!refused) {
                ItemReader items(frame.payload);
                while (items.next()) {
                }
                refused = items.malformed();
            }
            CPPUNIT_ASSERT_MESSAGE(name, refused);
            ++seen;
        }
        CPPUNIT_ASSERT(seen >= 12);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(VectorsTest);

}  // namespace cf::protocol
