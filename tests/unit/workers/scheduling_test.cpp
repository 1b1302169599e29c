// When workers start and what waits where: calls of mixed length, bursts on cold functions, workers
// that are kept.
#include "dispatcher_fixture.hpp"

namespace cf::workers::test {

class SchedulingTest : public DispatcherFixture {
    CPPUNIT_TEST_SUITE(SchedulingTest);
    CPPUNIT_TEST(shortCallsDoNotWaitForLongOnesThatAlternateWithThem);
    CPPUNIT_TEST(aRareLongCallMakesFewerWaitBehindTheNextOne);
    CPPUNIT_TEST(onACrowdedMachineAShortFunctionKeepsToTheCores);
    CPPUNIT_TEST(aWorkerBeyondTheCoresRestsAndLeaves);
    CPPUNIT_TEST(howCrowdedTheMachineIs);
    CPPUNIT_TEST(tenCallsOfAColdFunctionStartTenWorkersAtMost);
    CPPUNIT_TEST(concurrencyDividesTheWorkersOfABurst);
    CPPUNIT_TEST(manyColdFunctionsStartAFewAtOnce);
    CPPUNIT_TEST(refillsComeAfterWhatCallsWaitFor);
    CPPUNIT_TEST(aRuntimeHasItsOwnNumberOfPrewarmedWorkers);
    CPPUNIT_TEST(aWorkerThatWaitsForItsTurnLosesNoneOfItsInitTimeout);
    CPPUNIT_TEST(aColdFunctionRemovedBeforeItsTurnStartsNothing);
    CPPUNIT_TEST(startsThatNobodyWaitsForAreWithdrawn);
    CPPUNIT_TEST(functionsTakeTurnsToStart);
    CPPUNIT_TEST(loadsThatFailTogetherCountOnce);
    CPPUNIT_TEST(minWorkersAreStartedAndKept);
    CPPUNIT_TEST_SUITE_END();

public:
    void shortCallsDoNotWaitForLongOnesThatAlternateWithThem() {
        launcher->onStart = holdLong;
        start();
        const auto t = target();
        t->timeout = 10s;
        dispatcher->commit(t);
        for (int i = 0; i < 200; ++i) wait(call(t));  // short so far: as deep as it gets
        for (int round = 0; round < 10; ++round) {
            const auto slow = call(t, R"("long")");
            turn(6ms);  // the first round: until it counts as long
            std::vector<std::shared_ptr<Answer>> quick;
            for (int i = 0; i < 4; ++i) quick.push_back(call(t));
            for (const auto& answer : quick) wait(answer);
            CPPUNIT_ASSERT(!slow->done);
            turn(12ms);
            answerHeld();
            wait(slow);
        }
    }

    void aRareLongCallMakesFewerWaitBehindTheNextOne() {
        options.cores = 1;
        launcher->onStart = holdLong;
        start();
        const auto t = target();
        t->timeout = 10s;
        dispatcher->commit(t);
        const auto behindALongOne = [&] {
            for (int i = 0; i < 60; ++i) wait(call(t));
            FakeWorker& worker = *bound().at(0);
            const size_t before = worker.calls.size();
            std::vector<std::shared_ptr<Answer>> all{call(t, R"("long")")};
            for (int i = 0; i < 10; ++i) all.push_back(call(t));
            turn(30ms);
            const size_t behind = worker.calls.size() - before - 1;
            answerHeld();
            for (const auto& answer : all) wait(answer);
            while (bound().size() > 1) {  // the one that helped out
                bound().back()->end({.exitCode = 0});
                turn(5ms);
            }
            return behind;
        };
        const size_t first = behindALongOne();
        CPPUNIT_ASSERT_MESSAGE("the function was taken for a short one", first >= 5);
        const size_t second = behindALongOne();
        CPPUNIT_ASSERT_MESSAGE(std::to_string(second) + " waited", second <= first / 2);
        CPPUNIT_ASSERT(behindALongOne() <= 1);
    }

