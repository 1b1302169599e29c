// More wanted than there is: who keeps a worker, who gets one, who waits, when workers or memory
// run out.
#include <map>

#include "dispatcher_fixture.hpp"

namespace cf::workers::test {

constexpr uint64_t megabyte = 1u << 20;

class PlacesTest : public DispatcherFixture {
    CPPUNIT_TEST_SUITE(PlacesTest);
    CPPUNIT_TEST(aWorkerCountsAsWhatItUsed);
    CPPUNIT_TEST(memoryIsMadeByTheLongestIdleWorkers);
    CPPUNIT_TEST(minWorkersAreSpared);
    CPPUNIT_TEST(reservesOfOneFunctionStopNoOther);
    CPPUNIT_TEST(aWorkerThatChecksSourcesMakesRoom);
    CPPUNIT_TEST(withoutMemoryACallWaitsAndIsToldWhy);
    CPPUNIT_TEST(whatNobodyMeasuresCountsAsItsLimit);
    CPPUNIT_TEST(aWorkerLargerThanTheBudgetRunsAlone);
    CPPUNIT_TEST(whatFitsNowhereMakesNobodyLeaveOrWait);
    CPPUNIT_TEST(workersThatGrewMakeRoomWhenTheyAreIdle);
    CPPUNIT_TEST(aFloodedFunctionGivesWorkersBack);
    CPPUNIT_TEST(aFloodedFunctionDoesNotTakeTheLastWorkerOfABusyOne);
    CPPUNIT_TEST(moreFunctionsThanPlacesTakeTurns);
    CPPUNIT_TEST(afterTheStormTheNextCallWorksAtOnce);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        DispatcherFixture::setUp();
        options.prewarmed = 0;
    }

    void aWorkerCountsAsWhatItUsed() {
        options.memoryBytes = 200 * megabyte;
        eachUses(30);
        start();
        for (int i = 0; i < 6; ++i) wait(call(function(i)));  // limits: 6 x 128 MB
        turn(10ms);
        CPPUNIT_ASSERT_EQUAL(size_t{6}, bound().size());
        wait(call(function(6)));
        until([&] { return bound().size() == 6; }, "a worker to make room");
    }

    void memoryIsMadeByTheLongestIdleWorkers() {
        options.memoryBytes = 250 * megabyte;
        eachUses(100);
        start();
        wait(call(function(0)));
        wait(call(function(1)));
        wait(call(function(0)));  // 1 is idle for longer now
        CPPUNIT_ASSERT(wait(call(function(2))).kind == Outcome::Kind::result);
        wait(call(function(3)));  // 200 MB and an unknown one do fit; with three measured ones not
        until([&] { return bound().size() <= 3; }, "workers to make room");
        CPPUNIT_ASSERT(!launcher->workers[1]->alive);
    }

    void minWorkersAreSpared() {
        options.maxWorkers = 2;
        start();
        const auto kept = function(0);
        kept->minWorkers = 1;
        dispatcher->commit(kept);
        wait(call(kept));
        wait(call(function(1)));
        wait(call(function(2)));
        until([&] { return bound().size() == 2; }, "a worker to make room");
        CPPUNIT_ASSERT(launcher->workers[0]->alive);
        CPPUNIT_ASSERT(!launcher->workers[1]->alive);
    }

