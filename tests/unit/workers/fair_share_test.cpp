// What part of one function's processor time each of its workers gets.
#include "dispatcher_fixture.hpp"

namespace cf::workers::test {

class FairShareTest : public DispatcherFixture {
    CPPUNIT_TEST_SUITE(FairShareTest);
    CPPUNIT_TEST(workersOfAFloodedFunctionDivideOneShare);
    CPPUNIT_TEST(aSingleWorkerIsLeftAlone);
    CPPUNIT_TEST(workersWithNothingToDoTakeNoPart);
    CPPUNIT_TEST(eachFunctionHasAShareOfItsOwn);
    CPPUNIT_TEST(whatNobodyWaitsForGivesWay);
    CPPUNIT_TEST(whatASaveWaitsForDoesNot);
    CPPUNIT_TEST_SUITE_END();

    uint32_t partsOf(const FakeWorker& worker) {
        const auto told = launcher->shares.find(worker.task());
        return told == launcher->shares.end() ? 1 : told->second;
    }
    // All that are bound, the smallest and the largest.
    std::pair<uint32_t, uint32_t> parts() {
        std::pair<uint32_t, uint32_t> range{UINT32_MAX, 0};
        for (auto* worker : bound()) {
            range.first = std::min(range.first, partsOf(*worker));
            range.second = std::max(range.second, partsOf(*worker));
        }
        return range;
    }
    size_t working() {
        size_t count = 0;
        for (auto* worker : bound()) count += worker->load() > 0 ? 1 : 0;
        return count;
    }
    // So many calls more that run, each on a worker of its own.
    void flood(const TargetPtr& t, size_t calls) {
        const size_t before = working();
        for (size_t i = 0; i < calls; ++i) call(t);
        until([&] { return working() == before + calls; }, "calls to run");
    }
    void answerAll() {
        for (auto* worker : bound())
            while (worker->load() > 0) worker->answer(worker->calls[worker->answers], "1");
        turn(5ms);
    }
    TargetPtr patient(const std::string& id = "fn_1") {
        const auto t = target(1, id);
        t->timeout = 10s;
        t->initTimeout = 10s;
        dispatcher->commit(t);
        return t;
    }
    void startSilent() {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        options.prewarmed = 0;
        start();
    }

public:
    void workersOfAFloodedFunctionDivideOneShare() {
        startSilent();
        const auto t = patient();
        flood(t, 10);
        CPPUNIT_ASSERT_EQUAL(size_t{10}, bound().size());
        // 12 is the step above 10.
        CPPUNIT_ASSERT_EQUAL(uint32_t{12}, parts().first);
        CPPUNIT_ASSERT_EQUAL(uint32_t{12}, parts().second);
        answerAll();
    }

    void aSingleWorkerIsLeftAlone() {
        start();
        const auto t = patient();
        wait(call(t));
        const size_t told = launcher->told[bound().at(0)->task()];
        for (int i = 0; i < 50; ++i) wait(call(t));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, bound().size());
        CPPUNIT_ASSERT_EQUAL(uint32_t{1}, partsOf(*bound().at(0)));
        CPPUNIT_ASSERT_EQUAL(told, launcher->told[bound().at(0)->task()]);
    }

    // They live on for keep_alive; the one that goes on working is whole again a second later.
    void workersWithNothingToDoTakeNoPart() {
        startSilent();
        const auto t = patient();
        flood(t, 6);
        CPPUNIT_ASSERT_EQUAL(uint32_t{6}, parts().first);
        answerAll();
        flood(t, 1);
        FakeWorker* busy = nullptr;
        for (auto* worker : bound())
            if (worker->load() > 0) busy = worker;
        CPPUNIT_ASSERT_MESSAGE("used a moment ago", partsOf(*busy) == 6);
        until([&] { return partsOf(*busy) == 1; }, "the whole share");
        CPPUNIT_ASSERT_EQUAL(size_t{6}, bound().size());
        flood(t, 2);
        CPPUNIT_ASSERT_EQUAL(uint32_t{3}, partsOf(*busy));
        answerAll();
    }

    void whatNobodyWaitsForGivesWay() {
        start();
        const auto prewarmed = [&](size_t index) {
            until([&] { return launcher->workers.size() > index && launcher->workers[index]->task() != 0; }, "a start");
            until([&] { return partsOf(*launcher->workers[index]) == 16; }, "a low weight");
        };
        prewarmed(0);
        wait(call(patient()));
        CPPUNIT_ASSERT_EQUAL(uint32_t{1}, partsOf(*bound().at(0)));
        prewarmed(1);  // the refill
    }

    void whatASaveWaitsForDoesNot() {
        start();
        CPPUNIT_ASSERT(static_cast<bool>(wait(check())));
        CPPUNIT_ASSERT_EQUAL(uint32_t{1}, partsOf(*launcher->workers[0]));
    }

    void eachFunctionHasAShareOfItsOwn() {
        startSilent();
        const auto flooded = patient("fn_1");
        flood(flooded, 4);
        const auto steady = patient("fn_2");
        flood(steady, 1);
        CPPUNIT_ASSERT_EQUAL(uint32_t{1}, partsOf(*bound().back()));
        CPPUNIT_ASSERT_EQUAL(uint32_t{4}, partsOf(*bound().front()));
        answerAll();
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FairShareTest);

}  // namespace cf::workers::test