    // Both workers lose their cores in the middle of a call, and 20 calls wait.
    void onACrowdedMachineAShortFunctionKeepsToTheCores() {
        const auto t = shortFunctionWithTwoWorkers();
        crowd = 8;
        for (int round = 0; round < 3; ++round) {
            const auto late = bothHeld(t);
            std::vector<std::shared_ptr<Answer>> waiting;
            for (int i = 0; i < 20; ++i) waiting.push_back(call(t));
            turn(15ms);
            CPPUNIT_ASSERT_EQUAL(size_t{2}, bound().size());
            answerHeld();
            for (const auto& answer : waiting) wait(answer);
            for (const auto& answer : late) wait(answer);
        }
        CPPUNIT_ASSERT_EQUAL(size_t{2}, bound().size());
    }

    void aWorkerBeyondTheCoresRestsAndLeaves() {
        options.surplusKeepAlive = 50ms;
        const auto t = shortFunctionWithTwoWorkers();
        const auto slow = bothHeld(t);
        turn(6ms);  // until they count as long
        CPPUNIT_ASSERT(wait(call(t)).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT_MESSAGE("who helps?", bound().size() > 2);
        for (const auto& answer : slow) CPPUNIT_ASSERT(!answer->done);
        answerHeld();
        for (const auto& answer : slow) wait(answer);
        for (int i = 0; i < 40; ++i) wait(call(t));

        crowd = 20;  // nobody counts as stuck
        bothHeld(t);
        size_t before = 0, after = 0;
        for (auto* worker : bound()) before += worker->load() == 0 ? 1 : 0;
        call(t);
        turn(2ms);
        for (auto* worker : bound()) after += worker->load() == 0 ? 1 : 0;
        CPPUNIT_ASSERT_EQUAL(before, after);
        answerHeld();
        until([&] { return bound().size() == 2; }, "the others to leave");
    }

    void howCrowdedTheMachineIs() {
        const auto perCore = [](const char* text) { return Crowding::perCore(text, 2); };
        CPPUNIT_ASSERT_EQUAL(3.5, perCore("0.20 0.18 0.12 7/80 11206\n"));
        CPPUNIT_ASSERT_EQUAL(1.0, perCore("0.20 0.18 0.12 1/80 11206\n"));
        CPPUNIT_ASSERT_EQUAL(Crowding::most, perCore("0.20 0.18 0.12 900/1000 11206\n"));
        CPPUNIT_ASSERT_EQUAL(1.0, perCore(""));
        const double here = Crowding(2).perCore(Clock::now());
        CPPUNIT_ASSERT(here >= 1 && here <= Crowding::most);
    }

    void tenCallsOfAColdFunctionStartTenWorkersAtMost() {
        options.prewarmed = 0;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->timeout = 10s;
        dispatcher->commit(t);
        std::vector<std::shared_ptr<Answer>> answers;
        for (int i = 0; i < 10; ++i) answers.push_back(call(t));
        until([&] { return bound().size() == 10; }, "ten workers");
        turn(50ms);
        CPPUNIT_ASSERT_EQUAL(size_t{10}, launcher->workers.size());
        for (auto* worker : bound()) worker->answer(worker->calls[0], "1");
        for (const auto& answer : answers)
            CPPUNIT_ASSERT(wait(answer).kind == Outcome::Kind::result);
    }

    void concurrencyDividesTheWorkersOfABurst() {
        options.prewarmed = 0;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->timeout = 10s;
        t->concurrency = 5;
        dispatcher->commit(t);
        for (int i = 0; i < 10; ++i) call(t);
        until(
            [&] {
                return bound().size() == 2 &&
                       bound().at(0)->calls.size() + bound().at(1)->calls.size() == 10;
            },
            "two workers with all calls");
        turn(50ms);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, launcher->workers.size());
    }

