// Decoding in place: what is decoded, what is moved, and where the next message begins.
#include "http/chunk_decoder.hpp"

#include "support.hpp"

namespace cf::http {

class ChunkDecoderTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ChunkDecoderTest);
    CPPUNIT_TEST(testWhole);
    CPPUNIT_TEST(testMovesUpAgainstTheHead);
    CPPUNIT_TEST(testBufferStaysSmall);
    CPPUNIT_TEST_SUITE_END();

public:
    void testWhole() {
        std::string message = "HEAD5\r\nhello\r\n0\r\n\r\nnext";
        ChunkDecoder decoder;
        decoder.begin(4);
        size_t size = message.size();
        CPPUNIT_ASSERT(decoder.decode(message.data(), size, 100) == ChunkDecoder::State::complete);
        CPPUNIT_ASSERT_EQUAL(std::string("HEADhello"), message.substr(0, 4 + decoder.bodySize()));
        CPPUNIT_ASSERT_EQUAL(std::string("next"),
                             message.substr(decoder.consumed(), size - decoder.consumed()));
    }

    void testMovesUpAgainstTheHead() {
        std::string message = "HEAD5\r\nhello\r\n6;x=";
        ChunkDecoder decoder;
        decoder.begin(4);
        size_t size = message.size();
        CPPUNIT_ASSERT(decoder.decode(message.data(), size, 100) == ChunkDecoder::State::needMore);
        CPPUNIT_ASSERT_EQUAL(std::string("HEADhello6;x="), message.substr(0, size));
        message = message.substr(0, size) + "y\r\n world\r\n0\r\n\r\n";
        size = message.size();
        CPPUNIT_ASSERT(decoder.decode(message.data(), size, 100) == ChunkDecoder::State::complete);
        CPPUNIT_ASSERT_EQUAL(std::string("hello world"), message.substr(4, decoder.bodySize()));
        CPPUNIT_ASSERT_EQUAL(size, decoder.consumed());
    }

    // Many tiny chunks with extensions need no more room than their content.
    void testBufferStaysSmall() {
        std::string buffer;
        ChunkDecoder decoder;
        decoder.begin(0);
        for (int i = 0; i < 1000; ++i) {
            buffer += "1;abc\r\nz\r\n";
            size_t size = buffer.size();
            CPPUNIT_ASSERT(decoder.decode(buffer.data(), size, 2000) ==
                           ChunkDecoder::State::needMore);
            buffer.resize(size);
            CPPUNIT_ASSERT(buffer.size() <= static_cast<size_t>(i) + 3);
        }
        CPPUNIT_ASSERT_EQUAL(size_t{1000}, decoder.bodySize());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ChunkDecoderTest);

}  // namespace cf::http
