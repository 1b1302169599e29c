// Reports of refused connections: what Linux writes is read, anything else is not, and people get a
// sentence that helps.
#include <arpa/inet.h>
#include <cppunit/extensions/HelperMacros.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "sandbox/firewall.hpp"
#include "sandbox/messages.hpp"
#include "sandbox/refusal.hpp"

namespace cf::sandbox::test {

class RefusalTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(RefusalTest);
    CPPUNIT_TEST(testReportIsRead);
    CPPUNIT_TEST(testPortsAreReadWhereTheyAre);
    CPPUNIT_TEST(testWhatIsNoReport);
    CPPUNIT_TEST(testMessageComesBack);
    CPPUNIT_TEST(testTextsSayWhatToDo);
    CPPUNIT_TEST(testEveryRefusalHasAReason);
    CPPUNIT_TEST_SUITE_END();

    static std::string attribute(uint16_t type, const std::string& value) {
        nlattr head{};
        head.nla_len = static_cast<uint16_t>(NLA_HDRLEN + value.size());
        head.nla_type = type;
        std::string text(reinterpret_cast<const char*>(&head), sizeof head);
        text += value;
        text.resize(NLA_ALIGN(text.size()));
        return text;
    }

    static std::string report(const std::string& attributes,
                              uint16_t type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) {
        nlmsghdr head{};
        head.nlmsg_len = static_cast<uint32_t>(NLMSG_LENGTH(sizeof(nfgenmsg)) + attributes.size());
        head.nlmsg_type = type;
        const nfgenmsg family{};
        return std::string(reinterpret_cast<const char*>(&head), sizeof head) +
               std::string(reinterpret_cast<const char*>(&family), sizeof family) + attributes;
    }

    // From 10.64.0.9, to 169.254.169.254:80.
    static std::string packet(uint8_t protocol = 6, uint8_t words = 5, uint16_t fragment = 0) {
        std::string bytes(std::max<size_t>(20, size_t{4} * words), '\0');
        bytes[0] = static_cast<char>(0x40 | words);
        bytes[6] = static_cast<char>(fragment >> 8);
        bytes[7] = static_cast<char>(fragment);
        bytes[9] = static_cast<char>(protocol);
        const uint8_t addresses[8] = {10, 64, 0, 9, 169, 254, 169, 254};
        std::memcpy(&bytes[12], addresses, sizeof addresses);
        bytes.resize(size_t{4} * words);  // one that is too short loses its end
        const uint8_t ports[4] = {0xC0, 0x01, 0, 80};
        return bytes.append(reinterpret_cast<const char*>(ports), sizeof ports);
    }

    static std::string whole(const std::string& bytes) {
        using namespace std::string_literals;
        return report(attribute(NFULA_PREFIX, "reserved\0"s) + attribute(NFULA_PAYLOAD, bytes));
    }

    static std::optional<Refusal> read(const std::string& bytes) {
        return readRefusal(bytes.data(), bytes.size());
    }

    void testReportIsRead() {
        const Refusal expected{10u << 24 | 64u << 16 | 9, 169u << 24 | 254u << 16 | 169u << 8 | 254,
                               80, 6, RefusalReason::reserved};
        const auto refusal = read(whole(packet()));
        CPPUNIT_ASSERT(refusal.has_value());
        CPPUNIT_ASSERT(expected == *refusal);
    }

    void testPortsAreReadWhereTheyAre() {
        CPPUNIT_ASSERT_EQUAL(uint16_t(80), read(whole(packet(17)))->port);
        CPPUNIT_ASSERT_EQUAL(uint16_t(80), read(whole(packet(6, 15)))->port);
        CPPUNIT_ASSERT_EQUAL(uint16_t(0), read(whole(packet(1)))->port);
        CPPUNIT_ASSERT_EQUAL(uint16_t(0), read(whole(packet(6, 5, 8)))->port);
        CPPUNIT_ASSERT_EQUAL(uint16_t(0), read(whole(packet().substr(0, 22)))->port);
    }

