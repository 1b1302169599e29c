// Descriptors, timers and posts on one thread; watchers that end each other.
#include "base/event_loop.hpp"

#include <cppunit/extensions/HelperMacros.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <string>
#include <thread>

namespace {

// As when somebody else has used up fs.epoll.max_user_watches.
std::atomic<bool> noRoomForWatches{false};

}  // namespace

// Stands before the C library's in this program.
extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
    if (noRoomForWatches && operation == EPOLL_CTL_ADD) {
        errno = ENOSPC;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}

namespace cf::base {

using std::chrono::milliseconds;

namespace {

struct Pair {
    UniqueFd near, far;
    Pair() {
        int fds[2];
        CPPUNIT_ASSERT_EQUAL(
            0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
        near.reset(fds[0]);
        far.reset(fds[1]);
    }
};

struct Told final : Watcher {
    std::function<void(uint32_t)> task;
    int times = 0;
    void onEvents(uint32_t events) override {
        ++times;
        if (task) task(events);
    }
};

}  // namespace

class EventLoopTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(EventLoopTest);
    CPPUNIT_TEST(testPostsInOrder);
    CPPUNIT_TEST(testPostsFromManyThreads);
    CPPUNIT_TEST(testPostsFromPosts);
    CPPUNIT_TEST(testEvents);
    CPPUNIT_TEST(testRewatch);
    CPPUNIT_TEST(testWhoHasTheFirstTurnIsToldFirst);
    CPPUNIT_TEST(testUnwatchedHearsNothing);
    CPPUNIT_TEST(testTimers);
    CPPUNIT_TEST(testRoundEnd);
    CPPUNIT_TEST(testLoopThread);
    CPPUNIT_TEST_SUITE_END();

protected:
    EventLoop loop_;
    void run() {
        const TimerId guard = loop_.after(std::chrono::seconds(10), [this] { loop_.stop(); });
        loop_.run();
        loop_.cancel(guard);
    }

public:
    void testPostsInOrder() {
        std::string seen;
        for (const char c : {'a', 'b', 'c'}) loop_.post([&seen, c] { seen += c; });
        loop_.post([this] { loop_.stop(); });
        run();
        CPPUNIT_ASSERT_EQUAL(std::string("abc"), seen);
    }

    void testPostsFromManyThreads() {
        constexpr int threads = 4, posts = 5000;
        int seen = 0;
        std::vector<std::thread> posters;
        for (int t = 0; t < threads; ++t)
            posters.emplace_back([&] {
                for (int i = 0; i < posts; ++i)
                    loop_.post([&] {
                        if (++seen == threads * posts) loop_.stop();
                    });
            });
        run();
        for (auto& poster : posters) poster.join();
        CPPUNIT_ASSERT_EQUAL(threads * posts, seen);
    }

    void testPostsFromPosts() {
        int left = 1000;
        std::function<void()> again = [&] {
            if (--left == 0)
                loop_.stop();
            else
                loop_.post(again);
        };
        loop_.post(again);
        run();
        CPPUNIT_ASSERT_EQUAL(0, left);
    }

    void testEvents() {
        Pair pair;
        Told told;
        uint32_t events = 0;
        told.task = [&](uint32_t mask) {
            events = mask;
            loop_.stop();
        };
        loop_.watch(pair.near.get(), EPOLLIN, &told);
        CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::write(pair.far.get(), "x", 1));
        run();
        CPPUNIT_ASSERT_EQUAL(uint32_t{EPOLLIN}, events);
        loop_.unwatch(pair.near.get(), &told);
    }