    void reservesOfOneFunctionStopNoOther() {
        options.maxWorkers = 4;
        start();
        const auto hog = target(1, "fn_hog");
        hog->minWorkers = 20;
        dispatcher->commit(hog);
        until([&] { return bound().size() == 4; }, "all places to be taken");
        for (int i = 0; i < 3; ++i)
            CPPUNIT_ASSERT(wait(call(function(i))).kind == Outcome::Kind::result);
        turn(3s);  // looks for what is missing of min_workers
        CPPUNIT_ASSERT(wait(call(function(3))).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(wait(call(hog)).kind == Outcome::Kind::result);
    }

    void aWorkerThatChecksSourcesMakesRoom() {
        options.maxWorkers = 1;
        start();
        CPPUNIT_ASSERT(static_cast<bool>(wait(check())));
        const auto answer = call(function(0));
        const auto second = check();  // while its worker is on its way out
        CPPUNIT_ASSERT(wait(answer).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(static_cast<bool>(wait(second)));
    }

    void withoutMemoryACallWaitsAndIsToldWhy() {
        options.memoryBytes = 100 * megabyte;
        options.queueTimeout = 50ms;
        launcher->onStart = [](FakeWorker& worker) {
            worker.autoAnswer = false;
            worker.uses(90 * megabyte);
        };
        start();
        const auto running = call(function(0));
        until([&] { return bound().size() == 1 && bound()[0]->calls.size() == 1; }, "a busy one");
        const auto refused = wait(call(function(1))).failure;
        CPPUNIT_ASSERT_EQUAL(std::string("platform_full"), refused.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("100 MB of memory for workers"), refused.limit);
        const auto waiting = call(function(1));
        launcher->onStart = {};
        bound().at(0)->answer(bound().at(0)->calls[0], "1");
        CPPUNIT_ASSERT(wait(waiting).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(wait(running).kind == Outcome::Kind::result);
    }

    void whatNobodyMeasuresCountsAsItsLimit() {
        options.memoryBytes = 300 * megabyte;
        start();
        for (int i = 0; i < 4; ++i) wait(call(function(i)));
        until([&] { return bound().size() == 2; }, "2 x 128 MB to be all");
    }

    void aWorkerLargerThanTheBudgetRunsAlone() {
        options.memoryBytes = 50 * megabyte;
        start();
        const auto large = function(0);
        large->memoryMb = 512;
        dispatcher->commit(large);
        CPPUNIT_ASSERT(wait(call(large)).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(wait(call(function(1))).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(wait(call(large)).kind == Outcome::Kind::result);
    }

    void whatFitsNowhereMakesNobodyLeaveOrWait() {
        options.memoryBytes = 300 * megabyte;
        launcher->onStart = [](FakeWorker& worker) {
            worker.uses(120 * megabyte);
            worker.autoAnswer = false;
        };
        start();
        const auto held = call(function(0));
        FakeWorker& busy = running();
        eachUses(10);
        for (int i = 1; i <= 3; ++i) wait(call(function(i)));
        const auto large = target(1, "fn_large");
        large->memoryMb = 880;  // a new one counts as a quarter
        large->timeout = 20s;
        large->minWorkers = 1;
        dispatcher->commit(large);
        turn(1500ms);
        const auto waits = call(large);
        turn(50ms);
        CPPUNIT_ASSERT(!waits->done);
        for (int i = 1; i <= 5; ++i)
            CPPUNIT_ASSERT(wait(call(function(i))).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT_EQUAL_MESSAGE("somebody was sent away in vain", size_t{6}, bound().size());
        busy.answer(busy.calls.at(0), "1");
        wait(held);
        CPPUNIT_ASSERT(wait(waits).kind == Outcome::Kind::result);
    }

    void workersThatGrewMakeRoomWhenTheyAreIdle() {
        options.memoryBytes = 200 * megabyte;
        eachUses(30);
        start();
        for (int i = 0; i < 4; ++i) wait(call(function(i)));
        turn(60ms);
        for (int i = 1; i < 4; ++i) {
            launcher->workers[static_cast<size_t>(i)]->uses(80 * megabyte);
            turn(60ms);  // between two looks at a worker's memory
            wait(call(function(i)));
        }
        until([&] { return bound().size() == 2; }, "those unused for the longest time to leave");
        CPPUNIT_ASSERT(launcher->workers[2]->alive && launcher->workers[3]->alive);
    }

    void aFloodedFunctionGivesWorkersBack() {
        options.maxWorkers = 4;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto flooded = function(0);
        for (int i = 0; i < 40; ++i) call(flooded);
        until([&] { return bound().size() == 4; }, "the flooded function to have it all");
        launcher->onStart = {};
        std::vector<std::shared_ptr<Answer>> others{call(function(1)), call(function(2))};
        turn(10ms);
        CPPUNIT_ASSERT(!others[0]->done && !others[1]->done);
        // Each place that they need comes from one answer of the flooded function.
        for (size_t i = 0; i < 2; ++i) {
            FakeWorker& worker = *launcher->workers[i];
            worker.answer(worker.calls[0], "1");
        }
        for (const auto& answer : others)
            CPPUNIT_ASSERT(wait(answer).kind == Outcome::Kind::result);
        turn(20ms);
        CPPUNIT_ASSERT(launcher->workers[2]->alive && launcher->workers[3]->alive);
        CPPUNIT_ASSERT(bound().size() <= 4);
    }

    void aFloodedFunctionDoesNotTakeTheLastWorkerOfABusyOne() {
        options.maxWorkers = 4;
        start();
        wait(call(function(1)));
        FakeWorker& steady = *bound().at(0);
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        const auto flooded = function(0);
        for (int i = 0; i < 40; ++i) call(flooded);
        until([&] { return bound().size() == 4; }, "the flooded function to have the rest");
        for (int round = 0; round < 5; ++round) {
            for (auto* worker : bound())
                if (worker != &steady && worker->answers < worker->calls.size())
                    worker->answer(worker->calls[worker->answers], "1");
            turn(10ms);
            CPPUNIT_ASSERT(!wait(call(function(1))).cold);
        }
        CPPUNIT_ASSERT(steady.alive);
        CPPUNIT_ASSERT_EQUAL(size_t{4}, launcher->workers.size());
    }

    void moreFunctionsThanPlacesTakeTurns() {
        options.maxWorkers = 1;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto flooded = function(0);
        for (int i = 0; i < 500; ++i) call(flooded);
        const auto other = call(function(1));
        size_t answered = 0;
        until(
            [&] {
                for (auto* worker : bound())
                    if (worker->answers < worker->calls.size()) {
                        worker->answer(worker->calls[worker->answers], "1");
                        ++answered;
                    }
                turn(2ms);
                return other->done;
            },
            "the other function's turn");
        CPPUNIT_ASSERT(other->kind == Outcome::Kind::result);
        CPPUNIT_ASSERT_MESSAGE("the flooded function had no turn of its own", answered > 20);
        CPPUNIT_ASSERT_MESSAGE("the other one waited for all of the flood", answered < 400);
        // And back again.
        until(
            [&] {
                for (auto* worker : bound())
                    if (worker->answers < worker->calls.size())
                        worker->answer(worker->calls[worker->answers], "1");
                return dispatcher->counts().queued == 0;
            },
            "the rest of the flood");
    }

    void afterTheStormTheNextCallWorksAtOnce() {
        options.maxWorkers = 2;
        options.queueSize = 20;
        start();
        std::vector<std::shared_ptr<Answer>> answers;
        for (int f = 0; f < 5; ++f)
            for (int i = 0; i < 50; ++i) answers.push_back(call(function(f)));
        for (const auto& answer : answers) {
            const auto got = wait(answer);
            CPPUNIT_ASSERT(got.kind == Outcome::Kind::result || got.failure.reason == "queue_full");
        }
        for (int f = 0; f < 5; ++f)
            CPPUNIT_ASSERT(wait(call(function(f))).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT_EQUAL(0u, dispatcher->counts().queued);
    }

private:
    std::shared_ptr<Target> function(int number) {
        auto& t = functions_[number];
        if (!t) {
            t = target(1, "fn_" + std::to_string(number));
            t->timeout = 20s;
            dispatcher->commit(t);
        }
        return t;
    }
    void eachUses(uint64_t megabytes) {
        launcher->onStart = [=](FakeWorker& worker) { worker.uses(megabytes * megabyte); };
    }

    std::map<int, std::shared_ptr<Target>> functions_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(PlacesTest);

}  // namespace cf::workers::test