    void testWhatIsNoReport() {
        using namespace std::string_literals;
        const std::string good = whole(packet());
        for (size_t size = 0; size < good.size(); ++size)
            CPPUNIT_ASSERT(!read(good.substr(0, size)));
        const std::string prefix = attribute(NFULA_PREFIX, "reserved\0"s);
        CPPUNIT_ASSERT(!read(report(prefix)));
        CPPUNIT_ASSERT(!read(report(attribute(NFULA_PAYLOAD, packet()))));
        CPPUNIT_ASSERT(!read(report(attribute(NFULA_PREFIX, "another logger"s) +
                                    attribute(NFULA_PAYLOAD, packet()))));
        CPPUNIT_ASSERT(!read(report(prefix + attribute(NFULA_PAYLOAD, packet()), NLMSG_ERROR)));
        CPPUNIT_ASSERT(!read(whole(packet(6, 4))));
        CPPUNIT_ASSERT(!read(whole(packet(6, 15).substr(0, 40))));
        CPPUNIT_ASSERT(!read(whole("\x60" + packet().substr(1))));
        std::mt19937 random(1);
        for (int i = 0; i < 20'000; ++i) {
            std::string bad = good;
            for (int n = 0; n < 3; ++n) bad[random() % bad.size()] = static_cast<char>(random());
            read(bad);  // an address sanitizer would tell
        }
    }

    void testMessageComesBack() {
        Refusal refusal{0, 0xFFFFFFFF, 65535, 17, RefusalReason::flows};
        const std::string bytes = encode(TaskId{7}, refusal);
        Packet packet;
        packet.kind = MessageKind::refused;
        packet.items = bytes.substr(16);
        CPPUNIT_ASSERT(refusal == decodeRefusal(packet));
        refusal.name = "api.example";
        packet.items = encode(TaskId{7}, refusal).substr(16);
        CPPUNIT_ASSERT(refusal == decodeRefusal(packet));
    }

    void testTextsSayWhatToDo() {
        CPPUNIT_ASSERT_EQUAL(
            std::string("[platform] connection to 169.254.169.254:80 refused: metadata addresses "
                        "are closed to functions; sandbox.network.allow opens addresses"),
            refusalText(*read(whole(packet()))));
        const auto has = [](RefusalReason reason, uint8_t protocol, const char* part) {
            const std::string text = refusalText({0, 0x0A000001, 0, protocol, reason});
            CPPUNIT_ASSERT_MESSAGE(text, text.find(part) != std::string::npos);
        };
        has(RefusalReason::reserved, 17, "datagram to 10.0.0.1 refused: private and special");
        has(RefusalReason::reserved, 1, "packet to ");
        has(RefusalReason::list, 6, "network.allow");
        has(RefusalReason::denied, 6, "sandbox.network.deny");
        has(RefusalReason::machine, 6, "sandbox.network.allow");
        has(RefusalReason::platform, 6, "each other");
        has(RefusalReason::flows, 6, "sandbox.network.flows");
        has(static_cast<RefusalReason>(99), 6, "rules");
        CPPUNIT_ASSERT_EQUAL(
            std::string("[platform] name other.example refused: it is not in the function's "
                        "network.allow; add it there"),
            refusalText({.reason = RefusalReason::list, .name = "other.example"}));
    }

    // A rule that refuses without one would leave the function's author without a word.
    void testEveryRefusalHasAReason() {
        NetworkOptions options;
        options.deny = {"192.0.2.1"};
        const std::string router = routerRules({10u << 24 | 64u << 16, 20}, options, 40'000);
        const std::string silenced = "@silent";  // has no address to send from: connect(2) tells it
        for (const std::string& rules : {router, bind(1, {"192.0.2.1"})})
            for (size_t at = 0; (at = rules.find(" goto refuse", at)) != std::string::npos; ++at)
                if (rules.compare(at - silenced.size(), silenced.size(), silenced) != 0)
                    CPPUNIT_ASSERT_EQUAL('_', rules[at + 12]);
        for (const auto reason : {RefusalReason::list, RefusalReason::denied, RefusalReason::reserved,
                                  RefusalReason::platform, RefusalReason::machine,
                                  RefusalReason::flows})
            CPPUNIT_ASSERT(reasonOf(wordOf(reason)) == reason);
        const std::string silent = routerRules({10u << 24 | 64u << 16, 20}, options, 0);
        CPPUNIT_ASSERT(silent.find("log prefix") == std::string::npos);
        CPPUNIT_ASSERT(silent.find("refuse_reserved") != std::string::npos);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RefusalTest);

}  // namespace cf::sandbox::test
