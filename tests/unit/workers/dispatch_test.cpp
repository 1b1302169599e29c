// How invocations find workers: warm first, prewarmed next, queue with bounds, versions that follow
// each other.
#include "dispatcher_fixture.hpp"
#include "workers/shared_plans.hpp"

namespace CppUnit {
template <>
struct assertion_traits<cf::protocol::FrameType> {
    static bool equal(cf::protocol::FrameType a, cf::protocol::FrameType b) { return a == b; }
    static std::string toString(cf::protocol::FrameType t) {
        return std::to_string(static_cast<int>(t));
    }
};
}  // namespace CppUnit

namespace cf::workers::test {

class DispatchTest : public DispatcherFixture {
    CPPUNIT_TEST_SUITE(DispatchTest);
    CPPUNIT_TEST(firstCallIsColdAndTheNextOneReusesItsWorker);
    CPPUNIT_TEST(aPrewarmedWorkerGetsTheFunctionsMemoryAndArtifact);
    CPPUNIT_TEST(aFullQueueRefusesByItsLimit);
    CPPUNIT_TEST(whatWaitsTooLongIsToldSo);
    CPPUNIT_TEST(aBurstOnANewFunctionStartsNoMoreWorkersThanCoresAtOnce);
    CPPUNIT_TEST(slowCallsGetWorkersOfTheirOwn);
    CPPUNIT_TEST(maxWorkersHolds);
    CPPUNIT_TEST(shortCallsWaitInTheSocketsOfBusyWorkers);
    CPPUNIT_TEST(nothingWaitsBehindACallThatTurnedOutLong);
    CPPUNIT_TEST(aFullPlatformSaysSo);
    CPPUNIT_TEST(aFullPlatformTakesTheLongestIdleWorker);
    CPPUNIT_TEST(aNewVersionTakesOverWithoutAFailedCall);
    CPPUNIT_TEST(aVersionThatDoesNotLoadLeavesTheOldOneLive);
    CPPUNIT_TEST(removingFailsWhatWaitsAndFinishesWhatRuns);
    CPPUNIT_TEST(idleWorkersLeaveAfterKeepAlive);
    CPPUNIT_TEST(concurrentCallsShareOneWorker);
    CPPUNIT_TEST(aNewVersionLoadsAsManyWorkersAsAreBusy);
    CPPUNIT_TEST(whatAnOldVersionDidNotBeginRunsOnTheNewOne);
    CPPUNIT_TEST(aLowerMaxWorkersEndsTheSurplus);
    CPPUNIT_TEST(aNewNameReachesItsWorkers);
    CPPUNIT_TEST(aSaveOnAFullPlatformWaitsForAPlace);
    CPPUNIT_TEST(nothingGoesLiveUntriedOnAFullPlatform);
    CPPUNIT_TEST(theEndAnswersEverybodyWhoWaits);
    CPPUNIT_TEST(equalPlansAreKeptOnce);
    CPPUNIT_TEST(whoIsGoneLeavesTheQueueAtOnce);
    CPPUNIT_TEST_SUITE_END();

public:
    void whoIsGoneLeavesTheQueueAtOnce() {
        options.queueSize = 2;
        const auto t = oneCore();
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        Invocation *first = nullptr, *second = nullptr, *third = nullptr;
        const auto runs = call(t, "1", &first);
        FakeWorker& worker = running();
        const auto gone = call(t, "2", &second), stays = call(t, "3", &third);
        CPPUNIT_ASSERT_EQUAL(std::string("queue_full"), wait(call(t)).failure.reason);
        dispatcher->withdraw(*first);  // it goes on
        dispatcher->withdraw(*second);
        CPPUNIT_ASSERT_EQUAL(std::string("client_gone"), wait(gone).failure.reason);
        const auto last = call(t, "4");
        for (size_t i = 0; i < 3; ++i) {
            until([&] { return worker.calls.size() > i; }, "the next call");
            worker.answer(worker.calls[i], "1");
        }
        for (const auto& answer : {runs, stays, last})
            CPPUNIT_ASSERT(wait(answer).kind == Outcome::Kind::result);
    }

