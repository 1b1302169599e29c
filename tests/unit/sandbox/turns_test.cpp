// A bounded amount of work a tick, whoever makes how much of it.
#include "sandbox/turns.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <map>

namespace cf::sandbox::test {

class TurnsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(TurnsTest);
    CPPUNIT_TEST(testEverybodyOnceWhereThereIsTime);
    CPPUNIT_TEST(testALongOneDelaysNobodyForEver);
    CPPUNIT_TEST(testUnfinishedGoOnFirst);
    CPPUNIT_TEST(testTasksComeAndGo);
    CPPUNIT_TEST_SUITE_END();

    void testEverybodyOnceWhereThereIsTime() {
        Turns turns(100);
        std::map<uint64_t, int> looks;
        for (int tick = 0; tick < 3; ++tick)
            turns.tick({3, 5, 9}, [&](uint64_t task, int64_t) {
                ++looks[task];
                return Turns::Look{10};
            });
        CPPUNIT_ASSERT((looks == std::map<uint64_t, int>{{3, 3}, {5, 3}, {9, 3}}));
    }

    void testALongOneDelaysNobodyForEver() {
        Turns turns(100);
        std::map<uint64_t, int> looks;
        int64_t work = 0;
        for (int tick = 0; tick < 120; ++tick)
            turns.tick({1, 2, 3}, [&](uint64_t task, int64_t) {
                ++looks[task];
                work += task == 2 ? 1000 : 1;
                return Turns::Look{task == 2 ? 1000 : 1};
            });
        CPPUNIT_ASSERT(work <= 120 * 100 + 1000);
        CPPUNIT_ASSERT(looks[1] >= 10 && looks[2] >= 10 && looks[3] >= 10);
    }

    void testUnfinishedGoOnFirst() {
        Turns turns(100);
        std::vector<uint64_t> order;
        int64_t left = 250;
        for (int tick = 0; tick < 3; ++tick)
            turns.tick({1, 2}, [&](uint64_t task, int64_t units) {
                order.push_back(task);
                if (task == 2) return Turns::Look{1};
                const int64_t taken = std::min(units, left);
                left -= taken;
                return Turns::Look{taken, left > 0};
            });
        CPPUNIT_ASSERT((order == std::vector<uint64_t>{1, 1, 1, 2}));
    }

    void testTasksComeAndGo() {
        Turns turns(1);
        std::vector<uint64_t> order;
        const auto look = [&](uint64_t task, int64_t) {
            order.push_back(task);
            return Turns::Look{1};
        };
        turns.tick({}, look);
        turns.tick({4, 8}, look);
        turns.tick({2, 9}, look);
        turns.tick({2}, look);
        CPPUNIT_ASSERT((order == std::vector<uint64_t>{4, 9, 2}));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TurnsTest);

}  // namespace cf::sandbox::test
