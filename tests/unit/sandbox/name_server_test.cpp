// The name server's process between sandboxes that ask and a name server of the machine, each an
// address of a loopback device of its own. Only where this user may make network namespaces.
#include "sandbox/name_server.hpp"

#include <arpa/inet.h>
#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "base/destination.hpp"
#include "sandbox/dns_message.hpp"
#include "sandbox/router.hpp"

namespace cf::sandbox::test {

class NameServerTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(NameServerTest);
    CPPUNIT_TEST(testManyQuestionsLeaveRoomForOthers);
    CPPUNIT_TEST(testNamesOutsideOfAListAreTold);
    CPPUNIT_TEST(testManyStreamsLeaveRoomForOthers);
    CPPUNIT_TEST_SUITE_END();

    static constexpr int patience = 5000;  // milliseconds; less than what a question may take
    static constexpr const char* server = "127.0.0.1";
    static constexpr const char* resolver = "127.0.0.2";

    static std::string sandbox(int number) { return "127.1.0." + std::to_string(number + 1); }
    static sockaddr_in at(const std::string& address, int port) {
        sockaddr_in place{};
        place.sin_family = AF_INET;
        place.sin_port = htons(static_cast<uint16_t>(port));
        place.sin_addr.s_addr = htonl(*base::parseAddress(address));
        return place;
    }
    base::UniqueFd open(const std::string& address, int port, int type) {
        base::UniqueFd socket;
        inNetwork(network_.get(), home_.get(),
                  [&] { socket.reset(::socket(AF_INET, type | SOCK_CLOEXEC, 0)); });
        const sockaddr_in own = at(address, port);
        CPPUNIT_ASSERT(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) ==
                       0);
        return socket;
    }
    static void connect(int socket) {
        const sockaddr_in to = at(server, 53);
        CPPUNIT_ASSERT(::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    }
    static std::string query(int id, const std::string& label, uint16_t type) {
        std::string text{
            static_cast<char>(id >> 8), static_cast<char>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
        text += static_cast<char>(label.size());
        return text + label + '\0' + std::string{'\0', static_cast<char>(type), '\0', '\1'};
    }
    // What the socket gets, "" when nothing comes.
    static std::string receive(int socket) {
        pollfd one{socket, POLLIN, 0};
        char buffer[4096];
        if (::poll(&one, 1, patience) != 1) return {};
        const ssize_t got = ::recv(socket, buffer, sizeof buffer, 0);
        return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : std::string();
    }
    bool isAsked(const std::string& label) {
        // Others are asked again and again meanwhile.
        for (std::string got = receive(resolver_.get()); !got.empty();
             got = receive(resolver_.get()))
            if (got.find(label) != std::string::npos) return true;
        return false;
    }

    base::UniqueFd home_, network_, control_, resolver_;
    pid_t pid_ = -1;

public:
    void setUp() override {
        home_.reset(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
        inNewNetwork(network_, home_.get(), [] {
            const base::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            ifreq request{};
            request.ifr_name[0] = 'l';
            request.ifr_name[1] = 'o';
            request.ifr_flags = IFF_UP | IFF_RUNNING;
            CPPUNIT_ASSERT(::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0);
        });
        if (!network_) return;
        resolver_ = open(resolver, 53, SOCK_DGRAM);
        const base::UniqueFd datagrams = open(server, 53, SOCK_DGRAM | SOCK_NONBLOCK);
        const base::UniqueFd streams = open(server, 53, SOCK_STREAM | SOCK_NONBLOCK);
        CPPUNIT_ASSERT(::listen(streams.get(), 128) == 0);
        int pair[2];
        CPPUNIT_ASSERT(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        control_.reset(pair[0]);
        const base::UniqueFd theirs(pair[1]);
        pid_ = ::fork();
        if (pid_ == 0) {
            if (::setns(network_.get(), CLONE_NEWNET) != 0) ::_exit(1);
            runNameServer(theirs.get(), datagrams.get(), streams.get());
        }
        const std::string packet =
            names::packet(names::kindResolvers, 0, std::string(resolver) + "\n");
        CPPUNIT_ASSERT(::send(control_.get(), packet.data(), packet.size(), 0) > 0);
    }
    void tearDown() override {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        pid_ = -1;
        for (auto* fd : {&home_, &network_, &control_, &resolver_}) fd->reset();
    }

    void testManyQuestionsLeaveRoomForOthers() {
        if (!network_) return;
        std::vector<base::UniqueFd> many;
        for (int number = 0; number < 16; ++number) {
            many.push_back(open(sandbox(number), 0, SOCK_DGRAM));
            connect(many.back().get());
            for (int id = 0; id < 64; ++id) {
                const std::string label =
                    "q" + std::to_string(number) + "-" + std::to_string(id) + "-";
                const std::string message = query(id, label, dns::typeAddress);
                ::send(many.back().get(), message.data(), message.size(), 0);
                CPPUNIT_ASSERT(isAsked(label));
            }
        }
        const auto other = open(sandbox(100), 0, SOCK_DGRAM);
        connect(other.get());
        const std::string message = query(1, "other", dns::typeAddress);
        ::send(other.get(), message.data(), message.size(), 0);
        CPPUNIT_ASSERT_MESSAGE("somebody else's question is asked", isAsked("other"));
        // The oldest one of those who had most was given up for it, and told.
        const std::string told = receive(many[0].get());
        CPPUNIT_ASSERT(told.size() > 4 && told[0] == 0 && told[1] == 0);
        CPPUNIT_ASSERT_EQUAL(int{dns::serverFailure}, told[3] & 0xF);
    }

    void testNamesOutsideOfAListAreTold() {
        if (!network_) return;
        const auto asker = open(sandbox(3), 0, SOCK_DGRAM);
        connect(asker.get());
        const auto ask = [&](const std::string& label, uint16_t type) {
            const std::string message = query(1, label, type);
            ::send(asker.get(), message.data(), message.size(), 0);
            return receive(asker.get());
        };
        const uint32_t address = *base::parseAddress(sandbox(3));
        const std::string allow = names::packet(names::kindAllow, address, "listed\n");
        CPPUNIT_ASSERT(::send(control_.get(), allow.data(), allow.size(), 0) > 0);
        CPPUNIT_ASSERT_EQUAL(int{dns::noSuchName}, ask("other", dns::typeAddress6).at(3) & 0xF);
        CPPUNIT_ASSERT_EQUAL(int{dns::noSuchName}, ask("other", dns::typeAddress).at(3) & 0xF);
        CPPUNIT_ASSERT_EQUAL(names::packet(names::kindRefused, address, "other"),
                             receive(control_.get()));
        for (int i = 0; i < 150; ++i) ask("n" + std::to_string(i), dns::typeAddress);
        // 40 at once and 20 a second, and this took no two seconds of the least patient machine.
        char buffer[512];
        int told = 0;
        while (::recv(control_.get(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) ++told;
        CPPUNIT_ASSERT_MESSAGE(std::to_string(told) + " told", told >= 30 && told < 150);
    }

    void testManyStreamsLeaveRoomForOthers() {
        if (!network_) return;
        std::vector<base::UniqueFd> many;
        for (int number = 0; number < 32; ++number)
            for (int i = 0; i < 8; ++i) {
                many.push_back(open(sandbox(number), 0, SOCK_STREAM));
                connect(many.back().get());
            }
        const auto other = open(sandbox(100), 0, SOCK_STREAM);
        connect(other.get());
        std::string message = query(7, "other", dns::typeAddress6);
        message = std::string{'\0', static_cast<char>(message.size())} + message;
        ::send(other.get(), message.data(), message.size(), MSG_NOSIGNAL);
        CPPUNIT_ASSERT_EQUAL(message.size(), receive(other.get()).size());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(NameServerTest);

}  // namespace cf::sandbox::test