    void firstCallIsColdAndTheNextOneReusesItsWorker() {
        start();
        const auto t = target();
        dispatcher->commit(t);
        const auto first = wait(call(t, R"({"a":1})"));
        CPPUNIT_ASSERT(first.kind == Outcome::Kind::result);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"a":1})"), first.document);
        CPPUNIT_ASSERT(first.cold);
        const auto second = wait(call(t));
        CPPUNIT_ASSERT(!second.cold);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, bound().size());
        CPPUNIT_ASSERT_EQUAL(size_t{2}, bound().at(0)->calls.size());
        CPPUNIT_ASSERT(bound().at(0)->calls[0] != bound().at(0)->calls[1]);
    }

    void aPrewarmedWorkerGetsTheFunctionsMemoryAndArtifact() {
        start();
        until([&] { return launcher->workers.size() == 1; }, "a prewarmed worker");
        CPPUNIT_ASSERT_EQUAL(uint64_t{128} << 20, launcher->memory[0]);
        const auto t = target();
        t->memoryMb = 256;
        dispatcher->commit(t);
        wait(call(t));
        CPPUNIT_ASSERT(launcher->workers[0]->bound);
        CPPUNIT_ASSERT_EQUAL(uint64_t{256} << 20, launcher->memory[0]);
        CPPUNIT_ASSERT_EQUAL(std::string("/artifact/1"), launcher->workers[0]->attached);
        until([&] { return launcher->workers.size() == 2; }, "the refill");
        CPPUNIT_ASSERT(!launcher->workers[1]->bound);
    }

    void aFullQueueRefusesByItsLimit() {
        options.queueSize = 2;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->maxWorkers = 1;
        dispatcher->commit(t);
        const auto running = call(t);
        until([&] { return !bound().empty() && bound()[0]->calls.size() == 1; },
              "the first call to run");
        const auto one = call(t), two = call(t), three = call(t);
        CPPUNIT_ASSERT(three->done);
        CPPUNIT_ASSERT_EQUAL(std::string("queue_full"), three->failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("2 waiting invocations"), three->failure.limit);
        CPPUNIT_ASSERT(!one->done && !two->done && !running->done);
    }

    void whatWaitsTooLongIsToldSo() {
        options.queueTimeout = 30ms;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->maxWorkers = 1;
        t->timeout = 5s;
        dispatcher->commit(t);
        const auto running = call(t);
        until([&] { return !bound().empty() && bound()[0]->calls.size() == 1; },
              "the first call to run");
        const auto waiting = wait(call(t));
        CPPUNIT_ASSERT_EQUAL(std::string("queue_timeout"), waiting.failure.reason);
        CPPUNIT_ASSERT(waiting.queued >= 30ms);
        CPPUNIT_ASSERT(!running->done);
    }

    void aBurstOnANewFunctionStartsNoMoreWorkersThanCoresAtOnce() {
        options.prewarmed = 0;
        start();
        const auto t = target();
        dispatcher->commit(t);
        std::vector<std::shared_ptr<Answer>> answers;
        for (int i = 0; i < 10; ++i) answers.push_back(call(t));
        for (const auto& answer : answers)
            CPPUNIT_ASSERT(wait(answer).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(launcher->workers.size() <= options.cores);
    }

    void slowCallsGetWorkersOfTheirOwn() {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->timeout = 10s;
        dispatcher->commit(t);
        for (int i = 0; i < 6; ++i) call(t);
        until([&] { return bound().size() == 6; }, "a worker for each slow call");
        for (auto* worker : bound()) CPPUNIT_ASSERT(worker->calls.size() <= 1);
    }

    void maxWorkersHolds() {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->timeout = 10s;
        t->maxWorkers = 3;
        dispatcher->commit(t);
        for (int i = 0; i < 8; ++i) call(t);
        until([&] { return bound().size() == 3; }, "three workers");
        turn(50ms);
        CPPUNIT_ASSERT_EQUAL(size_t{3}, bound().size());
    }

    void shortCallsWaitInTheSocketsOfBusyWorkers() {
        options.cores = 1;
        start();
        const auto t = target();
        dispatcher->commit(t);
        for (int i = 0; i < 40; ++i) wait(call(t));  // now it is known to be short
        CPPUNIT_ASSERT_EQUAL(size_t{1}, bound().size());
        FakeWorker& worker = *bound().at(0);
        worker.autoAnswer = false;
        const size_t before = worker.calls.size();
        for (int i = 0; i < 3; ++i) call(t);
        until([&] { return worker.calls.size() == before + 3; },
              "all three in the socket of one worker");
    }

    void nothingWaitsBehindACallThatTurnedOutLong() {
        options.cores = 1;
        start();
        const auto t = target();
        t->timeout = 10s;
        dispatcher->commit(t);
        for (int i = 0; i < 40; ++i) wait(call(t));
        FakeWorker& slow = *bound().at(0);
        slow.autoAnswer = false;
        call(t);
        until([&] { return slow.calls.size() == 41; }, "the slow call");
        turn(20ms);
        CPPUNIT_ASSERT(wait(call(t)).kind == Outcome::Kind::result);  // on a worker of its own
        CPPUNIT_ASSERT_EQUAL(size_t{41}, slow.calls.size());
    }

    void aFullPlatformSaysSo() {
        options.maxWorkers = 1;
        options.prewarmed = 0;
        options.queueTimeout = 30ms;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto one = target();
        one->timeout = 10s;
        dispatcher->commit(one);
        call(one);
        until([&] { return bound().size() == 1 && bound()[0]->calls.size() == 1; },
              "the only worker to be busy");
        const auto two = target();
        two->functionId = "fn_2";
        dispatcher->commit(two);
        const auto refused = wait(call(two)).failure;
        CPPUNIT_ASSERT_EQUAL(std::string("platform_full"), refused.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("1 workers"), refused.limit);
    }

    void aFullPlatformTakesTheLongestIdleWorker() {
        options.maxWorkers = 1;
        options.prewarmed = 0;
        start();
        const auto one = target();
        dispatcher->commit(one);
        wait(call(one));
        const auto two = target();
        two->functionId = "fn_2";
        dispatcher->commit(two);
        CPPUNIT_ASSERT(wait(call(two)).kind == Outcome::Kind::result);
        until([&] { return !launcher->workers[0]->alive; }, "the idle worker to leave");
    }

    void aNewVersionTakesOverWithoutAFailedCall() {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto one = target(1);
        one->timeout = 10s;
        one->maxWorkers = 1;
        dispatcher->commit(one);
        const auto running = call(one), queued = call(one);
        until([&] { return bound().size() == 1 && bound()[0]->calls.size() == 1; },
              "the old version to run");
        FakeWorker& old = *bound().at(0);
        launcher->onStart = {};
        for (const auto& worker : launcher->workers)
            if (!worker->bound) worker->autoAnswer = true;
        CPPUNIT_ASSERT(static_cast<bool>(wait(stage(target(2)))));
        CPPUNIT_ASSERT(!running->done);
        dispatcher->commit(target(2));
        CPPUNIT_ASSERT(wait(queued).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(!running->done);
        old.answer(old.calls[0], "1");
        CPPUNIT_ASSERT(wait(running).kind == Outcome::Kind::result);
        until([&] { return !old.alive; }, "the old worker to leave");
    }

    void aVersionThatDoesNotLoadLeavesTheOldOneLive() {
        start();
        const auto one = target(1);
        dispatcher->commit(one);
        wait(call(one));
        const auto fails = [](FakeWorker& worker) {
            worker.onLoad = [](FakeWorker& w) {
                w.send(protocol::FrameType::loadFailed, 0, [](std::string& out) {
                    out +=
                        R"({"type":"ImportError","message":"no module x","file":"main.lua","line":3,"hint":"add it"})";
                });
            };
        };
        launcher->onStart = fails;
        for (const auto& worker : launcher->workers)
            if (!worker->bound) fails(*worker);
        const auto loaded = wait(stage(target(2)));
        CPPUNIT_ASSERT(!loaded);
        const auto& failure = loaded.failure();
        CPPUNIT_ASSERT_EQUAL(std::string("load_failed"), failure.reason);
        CPPUNIT_ASSERT(failure.detail.find("ImportError: no module x") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("add it"), failure.hint);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, failure.remarks.size());
        CPPUNIT_ASSERT_EQUAL(3u, failure.remarks[0].line);
        CPPUNIT_ASSERT(wait(call(one)).kind == Outcome::Kind::result);
    }

    void removingFailsWhatWaitsAndFinishesWhatRuns() {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->timeout = 10s;
        t->maxWorkers = 1;
        dispatcher->commit(t);
        const auto running = call(t), queued = call(t);
        until([&] { return bound().size() == 1 && bound()[0]->calls.size() == 1; },
              "the call to run");
        FakeWorker& worker = *bound().at(0);
        dispatcher->remove("fn_1");
        CPPUNIT_ASSERT_EQUAL(std::string("not_found"), wait(queued).failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("not_found"), wait(call(t)).failure.reason);
        worker.answer(worker.calls[0], "true");
        CPPUNIT_ASSERT(wait(running).kind == Outcome::Kind::result);
    }

    void idleWorkersLeaveAfterKeepAlive() {
        start();
        const auto t = target();
        t->keepAlive = 0s;
        dispatcher->commit(t);
        wait(call(t));
        FakeWorker& worker = *bound().at(0);
        until([&] { return !worker.alive; }, "the idle worker to leave");
        CPPUNIT_ASSERT_EQUAL(protocol::FrameType::stop, worker.seen.back());
        CPPUNIT_ASSERT(wait(call(t)).cold);
    }

    void concurrentCallsShareOneWorker() {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->timeout = 10s;
        t->concurrency = 5;
        dispatcher->commit(t);
        std::vector<std::shared_ptr<Answer>> answers;
        for (int i = 0; i < 5; ++i) answers.push_back(call(t));
        until([&] { return !bound().empty() && bound()[0]->calls.size() == 5; },
              "all calls on one worker");
        FakeWorker& worker = *bound().at(0);
        for (size_t i = 5; i-- > 0;) worker.answer(worker.calls[i], std::to_string(i));
        for (size_t i = 0; i < 5; ++i)
            CPPUNIT_ASSERT_EQUAL(std::to_string(i), wait(answers[i]).document);
    }

    void aNewVersionLoadsAsManyWorkersAsAreBusy() {
        options.prewarmed = 0;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto one = target();
        one->timeout = 10s;
        dispatcher->commit(one);
        for (int i = 0; i < 3; ++i) call(one);
        until([&] { return bound().size() == 3; }, "three busy workers");
        CPPUNIT_ASSERT(static_cast<bool>(wait(stage(target(2)))));
        CPPUNIT_ASSERT_EQUAL(size_t{6}, bound().size());
    }

    void whatAnOldVersionDidNotBeginRunsOnTheNewOne() {
        options.cores = 1;
        start();
        const auto one = target();
        one->timeout = 10s;
        dispatcher->commit(one);
        for (int i = 0; i < 40; ++i) wait(call(one));
        FakeWorker& worker = *bound().at(0);
        worker.autoAnswer = false;
        const auto first = call(one, "1"), second = call(one, "2"), third = call(one, "3");
        const auto gone = std::make_shared<Answer>();
        auto invocation = std::make_unique<KeptInvocation>(gone);
        invocation->target = one;
        invocation->event = "4";
        invocation->received = Clock::now();
        invocation->abandoned = true;  // its caller has left
        dispatcher->invoke(std::move(invocation));
        until([&] { return worker.calls.size() == 44; }, "all of them in one socket");
        dispatcher->commit(target(2));
        worker.end({.exitCode = 1});
        CPPUNIT_ASSERT_EQUAL(std::string("worker_crashed"), wait(first).failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), wait(second).document);
        CPPUNIT_ASSERT_EQUAL(std::string("3"), wait(third).document);
        CPPUNIT_ASSERT_EQUAL(std::string("client_gone"), wait(gone).failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("/artifact/2"), bound().at(0)->attached);
    }

    void aLowerMaxWorkersEndsTheSurplus() {
        options.surplusKeepAlive = 60s;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->timeout = 10s;
        dispatcher->commit(t);
        for (int i = 0; i < 4; ++i) call(t);
        until(
            [&] {
                const auto all = bound();
                return all.size() == 4 && std::all_of(all.begin(), all.end(), [](const auto* w) {
                           return w->calls.size() == 1;
                       });
            },
            "four busy workers");
        auto lower = std::make_shared<Target>(*t);
        lower->maxWorkers = 1;
        dispatcher->update(lower);
        const auto later = call(lower);
        const auto before = bound();
        for (auto* worker : before) worker->autoAnswer = true;
        for (auto* worker : before) worker->answer(worker->calls[0], "1");
        CPPUNIT_ASSERT(wait(later).kind == Outcome::Kind::result);
        until([&] { return bound().size() == 1; }, "the others to leave");
        CPPUNIT_ASSERT_EQUAL(size_t{0}, bound().at(0)->killed);
    }

    void aNewNameReachesItsWorkers() {
        start();
        const auto t = target();
        dispatcher->commit(t);
        wait(call(t));
        FakeWorker& before = *bound().at(0);
        auto renamed = std::make_shared<Target>(*t);
        renamed->functionName = "two";
        dispatcher->update(renamed);
        CPPUNIT_ASSERT(wait(call(renamed)).cold);
        until([&] { return !before.alive; }, "the worker with the old name to leave");
    }

    void aSaveOnAFullPlatformWaitsForAPlace() {
        options.maxWorkers = 1;
        options.prewarmed = 0;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto one = target();
        one->timeout = 10s;
        dispatcher->commit(one);
        const auto held = call(one);
        until([&] { return bound().size() == 1 && bound()[0]->calls.size() == 1; },
              "a busy worker");
        const auto loaded = stage(target(1, "fn_2"));
        turn(20ms);
        CPPUNIT_ASSERT_MESSAGE("went live untried", !loaded->has_value());
        bound().at(0)->answer(bound().at(0)->calls[0], "1");
        wait(held);
        CPPUNIT_ASSERT(static_cast<bool>(wait(loaded)));
    }

    void nothingGoesLiveUntriedOnAFullPlatform() {
        options.maxWorkers = 1;
        options.prewarmed = 0;
        options.preloadPatience = 30ms;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto one = target();
        one->timeout = 10s;
        dispatcher->commit(one);
        const auto held = call(one);
        until([&] { return bound().size() == 1 && bound()[0]->calls.size() == 1; },
              "a busy worker");
        const auto loaded = wait(stage(target(2)));
        CPPUNIT_ASSERT(!loaded);
        CPPUNIT_ASSERT_EQUAL(std::string("platform_full"), loaded.failure().reason);
        bound().at(0)->answer(bound().at(0)->calls[0], "1");
        CPPUNIT_ASSERT_EQUAL(std::string("1"), wait(held).document);
        bound().at(0)->autoAnswer = true;
        CPPUNIT_ASSERT(!wait(call(one)).cold);
    }

    void theEndAnswersEverybodyWhoWaits() {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->timeout = 10s;
        t->maxWorkers = 1;
        dispatcher->commit(t);
        const auto running = call(t), queued = call(t);
        until([&] { return bound().size() == 1 && bound()[0]->calls.size() == 1; },
              "a busy worker");
        const auto loadsForever = [](FakeWorker& worker) { worker.onLoad = [](FakeWorker&) {}; };
        launcher->onStart = loadsForever;
        for (const auto& worker : launcher->workers) loadsForever(*worker);
        const auto loaded = stage(target(2));
        const auto checked = check();
        dispatcher->shutDown();
        CPPUNIT_ASSERT(loaded->has_value() && checked->has_value());
        CPPUNIT_ASSERT(!**loaded && !**checked);
        CPPUNIT_ASSERT_EQUAL(std::string("draining"), (*loaded)->failure().reason);
        CPPUNIT_ASSERT(running->done && queued->done);
        CPPUNIT_ASSERT_EQUAL(std::string("draining"), running->failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("draining"), queued->failure.reason);
    }

    void equalPlansAreKeptOnce() {
        SharedPlans plans;
        const auto planOf = [](const std::string& program) {
            LaunchPlan plan;
            plan.spec.argv = {program};
            plan.spec.mounts = {{.source = "/home", .target = "/shim"}};
            return plan;
        };
        const auto first = plans.share(planOf("lua"));
        CPPUNIT_ASSERT(first == plans.share(planOf("lua")));
        CPPUNIT_ASSERT(first != plans.share(planOf("lua5.4")));
        auto other = planOf("lua");
        other.notPrewarmed = true;
        CPPUNIT_ASSERT(first != plans.share(other));
        // Many of their own do not pile up, and what is in use stays as it is.
        for (int i = 0; i < 100; ++i) plans.share(planOf(std::to_string(i)));
        CPPUNIT_ASSERT_EQUAL(std::string("lua"), first->spec.argv[0]);
        CPPUNIT_ASSERT_EQUAL(long{1}, first.use_count());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DispatchTest);

}  // namespace cf::workers::test
