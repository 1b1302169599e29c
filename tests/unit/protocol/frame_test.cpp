// Items and answers: what is read, and what is refused.
#include "protocol/frame.hpp"

#include <cppunit/extensions/HelperMacros.h>

namespace cf::protocol {

class FrameTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FrameTest);
    CPPUNIT_TEST(testHeader);
    CPPUNIT_TEST(testItems);
    CPPUNIT_TEST(testMalformedItems);
    CPPUNIT_TEST(testInvoke);
    CPPUNIT_TEST(testAnswers);
    CPPUNIT_TEST(testMalformedAnswers);
    CPPUNIT_TEST_SUITE_END();

    static bool malformed(const std::string& block) {
        ItemReader items(block);
        while (items.next()) {
        }
        return items.malformed();
    }

public:
    void testHeader() {
        std::string out = "before";
        const size_t start = beginFrame(out, FrameType::log, 0x1122334455667788);
        out += "payload";
        endFrame(out, start);
        CPPUNIT_ASSERT_EQUAL(
            std::string("before\x07\0\0\0\x0b\0\0\0\x88\x77\x66\x55\x44\x33\x22\x11payload", 29),
            out);
    }

    void testItems() {
        std::string block;
        putItem(block, Tag::handler, "main.handler");
        putItem(block, Tag::runNs, uint64_t{0xfedcba9876543210});
        putItem(block, static_cast<Tag>(999), "later");
        putItem(block, Tag::text, "");
        ItemReader items(block);
        CPPUNIT_ASSERT(items.next());
        CPPUNIT_ASSERT(items.tag() == Tag::handler);
        CPPUNIT_ASSERT_EQUAL(std::string("main.handler"), std::string(items.value()));
        CPPUNIT_ASSERT_EQUAL(uint64_t{0}, items.number());
        CPPUNIT_ASSERT(items.next());
        CPPUNIT_ASSERT_EQUAL(uint64_t{0xfedcba9876543210}, items.number());
        CPPUNIT_ASSERT(items.next());
        CPPUNIT_ASSERT(items.next());
        CPPUNIT_ASSERT(items.value().empty());
        CPPUNIT_ASSERT(!items.next());
        CPPUNIT_ASSERT(!items.malformed());
    }

    void testMalformedItems() {
        std::string block;
        putItem(block, Tag::version, uint64_t{1});
        CPPUNIT_ASSERT(!malformed(block));
        for (size_t size = 1; size < block.size(); ++size)
            CPPUNIT_ASSERT(malformed(block.substr(0, size)));
        std::string reserved = block;
        reserved[2] = 1;
        CPPUNIT_ASSERT(malformed(reserved));
        std::string large = block;
        large[7] = '\xff';
        CPPUNIT_ASSERT(malformed(large));
        std::string shortNumber;
        putItem(shortNumber, Tag::runNs, "1234");
        CPPUNIT_ASSERT(malformed(shortNumber));
    }

    void testInvoke() {
        std::string out;
        putInvoke(out, 7, "1", "{}",
                  {.remainingMs = 30, .invocationId = "ID", .requestId = "REQ", .deadlineMs = 99});
        FrameDecoder decoder;
        std::copy(out.begin(), out.end(), decoder.space());
        decoder.filled(out.size());
        Frame frame;
        CPPUNIT_ASSERT(decoder.next(frame) == FrameDecoder::State::frame);
        CPPUNIT_ASSERT(frame.type == FrameType::invoke);
        CPPUNIT_ASSERT_EQUAL(uint64_t{7}, frame.id);
        CPPUNIT_ASSERT_EQUAL(std::string("\1\0\0\0\2\0\0\0"
                                         "1{}",
                                         11),
                             std::string(frame.payload.substr(0, 11)));
        const Tag order[] = {Tag::remainingMs, Tag::invocationId, Tag::requestId, Tag::deadlineMs};
        ItemReader items(frame.payload.substr(11));
        for (const Tag tag : order) {
            CPPUNIT_ASSERT(items.next());
            CPPUNIT_ASSERT(items.tag() == tag);
        }
        CPPUNIT_ASSERT_EQUAL(uint64_t{99}, items.number());
        CPPUNIT_ASSERT(!items.next());

        std::string behind;
        putInvoke(behind, 7, "1", "{}",
                  {.remainingMs = 30, .invocationId = "ID", .requestId = "REQ", .deadlineMs = 99, .beginByUs = 5});
        CPPUNIT_ASSERT_EQUAL(out.size() + 16, behind.size());
        ItemReader last(std::string_view(behind).substr(out.size()));
        CPPUNIT_ASSERT(last.next() && last.tag() == Tag::beginBy);
        CPPUNIT_ASSERT_EQUAL(uint64_t{5}, last.number());
    }

    void testAnswers() {
        std::string payload;
        putU32(payload, 4);
        payload += "null";
        CPPUNIT_ASSERT(readAnswer(payload).ok);
        putItem(payload, Tag::runNs, uint64_t{5});
        const Answer answer = readAnswer(payload);
        CPPUNIT_ASSERT(answer.ok);
        CPPUNIT_ASSERT_EQUAL(std::string("null"), std::string(answer.document));
        CPPUNIT_ASSERT_EQUAL(uint64_t{5}, answer.runNs);
    }

    void testMalformedAnswers() {
        std::string payload;
        putU32(payload, 4);
        payload += "null";
        putItem(payload, Tag::runNs, uint64_t{5});
        for (size_t size = 0; size < payload.size(); ++size)
            if (size != 8)
                CPPUNIT_ASSERT(!readAnswer(std::string_view(payload).substr(0, size)).ok);
        CPPUNIT_ASSERT(!readAnswer(std::string_view("\xff\xff\xff\xffnull", 8)).ok);
        std::string shortNumber;
        putU32(shortNumber, 0);
        putItem(shortNumber, Tag::runNs, "1234");
        CPPUNIT_ASSERT(!readAnswer(shortNumber).ok);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FrameTest);

}  // namespace cf::protocol
