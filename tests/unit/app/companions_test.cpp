// Companion services: how each is found to be, and that nobody waits for them.
#include "app/companions.hpp"

#include <arpa/inet.h>
#include <cppunit/extensions/HelperMacros.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>

#include "base/unique_fd.hpp"

namespace cf::app::test {

namespace {

using namespace std::chrono_literals;

// Answers every connection with `answer`, and then a byte now and then for ever if it is to drip.
class Service {
public:
    explicit Service(std::string answer, bool drips = false) : answer_(std::move(answer)), drips_(drips) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        CPPUNIT_ASSERT_EQUAL(0, ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size));
        CPPUNIT_ASSERT_EQUAL(0, ::listen(listener_.get(), 8));
        CPPUNIT_ASSERT_EQUAL(0, ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size));
        url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
        thread_ = std::thread([this] { serve(); });
    }
    ~Service() {
        over_ = true;
        ::shutdown(listener_.get(), SHUT_RDWR);
        thread_.join();
    }
    const std::string& url() const { return url_; }

private:
    void serve() {
        for (;;) {
            const base::UniqueFd connection(::accept(listener_.get(), nullptr, nullptr));
            if (!connection) return;
            char request[1024];
            static_cast<void>(::recv(connection.get(), request, sizeof request, 0));
            static_cast<void>(::send(connection.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL));
            while (drips_ && !over_ && ::send(connection.get(), "x", 1, MSG_NOSIGNAL) == 1) std::this_thread::sleep_for(100ms);
        }
    }

    const std::string answer_;
    const bool drips_;
    base::UniqueFd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::string url_;
    std::atomic<bool> over_{false};
    std::thread thread_;
};

std::map<std::string, std::string> onceKnown(const Companions& companions) {
    for (;;) {
        std::map<std::string, std::string> known;
        for (const auto& [name, state] : companions.states())
            if (state != "unknown") known[name] = state;
        if (known.size() == companions.states().size()) return known;
        std::this_thread::sleep_for(5ms);
    }
}

}  // namespace

class CompanionsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CompanionsTest);
    CPPUNIT_TEST(eachIsFoundAsItIs);
    CPPUNIT_TEST(nobodyWaitsForOneThatHangs);
    CPPUNIT_TEST_SUITE_END();

public:
    void eachIsFoundAsItIs() {
        const Service well("HTTP/1.1 204 No Content\r\n\r\n"), missing("HTTP/1.0 404 Not Found\r\n\r\n"), ill("HTTP/1.1 503 Service Unavailable\r\n\r\n"),
            other("SSH-2.0-OpenSSH_9.2\r\n"), silent("");
        Companions companions({{"well", well.url() + "health?x=1"}, {"missing", missing.url()}, {"ill", ill.url()}, {"other", other.url()},
                               {"silent", silent.url()}, {"gone", "http://127.0.0.1:1"}, {"nowhere", "http://[::1]:1/"}});
        companions.start();
        const std::map<std::string, std::string> expected{{"well", "running"}, {"missing", "running"}, {"ill", "unreachable"}, {"other", "unreachable"},
                                                          {"silent", "unreachable"}, {"gone", "unreachable"}, {"nowhere", "unreachable"}};
        CPPUNIT_ASSERT(expected == onceKnown(companions));
    }

    void nobodyWaitsForOneThatHangs() {
        const Service dripping("HTTP/1.1 200 ", true);
        Companions companions({{"a", dripping.url()}, {"b", dripping.url()}, {"c", dripping.url()}, {"d", dripping.url()}, {"e", dripping.url()}});
        companions.start();
        const auto began = std::chrono::steady_clock::now();
        CPPUNIT_ASSERT_EQUAL(std::string("unknown"), companions.states().at(4).second);
        // Each is given two seconds, so the last one is not asked yet.
        companions.stop();
        CPPUNIT_ASSERT(std::chrono::steady_clock::now() - began < 5s);
        CPPUNIT_ASSERT_EQUAL(std::string("unknown"), companions.states().at(4).second);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CompanionsTest);

}  // namespace cf::app::test
