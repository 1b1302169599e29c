// Deadlines in order, cancelled ones never, however many there are.
#include "base/timers.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <string>

namespace cf::base {

using std::chrono::milliseconds;

class TimersTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(TimersTest);
    CPPUNIT_TEST(testOrder);
    CPPUNIT_TEST(testCancel);
    CPPUNIT_TEST(testTasksMayAddAndCancel);
    CPPUNIT_TEST(testWait);
    CPPUNIT_TEST(testManyCancelled);
    CPPUNIT_TEST_SUITE_END();

    Timers timers_;
    const Timers::Clock::time_point start_ = Timers::Clock::now();
    std::string seen_;
    TimerId add(int ms, char mark) {
        return timers_.add(start_ + milliseconds(ms), [this, mark] { seen_ += mark; });
    }

public:
    void testOrder() {
        add(30, 'c');
        add(10, 'a');
        add(20, 'b');
        add(10, 'A');
        timers_.run(start_ + milliseconds(9));
        CPPUNIT_ASSERT_EQUAL(std::string(), seen_);
        timers_.run(start_ + milliseconds(20));
        CPPUNIT_ASSERT_EQUAL(std::string("aAb"), seen_);
        timers_.run(start_ + milliseconds(100));
        timers_.run(start_ + milliseconds(200));
        CPPUNIT_ASSERT_EQUAL(std::string("aAbc"), seen_);
    }

    void testCancel() {
        const TimerId first = add(1, 'a');
        add(2, 'b');
        timers_.cancel(first);
        timers_.cancel(first);
        timers_.cancel(0);
        timers_.cancel(9999);
        timers_.run(start_ + milliseconds(5));
        CPPUNIT_ASSERT_EQUAL(std::string("b"), seen_);
    }

    void testTasksMayAddAndCancel() {
        TimerId victim = 0;
        timers_.add(start_, [&] {
            seen_ += '1';
            timers_.cancel(victim);
            add(0, '2');
            add(50, '3');
        });
        victim = add(1, 'x');
        timers_.run(start_ + milliseconds(2));
        CPPUNIT_ASSERT_EQUAL(std::string("12"), seen_);
        timers_.run(start_ + milliseconds(50));
        CPPUNIT_ASSERT_EQUAL(std::string("123"), seen_);
    }

    void testWait() {
        CPPUNIT_ASSERT_EQUAL(-1, timers_.waitMs(start_));
        const TimerId soon = add(5, 'a');
        CPPUNIT_ASSERT_EQUAL(5, timers_.waitMs(start_));
        CPPUNIT_ASSERT_EQUAL(1, timers_.waitMs(start_ + std::chrono::microseconds(4100)));
        CPPUNIT_ASSERT_EQUAL(0, timers_.waitMs(start_ + milliseconds(9)));
        add(90'000'000, 'b');
        timers_.cancel(soon);
        CPPUNIT_ASSERT_EQUAL(60'000, timers_.waitMs(start_));
    }

    void testManyCancelled() {
        add(10, 'a');
        for (int i = 0; i < 100'000; ++i) timers_.cancel(add(1000 + i, 'x'));
        const TimerId kept = add(20, 'b');
        CPPUNIT_ASSERT(kept != 0);
        timers_.run(start_ + std::chrono::hours(1));
        CPPUNIT_ASSERT_EQUAL(std::string("ab"), seen_);
        CPPUNIT_ASSERT_EQUAL(-1, timers_.waitMs(start_));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TimersTest);

}  // namespace cf::base
