// What an idle worker may compute, with a file that says what Linux would say.
#include "sandbox/idle_work.hpp"

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "platform.hpp"

namespace cf::sandbox::test {

using namespace std::chrono_literals;

class IdleWorkTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(IdleWorkTest);
    CPPUNIT_TEST(testSpinningIsTooMuchAfterItsBurst);
    CPPUNIT_TEST(testItsShareIsNeverTooMuch);
    CPPUNIT_TEST(testSeldomBurstsAreForgiven);
    CPPUNIT_TEST(testCallsDoNotCount);
    CPPUNIT_TEST(testShortPausesBetweenCallsAddUp);
    CPPUNIT_TEST(testNanosecondsOfV1);
    CPPUNIT_TEST(testNothingIsKnown);
    CPPUNIT_TEST(testManyDivideWhatAllMayTake);
    CPPUNIT_TEST_SUITE_END();

    static constexpr IdleLimit share{0.2, IdleBudget::burst};

    struct Worker {
        TemporaryFolder folder{};
        std::string path = (folder.path / "cpu.stat").string();
        IdleWork work{};
        IdleWork::Clock::time_point now{};

        explicit Worker(const std::string& text = "usage_usec 1000\nuser_usec 900\n") {
            says(text);
            work.watch(base::UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
        }
        void says(const std::string& text) const {
            const base::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
            CPPUNIT_ASSERT(::write(file.get(), text.data(), text.size()) > 0);
        }
        // Time passes in which it computes at `cores`.
        void passes(std::chrono::microseconds time, double cores) {
            now += time;
            total += static_cast<long>(static_cast<double>(time.count()) * cores);
            says("usage_usec " + std::to_string(total) + "\nuser_usec 1\n");
        }
        bool isTooMuch() { return work.isTooMuch(now, share); }
        long total = 1000;
    };

    void testSpinningIsTooMuchAfterItsBurst() {
        Worker worker;
        CPPUNIT_ASSERT(!worker.isTooMuch());
        int seconds = 0;
        while (!worker.isTooMuch()) {
            CPPUNIT_ASSERT(++seconds < 10);
            worker.passes(1s, 1);
        }
        // 0.8 s a second beyond its share.
        CPPUNIT_ASSERT_EQUAL(3, seconds);
        CPPUNIT_ASSERT(worker.work.used() == 3s);
    }

    void testItsShareIsNeverTooMuch() {
        Worker worker;
        for (int i = 0; i < 1000; ++i) {
            CPPUNIT_ASSERT(!worker.isTooMuch());
            worker.passes(1s, 0.19);
        }
    }

    void testSeldomBurstsAreForgiven() {
        Worker worker;
        for (int i = 0; i < 100; ++i) {
            CPPUNIT_ASSERT(!worker.isTooMuch());
            worker.passes(1s, 1.9);
            for (int rest = 0; rest < 9; ++rest) {
                CPPUNIT_ASSERT(!worker.isTooMuch());
                worker.passes(1s, 0);
            }
        }
    }

    void testCallsDoNotCount() {
        Worker worker;
        for (int i = 0; i < 100; ++i) {
            CPPUNIT_ASSERT(!worker.isTooMuch());
            worker.passes(10ms, 0);
            worker.work.begins(worker.now, share);
            worker.passes(5s, 2);
        }
    }

    void testShortPausesBetweenCallsAddUp() {
        Worker worker;
        int calls = 0;
        while (!worker.isTooMuch()) {
            CPPUNIT_ASSERT(++calls < 100);
            worker.passes(200ms, 2);
            worker.work.begins(worker.now, share);
            worker.passes(1s, 0);
        }
        CPPUNIT_ASSERT(calls > 5);
    }

    void testNanosecondsOfV1() {
        Worker worker("1000000\n");
        CPPUNIT_ASSERT(!worker.isTooMuch());
        worker.now += 1s;
        worker.says("3200000000\n");
        CPPUNIT_ASSERT(worker.isTooMuch());
        CPPUNIT_ASSERT(worker.work.used() == 3'199'000us);
    }

    // On 2 cores, 40 workers that spin get a twentieth of a core each, less than each may have.
    void testManyDivideWhatAllMayTake() {
        IdleBudget budget(0.2, 0.25);
        std::vector<std::unique_ptr<Worker>> spinning;
        for (int i = 0; i < 40; ++i) spinning.push_back(std::make_unique<Worker>());
        Worker honest;
        int seconds = 0, ended = 0;
        for (; ended == 0; ++seconds) {
            CPPUNIT_ASSERT(seconds < 30);
            for (auto& worker : spinning) {
                worker->passes(1s, 0.05);
                ended += worker->work.isTooMuch(worker->now, budget.limit()) ? 1 : 0;
                budget.note(worker->work.rate());
            }
            honest.passes(1s, 0.005);
            CPPUNIT_ASSERT(!honest.work.isTooMuch(honest.now, budget.limit()));
            budget.note(honest.work.rate());
            budget.endRound();
        }
        CPPUNIT_ASSERT_EQUAL(40, ended);
        CPPUNIT_ASSERT_EQUAL(0.03, budget.limit().share);
        budget.endRound();
        CPPUNIT_ASSERT_EQUAL(0.2, budget.limit().share);
        CPPUNIT_ASSERT(budget.limit().burst == IdleBudget::burst);
    }

    void testNothingIsKnown() {
        IdleWork without;
        CPPUNIT_ASSERT(!without.isTooMuch({}, share));
        CPPUNIT_ASSERT(!without.isTooMuch(IdleWork::Clock::time_point(1h), share));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(IdleWorkTest);

}  // namespace cf::sandbox::test