    void testRewatch() {
        Pair pair;
        Told told;
        std::string seen;
        told.task = [&](uint32_t mask) {
            if ((mask & EPOLLOUT) != 0) {
                seen += 'o';
                loop_.rewatch(pair.near.get(), EPOLLIN, &told);
                CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::write(pair.far.get(), "x", 1));
            } else {
                seen += 'i';
                loop_.stop();
            }
        };
        loop_.watch(pair.near.get(), EPOLLOUT, &told);
        run();
        CPPUNIT_ASSERT_EQUAL(std::string("oi"), seen);
        loop_.unwatch(pair.near.get(), &told);
    }

    // Both are ready in the same round; the first to hear ends the other for good.
    void testWhoHasTheFirstTurnIsToldFirst() {
        Pair usual, early;
        Told second, first;
        std::string seen;
        const auto note = [&](const Pair& pair, char name) {
            return [&, name](uint32_t) {
                char byte;
                CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::recv(pair.near.get(), &byte, 1, 0));
                seen += name;
                if (seen.size() == 4) loop_.stop();
            };
        };
        second.task = note(usual, 'u');
        first.task = note(early, 'f');
        loop_.watch(usual.near.get(), EPOLLIN, &second);
        loop_.watch(early.near.get(), EPOLLIN, &first, EventLoop::Turn::first);
        for (int round = 0; round < 2; ++round)
            for (const Pair* pair : {&usual, &early})
                CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::send(pair->far.get(), "x", 1, 0));
        run();
        CPPUNIT_ASSERT_EQUAL(std::string("fufu"), seen);
        loop_.unwatch(usual.near.get(), &second);
        loop_.unwatch(early.near.get(), &first);
    }

    void testUnwatchedHearsNothing() {
        Pair first, second;
        auto a = std::make_unique<Told>(), b = std::make_unique<Told>();
        int heard = 0;
        const auto end = [&](Pair& pair, std::unique_ptr<Told>& other) {
            ++heard;
            loop_.unwatch(pair.near.get(), other.get());
            other.reset();
            loop_.after(milliseconds(30), [this] { loop_.stop(); });
        };
        a->task = [&](uint32_t) {
            char c;
            CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::read(first.near.get(), &c, 1));
            end(second, b);
        };
        b->task = [&](uint32_t) {
            char c;
            CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::read(second.near.get(), &c, 1));
            end(first, a);
        };
        loop_.watch(first.near.get(), EPOLLIN, a.get());
        loop_.watch(second.near.get(), EPOLLIN, b.get());
        CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::write(first.far.get(), "x", 1));
        CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::write(second.far.get(), "x", 1));
        run();
        CPPUNIT_ASSERT_EQUAL(1, heard);
        if (a) loop_.unwatch(first.near.get(), a.get());
        if (b) loop_.unwatch(second.near.get(), b.get());
    }

    void testTimers() {
        const auto start = EventLoop::Clock::now();
        std::string seen;
        loop_.after(milliseconds(60), [&] {
            seen += 'c';
            loop_.stop();
        });
        loop_.after(milliseconds(20), [&] { seen += 'a'; });
        const TimerId cancelled = loop_.after(milliseconds(30), [&] { seen += 'x'; });
        loop_.after(milliseconds(25), [&] { loop_.cancel(cancelled); });
        run();
        CPPUNIT_ASSERT_EQUAL(std::string("ac"), seen);
        CPPUNIT_ASSERT(EventLoop::Clock::now() - start >= milliseconds(60));
    }

    // Once, after what the round brought, and what a round end asks for still belongs to the same
    // round.
    void testRoundEnd() {
        std::string seen;
        loop_.after(milliseconds(10), [&] {
            loop_.atRoundEnd([&] {
                seen += 'b';
                loop_.atRoundEnd([&] { seen += 'c'; });
            });
            loop_.post([&] {
                seen += 'd';
                loop_.stop();
            });
            seen += 'a';
        });
        run();
        CPPUNIT_ASSERT_EQUAL(std::string("abcd"), seen);
    }

    void testLoopThread() {
        CPPUNIT_ASSERT(!loop_.isLoopThread());
        bool inside = false, outside = true;
        loop_.post([&] {
            inside = loop_.isLoopThread();
            std::thread([&] { outside = loop_.isLoopThread(); }).join();
            loop_.stop();
        });
        run();
        CPPUNIT_ASSERT(inside);
        CPPUNIT_ASSERT(!outside);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(EventLoopTest);

// All of it where epoll takes none of the descriptors.
class FullEventLoopTest : public EventLoopTest {
    CPPUNIT_TEST_SUB_SUITE(FullEventLoopTest, EventLoopTest);
    CPPUNIT_TEST(testALoopThatIsMadeThen);
    CPPUNIT_TEST(testRoomComesBack);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { noRoomForWatches = true; }
    void tearDown() override { noRoomForWatches = false; }

    void testALoopThatIsMadeThen() {
        EventLoop loop;
        int seen = 0;
        std::thread poster([&] { loop.post([&] { ++seen, loop.stop(); }); });
        loop.run();
        poster.join();
        CPPUNIT_ASSERT_EQUAL(1, seen);
    }

    // Told once for each byte, whether epoll or poll says so.
    void testRoomComesBack() {
        Pair pair;
        Told told;
        const auto write = [&] {
            CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::write(pair.far.get(), "x", 1));
        };
        told.task = [&](uint32_t) {
            char byte;
            CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::read(pair.near.get(), &byte, 1));
            loop_.stop();
        };
        loop_.watch(pair.near.get(), EPOLLIN, &told);
        for (int round = 1; round <= 4; ++round) {
            if (round == 3) {
                noRoomForWatches = false;
                std::this_thread::sleep_for(milliseconds(1100));  // until it is tried again
            }
            write();
            run();
            CPPUNIT_ASSERT_EQUAL(round, told.times);
        }
        loop_.unwatch(pair.near.get(), &told);
        write();
        loop_.after(milliseconds(20), [this] { loop_.stop(); });
        run();
        CPPUNIT_ASSERT_EQUAL(4, told.times);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FullEventLoopTest);

}  // namespace cf::base
