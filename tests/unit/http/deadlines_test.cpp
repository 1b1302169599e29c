// The wheel: never early, at most a tick late, whatever is moved, removed or added meanwhile.
#include "http/deadlines.hpp"

#include <thread>

#include "support.hpp"

namespace cf::http {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Entry final : DeadlineEntry {
    std::function<void()> task{};
    int fired = 0;
    Clock::time_point at{};
    void onDeadline() override {
        ++fired;
        at = Clock::now();
        if (task) task();
    }
};

}  // namespace

class DeadlinesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(DeadlinesTest);
    CPPUNIT_TEST(testNeverEarly);
    CPPUNIT_TEST(testMoved);
    CPPUNIT_TEST(testClearedAndRemoved);
    CPPUNIT_TEST(testRemovalOfOthers);
    CPPUNIT_TEST(testSetAgainWhenFired);
    CPPUNIT_TEST(testALateTurnEnds);
    CPPUNIT_TEST_SUITE_END();

    base::EventLoop loop_;
    void runFor(milliseconds time) {
        loop_.after(time, [this] { loop_.stop(); });
        loop_.run();
    }

public:
    void testNeverEarly() {
        Deadlines deadlines(loop_);
        const auto start = Clock::now();
        std::vector<Entry> entries(20);
        for (size_t i = 0; i < entries.size(); ++i)
            deadlines.set(entries[i], start + milliseconds(i * 13));
        runFor(milliseconds(500));
        for (size_t i = 0; i < entries.size(); ++i) {
            CPPUNIT_ASSERT_EQUAL(1, entries[i].fired);
            CPPUNIT_ASSERT(entries[i].at >= start + milliseconds(i * 13));
        }
    }

    void testMoved() {
        Deadlines deadlines(loop_);
        const auto start = Clock::now();
        Entry later, sooner, farAway;
        deadlines.set(later, start + milliseconds(20));
        deadlines.set(later, start + milliseconds(200));
        deadlines.set(sooner, start + std::chrono::hours(2));
        deadlines.set(sooner, start + milliseconds(100));
        deadlines.set(farAway, start + std::chrono::hours(2));
        runFor(milliseconds(500));
        CPPUNIT_ASSERT_EQUAL(1, later.fired);
        CPPUNIT_ASSERT(later.at >= start + milliseconds(200));
        CPPUNIT_ASSERT_EQUAL(1, sooner.fired);
        CPPUNIT_ASSERT(sooner.at < later.at);
        CPPUNIT_ASSERT_EQUAL(0, farAway.fired);
        deadlines.remove(farAway);
    }

    void testClearedAndRemoved() {
        Deadlines deadlines(loop_);
        Entry cleared, removed, never, again;
        for (Entry* entry : {&cleared, &removed, &again})
            deadlines.set(*entry, Clock::now() + milliseconds(50));
        deadlines.clear(cleared);
        deadlines.remove(removed);
        deadlines.remove(removed);
        deadlines.remove(never);
        deadlines.clear(again);
        deadlines.set(again, Clock::now() + milliseconds(60));
        runFor(milliseconds(300));
        CPPUNIT_ASSERT_EQUAL(0, cleared.fired + removed.fired + never.fired);
        CPPUNIT_ASSERT_EQUAL(1, again.fired);
    }

    void testRemovalOfOthers() {
        Deadlines deadlines(loop_);
        std::vector<std::unique_ptr<Entry>> entries(3);
        const auto due = Clock::now() + milliseconds(50);
        int fired = 0;
        for (auto& entry : entries) {
            entry = std::make_unique<Entry>();
            deadlines.set(*entry, due);
        }
        for (size_t i = 0; i < entries.size(); ++i)
            entries[i]->task = [&, i] {
                ++fired;
                for (size_t other = 0; other < entries.size(); ++other)
                    if (other != i && entries[other]) {
                        deadlines.remove(*entries[other]);
                        entries[other].reset();
                    }
            };
        runFor(milliseconds(300));
        CPPUNIT_ASSERT_EQUAL(1, fired);
    }

    void testSetAgainWhenFired() {
        Deadlines deadlines(loop_);
        Entry entry;
        entry.task = [&] { deadlines.set(entry, Clock::now() + milliseconds(30)); };
        deadlines.set(entry, Clock::now());
        runFor(milliseconds(600));
        CPPUNIT_ASSERT(entry.fired >= 3);
        deadlines.remove(entry);
    }

    // The only entry, with a deadline that is further away than the wheel is long, met by a loop
    // that was held up: it must go to another slot than the one that is being emptied.
    void testALateTurnEnds() {
        for (milliseconds late{0}; late <= milliseconds(200); late += milliseconds(10)) {
            base::EventLoop loop;
            Deadlines deadlines(loop);
            Entry entry;
            deadlines.set(entry, Clock::now() + milliseconds(40));
            deadlines.set(entry, Clock::now() + Deadlines::tick * 2 * Deadlines::slots);
            loop.post([&] { std::this_thread::sleep_for(milliseconds(60) + late); });
            loop.after(milliseconds(250) + late, [&] { loop.stop(); });
            loop.run();
            CPPUNIT_ASSERT_EQUAL(0, entry.fired);
            deadlines.remove(entry);
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DeadlinesTest);

}  // namespace cf::http