    void manyColdFunctionsStartAFewAtOnce() {
        options.prewarmed = 0;
        launcher->startTime = 2ms;
        start();
        std::vector<std::shared_ptr<Answer>> answers;
        for (int i = 0; i < 50; ++i) answers.push_back(callOf("fn_" + std::to_string(i)));
        for (const auto& answer : answers)
            CPPUNIT_ASSERT(wait(answer).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT_EQUAL(size_t{50}, launcher->workers.size());
        CPPUNIT_ASSERT(launcher->mostStarting <= size_t{2} * options.cores);
    }

    void refillsComeAfterWhatCallsWaitFor() {
        options.prewarmed = 2;
        launcher->startTime = 20ms;  // the refills are asked for while calls wait
        start();
        until([&] { return launcher->workers.size() == 2 && launcher->starting == 0; }, "two");
        std::vector<std::shared_ptr<Answer>> answers;
        for (int i = 0; i < 12; ++i) answers.push_back(callOf("fn_" + std::to_string(i)));
        for (const auto& answer : answers) wait(answer);
        for (size_t i = 0; i < 12; ++i)
            CPPUNIT_ASSERT_MESSAGE("start " + std::to_string(i) + " was a refill",
                                   launcher->workers[i]->bound);
        until([&] { return launcher->workers.size() == 14; }, "the refill");
        CPPUNIT_ASSERT(!launcher->workers[12]->bound && !launcher->workers[13]->bound);
    }

    void aRuntimeHasItsOwnNumberOfPrewarmedWorkers() {
        options.prewarmed = 1;
        options.prewarmedOf = {{"lua", 3}, {"other", 5}};
        start();
        until([&] { return dispatcher->counts().prewarmed == 3; }, "three");
        wait(callOf("fn_1"));
        until([&] { return launcher->workers.size() == 4; }, "the refill");
        CPPUNIT_ASSERT_EQUAL(uint32_t{3}, dispatcher->counts().prewarmed);
    }

    void aWorkerThatWaitsForItsTurnLosesNoneOfItsInitTimeout() {
        options.prewarmed = 0;
        options.cores = 1;
        launcher->startTime = 30ms;
        start();
        std::vector<std::shared_ptr<Answer>> answers;
        for (int i = 0; i < 30; ++i) {  // the last one waits longer than two tries would take
            const auto t = target(1, "fn_" + std::to_string(i));
            t->initTimeout = 120ms;
            dispatcher->commit(t);
            answers.push_back(call(t));
        }
        for (const auto& answer : answers)
            CPPUNIT_ASSERT(wait(answer).kind == Outcome::Kind::result);
    }

    void aColdFunctionRemovedBeforeItsTurnStartsNothing() {
        options.prewarmed = 0;
        options.cores = 1;
        launcher->startTime = 20ms;
        start();
        std::vector<std::shared_ptr<Answer>> answers;
        for (int i = 0; i < 4; ++i) answers.push_back(callOf("fn_" + std::to_string(i)));
        dispatcher->remove("fn_2");
        CPPUNIT_ASSERT_EQUAL(std::string("not_found"), wait(answers[2]).failure.reason);
        CPPUNIT_ASSERT(wait(answers[3]).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT_EQUAL(size_t{3}, launcher->workers.size());
    }

    void startsThatNobodyWaitsForAreWithdrawn() {
        options.cores = 1;
        const auto t = longFunction();
        std::vector<std::shared_ptr<Answer>> burst;
        for (int i = 0; i < 30; ++i) burst.push_back(call(t));  // a worker is asked for each
        const auto other = callOf("fn_2");
        for (const auto& answer : burst) wait(answer);
        CPPUNIT_ASSERT(wait(other).kind == Outcome::Kind::result);
        turn(100ms);
        CPPUNIT_ASSERT_MESSAGE(std::to_string(launcher->workers.size()) + " starts",
                               launcher->workers.size() <= 6);
        CPPUNIT_ASSERT(dispatcher->counts().workers <= 6);
    }

    void functionsTakeTurnsToStart() {
        options.cores = 1;
        const auto t = longFunction();
        bound().at(0)->autoAnswer = false;  // nobody helps the burst
        std::vector<std::shared_ptr<Answer>> burst;
        for (int i = 0; i < 20; ++i) burst.push_back(call(t));
        CPPUNIT_ASSERT(wait(callOf("fn_2")).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT_MESSAGE(std::to_string(launcher->workers.size()) + " starts before it",
                               launcher->workers.size() <= 8);
    }

    void loadsThatFailTogetherCountOnce() {
        options.cores = 8;
        const auto t = longFunction();
        bound().at(0)->autoAnswer = false;
        const auto held = call(t);
        launcher->startTime = 0ms;
        launcher->onStart = [](FakeWorker& worker) {
            worker.onLoad = [](FakeWorker& w) {
                w.send(protocol::FrameType::loadFailed, 0,
                       [](std::string& out) { out += R"({"type":"E","message":"no supplier"})"; });
            };
        };
        std::vector<std::shared_ptr<Answer>> waiting;
        for (int i = 0; i < 7; ++i) waiting.push_back(call(t));
        until([&] { return launcher->workers.size() == 8; }, "seven starts that fail");
        launcher->onStart = {};
        const auto begun = Clock::now();
        for (const auto& answer : waiting)
            CPPUNIT_ASSERT(wait(answer).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(Clock::now() - begun < 3s);
        bound().at(0)->answer(bound().at(0)->calls.back(), "1");
        wait(held);
    }

    void minWorkersAreStartedAndKept() {
        start();
        const auto t = target();
        t->minWorkers = 2;
        t->keepAlive = 0s;
        dispatcher->commit(t);
        until([&] { return bound().size() == 2; }, "two workers without a call");
        bound().at(0)->end({.exitCode = 1});
        until([&] { return bound().size() == 1; }, "one to be gone");
        until([&] { return bound().size() == 2; }, "another one");
        turn(1200ms);  // a look at idle workers
        CPPUNIT_ASSERT_EQUAL(size_t{2}, bound().size());
        CPPUNIT_ASSERT(!wait(call(t)).document.empty());
        CPPUNIT_ASSERT_EQUAL(size_t{2}, bound().size());
    }

private:
    // A function that is known to take long, with one worker; further ones take their time to start.
    TargetPtr longFunction() {
        options.prewarmed = 0;
        launcher->startTime = 15ms;
        start();
        const auto t = target();
        t->timeout = 10s;
        dispatcher->commit(t);
        wait(call(t));
        bound().at(0)->autoAnswer = false;
        for (size_t i = 1; i < 8; ++i) {
            const auto slow = call(t);
            until([&] { return bound().at(0)->calls.size() == i + 1; }, "the call");
            turn(3ms);
            bound().at(0)->answer(bound().at(0)->calls[i], "1");
            wait(slow);
        }
        bound().at(0)->autoAnswer = true;
        return t;
    }
    TargetPtr shortFunctionWithTwoWorkers() {
        launcher->onStart = holdLong;
        start();
        const auto t = target();
        t->timeout = 10s;
        t->minWorkers = 2;
        dispatcher->commit(t);
        until([&] { return bound().size() == 2; }, "two workers");
        for (int i = 0; i < 200; ++i) wait(call(t));
        return t;
    }
    // Calls that occupy the first two workers until answerHeld().
    std::vector<std::shared_ptr<Answer>> bothHeld(const TargetPtr& t) {
        std::vector<std::shared_ptr<Answer>> calls{call(t, R"("long")"), call(t, R"("long")")};
        until(
            [&] {
                const auto workers = bound();
                return std::count_if(workers.begin(), workers.end(),
                                     [](const auto* w) { return w->load() > 0; }) == 2;
            },
            "two busy workers");
        return calls;
    }
    static void holdLong(FakeWorker& worker) {
        worker.holds = [&worker](std::string_view event) {
            // One call after the other, as a real worker: nothing is answered behind a held one.
            return event == R"("long")" || worker.answers + 1 < worker.calls.size();
        };
    }
    void answerHeld() {
        for (auto* worker : bound())
            while (worker->answers < worker->calls.size())
                worker->answer(worker->calls[worker->answers], "1");
    }
    std::shared_ptr<Answer> callOf(const std::string& functionId) {
        const auto t = target(1, functionId);
        t->timeout = 10s;
        dispatcher->commit(t);
        return call(t);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SchedulingTest);

}  // namespace cf::workers::test
