// Workers on their way up and on their way out: loads that take long, starts that hang, versions
// that replace each other, and who counts as help meanwhile.
#include "dispatcher_fixture.hpp"

namespace cf::workers::test {

class LoadingTest : public DispatcherFixture {
    CPPUNIT_TEST_SUITE(LoadingTest);
    CPPUNIT_TEST(loadsOfOneFunctionDoubleFromTheCoresOn);
    CPPUNIT_TEST(aVersionOfABusyFunctionIsLoadedByAFewAtOnce);
    CPPUNIT_TEST(aVersionGoesLiveWithWhatIsReadyAfterASecond);
    CPPUNIT_TEST(minWorkersAreLoadedByAFewAtOnce);
    CPPUNIT_TEST(aStartThatHangsKeepsNoOtherFromItsTurn);
    CPPUNIT_TEST(whatStartsTooLateIsEnded);
    CPPUNIT_TEST(workersThatLeaveAreNoHelp);
    CPPUNIT_TEST(aWorkerThatLeavesGoesOnAsItWasTold);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        DispatcherFixture::setUp();
        options.prewarmed = 0;
        loading.clear();
    }

    void loadsOfOneFunctionDoubleFromTheCoresOn() {
        const auto t = busyWorkers(1);
        for (int i = 0; i < 40; ++i) call(t);
        turn(100ms);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, loading.size());
        readyAll();
        turn(50ms);
        CPPUNIT_ASSERT_EQUAL_MESSAGE("three are ready", size_t{2 + 3}, loading.size());
        readyAll();
        turn(50ms);
        CPPUNIT_ASSERT_EQUAL_MESSAGE("six are ready", size_t{2 + 3 + 6}, loading.size());
    }

    void aVersionOfABusyFunctionIsLoadedByAFewAtOnce() {
        busyWorkers(10);
        const auto staged = stage(slow(2));
        turn(50ms);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, loading.size());
        for (size_t up = 2; up < 10; up = std::min<size_t>(2 * up, 10)) {
            readyAll();
            turn(50ms);
            CPPUNIT_ASSERT_EQUAL(std::min<size_t>(2 * up, 10), loading.size());
            CPPUNIT_ASSERT(!staged->has_value());
        }
        readyAll();
        CPPUNIT_ASSERT(static_cast<bool>(wait(staged)));
    }

    void aVersionGoesLiveWithWhatIsReadyAfterASecond() {
        busyWorkers(10);
        const auto staged = stage(slow(2));
        turn(1100ms);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, loading.size());
        CPPUNIT_ASSERT_MESSAGE("nothing goes live untried", !staged->has_value());
        loading[0]->send(protocol::FrameType::ready, 0);
        CPPUNIT_ASSERT(static_cast<bool>(wait(staged)));
    }

    void minWorkersAreLoadedByAFewAtOnce() {
        holdLoads();
        start();
        const auto t = slow(1);
        t->minWorkers = 5;
        dispatcher->commit(t);
        turn(3s);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, loading.size());
        readyAll();
        turn(1100ms);
        CPPUNIT_ASSERT_EQUAL(size_t{4}, loading.size());
        readyAll();
        turn(1100ms);
        CPPUNIT_ASSERT_EQUAL(size_t{5}, loading.size());
    }

    void aStartThatHangsKeepsNoOtherFromItsTurn() {
        options.cores = 1;
        launcher->startTime = 60s;
        start();
        for (int i = 0; i < 8; ++i) {
            const auto hangs = target(1, "fn_" + std::to_string(i));
            hangs->initTimeout = 90s;
            dispatcher->commit(hangs);
            call(hangs);
        }
        turn(10ms);
        launcher->startTime = 1ms;
        const auto other = target(1, "fn_other");
        dispatcher->commit(other);
        const auto begun = Clock::now();
        CPPUNIT_ASSERT(wait(call(other)).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(Clock::now() - begun < 3s);
    }

    void whatStartsTooLateIsEnded() {
        launcher->acceptTime = 500ms;
        start();
        const auto t = slow(1);
        dispatcher->commit(t);
        const auto answer = call(t);
        turn(10ms);
        dispatcher->remove(t->functionId);
        CPPUNIT_ASSERT_EQUAL(std::string("not_found"), wait(answer).failure.reason);
        until([&] { return dispatcher->counts().workers == 0; }, "it to be forgotten");
        CPPUNIT_ASSERT_EQUAL(size_t{0}, launcher->workers.at(0)->killed);
        turn(600ms);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, launcher->workers.at(0)->killed);
    }

    // As a program with something to do at its exit.
    void workersThatLeaveAreNoHelp() {
        launcher->onStart = [](FakeWorker& worker) { worker.lingers = true; };
        start();
        const auto t = target();
        t->minWorkers = 2;
        dispatcher->commit(t);
        until([&] { return bound().size() == 2; }, "two workers");
        turn(10ms);
        const auto larger = target();
        larger->memoryMb = 256;
        dispatcher->update(larger);
        const auto begun = Clock::now();
        CPPUNIT_ASSERT(wait(call(larger)).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(Clock::now() - begun < 100ms);
    }

    void aWorkerThatLeavesGoesOnAsItWasTold() {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto several = slow(1);
        several->concurrency = 10;
        dispatcher->commit(several);
        std::vector<std::shared_ptr<Answer>> answers;
        for (int i = 0; i < 3; ++i) answers.push_back(call(several));
        FakeWorker& worker = running(3);
        const auto one = slow(1);
        dispatcher->update(one);
        const auto later = slow(1);
        later->timeout = 50s;
        dispatcher->update(later);
        for (const size_t i : {2, 0, 1}) worker.answer(worker.calls[i], "1");
        for (const auto& answer : answers)
            CPPUNIT_ASSERT(wait(answer).kind == Outcome::Kind::result);
    }

private:
    std::shared_ptr<Target> slow(uint64_t version) {
        const auto t = target(version);
        t->timeout = t->initTimeout = 60s;
        return t;
    }
    // What starts from now on loads until readyAll().
    void holdLoads() {
        launcher->onStart = [this](FakeWorker& worker) {
            worker.autoAnswer = false;
            worker.onLoad = [this](FakeWorker& it) { loading.push_back(&it); };
        };
    }
    void readyAll() {
        for (; ready < loading.size(); ++ready) loading[ready]->send(protocol::FrameType::ready, 0);
    }
    // A function that is known to take long, all of its workers busy. Loads are held after that.
    TargetPtr busyWorkers(size_t count) {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = slow(1);
        dispatcher->commit(t);
        for (int i = 0; i < 8; ++i) {
            const auto answer = call(t);
            FakeWorker& worker = running(static_cast<size_t>(i) + 1);
            turn(3ms);
            worker.answer(worker.calls.back(), "1");
            wait(answer);
        }
        for (size_t i = 0; i < count; ++i) call(t);
        until([&] { return dispatcher->counts().busy == count; }, "busy workers");
        holdLoads();
        ready = 0;
        return t;
    }

    std::vector<FakeWorker*> loading;
    size_t ready = 0;  // of them were told to be
};

CPPUNIT_TEST_SUITE_REGISTRATION(LoadingTest);

}  // namespace cf::workers::test
