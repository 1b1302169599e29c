// DNS messages from sandboxes and from anywhere: read without believing them.
#include <cppunit/extensions/HelperMacros.h>

#include "sandbox/dns_message.hpp"
#include "sandbox/firewall.hpp"

namespace cf::sandbox::test {

using std::string_literals::operator""s;

class DnsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(DnsTest);
    CPPUNIT_TEST(testQuery);
    CPPUNIT_TEST(testWhatIsNoQuery);
    CPPUNIT_TEST(testAddressesFollowAliases);
    CPPUNIT_TEST(testHostileAnswers);
    CPPUNIT_TEST(testEmptyAnswer);
    CPPUNIT_TEST(testRangeOfSandboxes);
    CPPUNIT_TEST(testRulesOfDestinations);
    CPPUNIT_TEST_SUITE_END();

    static std::string query() {
        return "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"s + "\x03"s + "aPi\x07" +
               "example\x00\x00\x01\x00\x01"s;
    }
    // `records` after the question, under the query's id.
    static std::string answer(int count, const std::string& records) {
        std::string text = query();
        text[2] = '\x81';
        text[3] = '\x80';
        text[7] = static_cast<char>(count);
        return text + records;
    }
    static std::string record(const std::string& name, char type, char seconds,
                              const std::string& data) {
        return name + "\x00"s + type + "\x00\x01\x00\x00\x00"s + seconds + "\x00"s +
               static_cast<char>(data.size()) + data;
    }

    void testQuery() {
        const auto question = dns::readQuery(query());
        CPPUNIT_ASSERT(question.has_value());
        CPPUNIT_ASSERT_EQUAL(std::string("api.example"), question->name);
        CPPUNIT_ASSERT_EQUAL(uint16_t(0x1234), question->id);
        CPPUNIT_ASSERT_EQUAL(dns::typeAddress, question->type);
        CPPUNIT_ASSERT_EQUAL(query().size(), question->end);
    }

    void testWhatIsNoQuery() {
        const std::string good = query();
        for (size_t size = 0; size < good.size(); ++size)
            CPPUNIT_ASSERT(!dns::readQuery(good.substr(0, size)));
        const auto with = [&](size_t at, char value) {
            std::string bad = good;
            bad[at] = value;
            return bad;
        };
        CPPUNIT_ASSERT(!dns::readQuery(with(2, '\x81')));   // an answer
        CPPUNIT_ASSERT(!dns::readQuery(with(2, '\x28')));   // an update
        CPPUNIT_ASSERT(!dns::readQuery(with(5, '\x02')));   // two questions
        CPPUNIT_ASSERT(!dns::readQuery(with(7, '\x01')));   // with an answer
        CPPUNIT_ASSERT(!dns::readQuery(with(12, '\xC0')));  // a pointer ahead
        CPPUNIT_ASSERT(!dns::readQuery(with(12, '\x7F')));  // no such label
        CPPUNIT_ASSERT(!dns::readQuery(good.substr(0, 12) + "\xC0\x06\x00\x01\x00\x01"s));  // the header
        std::string longName = good.substr(0, 12);
        for (int i = 0; i < 10; ++i) longName += "\x3F" + std::string(63, 'a');
        CPPUNIT_ASSERT(!dns::readQuery(longName + "\x00\x00\x01\x00\x01"s));
    }

    void testAddressesFollowAliases() {
        const auto question = dns::readQuery(query());
        const std::string name = "\xC0\x0C"s;
        const std::string text =
            answer(4, record(name, 5, 20, "\x03www\xC0\x10"s) +
                          record("\x03www\xC0\x10"s, 1, 90, "\xC6\x33\x64\x07"s) +
                          record("\x05other\xC0\x10"s, 1, 90, "\xC6\x33\x64\x08"s) +
                          record(name, 28, 90, std::string(16, 'x')));
        CPPUNIT_ASSERT(dns::answers(text, *question, 0x1234));
        CPPUNIT_ASSERT(!dns::answers(text, *question, 0x1235));
        const auto found = dns::addressesIn(text, *question);
        CPPUNIT_ASSERT_EQUAL(size_t(1), found.list.size());
        CPPUNIT_ASSERT_EQUAL(uint32_t(0xC6336407), found.list[0]);
        CPPUNIT_ASSERT_EQUAL(uint32_t(20), found.seconds);
    }

    void testHostileAnswers() {
        const auto question = dns::readQuery(query());
        const std::string name = "\xC0\x0C"s;
        const std::string whole = answer(1, record(name, 1, 9, "\xC6\x33\x64\x07"s));
        for (size_t size = 0; size < whole.size(); ++size)
            CPPUNIT_ASSERT(dns::addressesIn(whole.substr(0, size), *question).list.empty());
        // More records than there are, and a name that leads to itself.
        CPPUNIT_ASSERT_EQUAL(
            size_t(1),
            dns::addressesIn(answer(99, record(name, 1, 9, "\xC6\x33\x64\x07"s)), *question)
                .list.size());
        const std::string loop = answer(1, record("\xC0\x1D"s, 1, 9, "\x01\x02\x03\x04"s));
        CPPUNIT_ASSERT(dns::addressesIn(loop, *question).list.empty());
        std::string another = whole;
        another[13] = 'x';
        CPPUNIT_ASSERT(!dns::answers(another, *question, 0x1234));
    }

    void testEmptyAnswer() {
        const auto question = dns::readQuery(query());
        const std::string none = dns::emptyAnswer(query() + "more", *question, dns::noSuchName);
        CPPUNIT_ASSERT_EQUAL(query().size(), none.size());
        CPPUNIT_ASSERT(dns::answers(none, *question, 0x1234));
        CPPUNIT_ASSERT_EQUAL(3, none[3] & 0xF);
    }

    void testRangeOfSandboxes() {
        const AddressRange range{0x0A4D0000, 20};
        CPPUNIT_ASSERT_EQUAL(std::string("10.77.0.0/20"), range.text());
        CPPUNIT_ASSERT(range.has(range.sandbox(range.sandboxes() - 1)));
        CPPUNIT_ASSERT(!range.has(range.sandbox(range.sandboxes())  + 1));
    }

    void testRulesOfDestinations() {
        CPPUNIT_ASSERT_EQUAL(
            std::string("ip daddr 10.0.0.0/8 accept\n"
                        "ip daddr 10.0.0.1 meta l4proto { tcp, udp } th dport 53 accept\n"),
            addressRules({"10.0.0.0/8", "db.example:53", "10.0.0.1:53", "no such thing"},
                         "accept"));
        CPPUNIT_ASSERT_EQUAL(size_t(1),
                             namedDestinations({"10.0.0.0/8", "db.example:53", "x y"}).size());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DnsTest);

}  // namespace cf::sandbox::test
