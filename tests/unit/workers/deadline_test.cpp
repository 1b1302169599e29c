// Calls that run out of time or that nobody waits for any more, and those behind them in the same worker.
#include <utility>

#include "dispatcher_fixture.hpp"

namespace cf::workers::test {

class DeadlineTest : public DispatcherFixture {
    CPPUNIT_TEST_SUITE(DeadlineTest);
    CPPUNIT_TEST(aTimeoutKillsTheTreeBeforeTheAnswer);
    CPPUNIT_TEST(aTreeThatDoesNotDieDelaysTheAnswerOnlyAMoment);
    CPPUNIT_TEST(whatWaitedInADeadWorkersSocketRunsElsewhere);
    CPPUNIT_TEST(aLateCallAmongSeveralIsCancelledAlone);
    CPPUNIT_TEST(aChangedTimeoutCountsFromTheNextCallOn);
    CPPUNIT_TEST(aWorkerThatLoadsDuringAChangeGetsIt);
    CPPUNIT_TEST(aWorkerEndsWhenAllThatItHoldsIsCancelled);
    CPPUNIT_TEST(aCancelledCallInASocketHarmsNobodyBehindIt);
    CPPUNIT_TEST(aCancelledCallIsGivenAMomentWhileOthersWaitBehindIt);
    CPPUNIT_TEST(whatMayHaveBegunAtATimeoutDoesNotRunAgain);
    CPPUNIT_TEST(anAnswerThatLiesThereAtTheDeadlineCounts);
    CPPUNIT_TEST(ofSeveralAtOnceTheCancelledEndWithTheLast);
    CPPUNIT_TEST(aLateCallBesideOthersSaysWhatBecomesOfIt);
    CPPUNIT_TEST(loadingHasADeadline);
    CPPUNIT_TEST_SUITE_END();

    // The only worker with a call that runs, one whose caller cancels it, and perhaps another one.
    struct Three {
        std::shared_ptr<Answer> first, gone, last;
    };
    Three oneOfThemCancelled(const TargetPtr& t, bool withLast) {
        for (int i = 0; i < 40; ++i) wait(call(t));
        FakeWorker& worker = *bound().at(0);
        worker.autoAnswer = false;
        Three three;
        three.first = call(t, "1");
        Invocation* leaves = nullptr;
        three.gone = call(t, "2", &leaves);
        if (withLast) three.last = call(t, "3");
        until([&] { return worker.calls.size() == (withLast ? 43u : 42u); }, "all in one socket");
        dispatcher->cancel(*leaves);
        turn(10ms);
        CPPUNIT_ASSERT(worker.killed == 0 && !three.first->done);
        return three;
    }

    // The only worker with two calls, none of which it answers by itself; the first one may be cancelled.
    std::pair<std::shared_ptr<Answer>, std::shared_ptr<Answer>> oneBehindTheOther(const TargetPtr& t,
                                                                                 Invocation** first = nullptr) {
        for (int i = 0; i < 40; ++i) wait(call(t));
        FakeWorker& worker = *bound().at(0);
        worker.autoAnswer = false;
        const auto front = call(t, "1", first);
        const auto behind = call(t, "2");
        until([&] { return worker.calls.size() == 42; }, "both in one socket");
        return {front, behind};
    }

public:
    void aTimeoutKillsTheTreeBeforeTheAnswer() {
        const auto t = silent();
        const auto answer = call(t);
        FakeWorker& worker = running();
        const auto got = wait(answer);
        CPPUNIT_ASSERT_EQUAL(std::string("function_timeout"), got.failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("200 ms"), got.failure.limit);
        CPPUNIT_ASSERT(!worker.alive);
    }

    void aTreeThatDoesNotDieDelaysTheAnswerOnlyAMoment() {
        const auto t = silent();
        launcher->obeysKill = false;
        const auto answer = call(t);
        running();
        CPPUNIT_ASSERT_EQUAL(std::string("function_timeout"), wait(answer).failure.reason);
        launcher->obeysKill = true;
    }

    void whatWaitedInADeadWorkersSocketRunsElsewhere() {
        options.cores = 1;
        start();
        const auto t = target();
        dispatcher->commit(t);
        for (int i = 0; i < 40; ++i) wait(call(t));
        FakeWorker& worker = *bound().at(0);
        worker.autoAnswer = false;
        const auto first = call(t, "1"), second = call(t, "2");
        until([&] { return worker.calls.size() == 42; }, "both to be in its socket");
        worker.end({.exitCode = 7});
        CPPUNIT_ASSERT_EQUAL(std::string("worker_crashed"), wait(first).failure.reason);
        const auto moved = wait(second);
        CPPUNIT_ASSERT(moved.kind == Outcome::Kind::result);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), moved.document);
    }

    void aLateCallAmongSeveralIsCancelledAlone() {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->concurrency = 4;
        dispatcher->commit(t);
        const auto late = call(t);
        FakeWorker& worker = running();
        turn(120ms);
        const auto other = call(t);
        until([&] { return worker.calls.size() == 2; }, "the second call");
        CPPUNIT_ASSERT_EQUAL(std::string("function_timeout"), wait(late).failure.reason);
        until([&] { return worker.cancelled.size() == 1; }, "CANCEL");
        CPPUNIT_ASSERT_EQUAL(worker.calls[0], worker.cancelled[0]);
        CPPUNIT_ASSERT(worker.alive && !other->done);
        worker.answer(worker.calls[0], "0");  // too late: dropped, not a breach
        worker.answer(worker.calls[1], "1");
        CPPUNIT_ASSERT_EQUAL(std::string("1"), wait(other).document);
        until([&] { return !worker.alive; }, "the worker to leave once the others are done");
    }

    void aChangedTimeoutCountsFromTheNextCallOn() {
        const auto t = std::make_shared<Target>(*silent());
        t->timeout = 10s;
        t->maxWorkers = 1;
        dispatcher->update(t);
        const auto before = call(t);
        FakeWorker& worker = running();
        const auto shorter = std::make_shared<Target>(*t);
        shorter->timeout = 50ms;
        dispatcher->update(shorter);
        turn(100ms);
        CPPUNIT_ASSERT(!before->done);
        worker.answer(worker.calls[0], "1");
        CPPUNIT_ASSERT_EQUAL(std::string("1"), wait(before).document);
        const auto begun = Clock::now();
        const auto late = wait(call(shorter)).failure;
        CPPUNIT_ASSERT_EQUAL(std::string("function_timeout"), late.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("50 ms"), late.limit);
        CPPUNIT_ASSERT(Clock::now() - begun < 5s);
    }

    void aWorkerThatLoadsDuringAChangeGetsIt() {
        const auto loadsSlowly = [](FakeWorker& worker) {
            worker.autoAnswer = false;
            worker.onLoad = [](FakeWorker&) {};
        };
        launcher->onStart = loadsSlowly;
        start();
        const auto t = target();
        t->timeout = 10s;
        dispatcher->commit(t);
        const auto answer = call(t);
        until([&] { return !bound().empty(); }, "the load");
        const auto shorter = std::make_shared<Target>(*t);
        shorter->timeout = 50ms;
        dispatcher->update(shorter);
        bound().at(0)->send(protocol::FrameType::ready, 0);
        CPPUNIT_ASSERT_EQUAL(std::string("50 ms"), wait(answer).failure.limit);
    }

    void aWorkerEndsWhenAllThatItHoldsIsCancelled() {
        const auto t = oneCore();
        const auto three = oneOfThemCancelled(t, false);
        FakeWorker& worker = *bound().at(0);
        worker.answer(worker.calls[40], "1");
        CPPUNIT_ASSERT_EQUAL(std::string("1"), wait(three.first).document);
        CPPUNIT_ASSERT_EQUAL(std::string("client_gone"), wait(three.gone).failure.reason);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, worker.killed);
        CPPUNIT_ASSERT(wait(call(t)).kind == Outcome::Kind::result);
    }

    // It may have begun already: whoever else waits there must not run twice for it.
    void aCancelledCallInASocketHarmsNobodyBehindIt() {
        const auto three = oneOfThemCancelled(oneCore(), true);
        FakeWorker& worker = *bound().at(0);
        for (size_t i = 40; i < 43; ++i) worker.answer(worker.calls[i], std::to_string(i));
        CPPUNIT_ASSERT_EQUAL(std::string("42"), wait(three.last).document);
        CPPUNIT_ASSERT_EQUAL(std::string("40"), wait(three.first).document);
        CPPUNIT_ASSERT(three.gone->done && worker.killed == 0);
        CPPUNIT_ASSERT_EQUAL(size_t{43}, worker.calls.size());
        CPPUNIT_ASSERT_EQUAL(size_t{1}, bound().size());
    }

    void aCancelledCallIsGivenAMomentWhileOthersWaitBehindIt() {
        const auto t = oneCore();
        Invocation* leaves = nullptr;
        auto [gone, behind] = oneBehindTheOther(t, &leaves);
        FakeWorker& worker = *bound().at(0);
        dispatcher->cancel(*leaves);
        worker.answer(worker.calls[40], "1");
        until([&] { return gone->done; }, "the end of the cancelled one");
        worker.answer(worker.calls[41], "2");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), wait(behind).document);
        CPPUNIT_ASSERT(worker.killed == 0 && bound().size() == 1);
        // One that goes on does not keep the other waiting.
        const auto stays = call(t, "3", &leaves);
        const auto next = call(t, "4");
        until([&] { return worker.calls.size() == 44; }, "both in one socket");
        dispatcher->cancel(*leaves);
        CPPUNIT_ASSERT_EQUAL(std::string("4"), wait(next).document);
        CPPUNIT_ASSERT_EQUAL(std::string("client_gone"), wait(stays).failure.reason);
        CPPUNIT_ASSERT(worker.killed == 1 && !worker.alive);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, launcher->workers.size());
    }

    // Its answer comes between the deadline and its death, so nobody knows of the one behind it.
    void whatMayHaveBegunAtATimeoutDoesNotRunAgain() {
        const auto t = oneCore(1s);
        auto [late, behind] = oneBehindTheOther(t);
        const auto third = call(t, "3");
        until([&] { return bound().at(0)->calls.size() == 43; }, "all in one socket");
        launcher->onKill = [](FakeWorker& worker) { worker.answer(worker.calls[40], "1"); };
        CPPUNIT_ASSERT_EQUAL(std::string("function_timeout"), wait(late).failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("worker_lost"), wait(behind).failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("3"), wait(third).document);
    }

    void anAnswerThatLiesThereAtTheDeadlineCounts() {
        const auto t = oneCore(2s);
        auto [first, behind] = oneBehindTheOther(t);
        FakeWorker& worker = *bound().at(0);
        // Both timers ring in the same round, this one first: no event tells of the answers before the deadline.
        loop->after(300ms, [] { passTime(1900ms); });
        loop->after(500ms, [&] {
            worker.answer(worker.calls[40], "1");
            worker.answer(worker.calls[41], "2");
        });
        CPPUNIT_ASSERT_EQUAL(std::string("1"), wait(first).document);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), wait(behind).document);
        CPPUNIT_ASSERT_EQUAL(size_t{0}, worker.killed);
    }

    void ofSeveralAtOnceTheCancelledEndWithTheLast() {
        const auto t = std::make_shared<Target>(*silent());
        t->concurrency = 3;
        t->timeout = 10s;
        dispatcher->commit(t);
        Invocation* gone[2] = {};
        const auto first = call(t, "1", &gone[0]), second = call(t, "2", &gone[1]), stays = call(t, "3");
        FakeWorker& worker = running(3);
        dispatcher->cancel(*gone[0]);
        dispatcher->cancel(*gone[1]);
        until([&] { return worker.cancelled.size() == 2; }, "both to be told");
        turn(100ms);
        CPPUNIT_ASSERT(!first->done && !second->done);
        worker.answer(worker.calls[2], "3");
        CPPUNIT_ASSERT_EQUAL(std::string("3"), wait(stays).document);
        CPPUNIT_ASSERT_EQUAL(std::string("client_gone"), wait(first).failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("client_gone"), wait(second).failure.reason);
        until([&] { return worker.killed > 0 || !worker.alive; }, "its end");
    }

    void aLateCallBesideOthersSaysWhatBecomesOfIt() {
        launcher->onStart = [](FakeWorker& worker) {
            worker.autoAnswer = false;
            worker.uses(50u << 20);
        };
        start();
        const auto t = target();
        t->concurrency = 2;
        dispatcher->commit(t);
        const auto late = call(t);
        turn(100ms);
        const auto other = call(t);
        const auto got = wait(late);
        CPPUNIT_ASSERT_EQUAL(std::string("function_timeout"), got.failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("still running after 200 ms; its worker ends when its other invocations are done"),
                             got.failure.observed);
        CPPUNIT_ASSERT_EQUAL(uint64_t{50} << 20, got.memoryPeakBytes);
        CPPUNIT_ASSERT(!other->done);
    }

    void loadingHasADeadline() {
        launcher->onStart = [](FakeWorker& worker) { worker.onLoad = [](FakeWorker&) {}; };
        start();
        for (const auto& worker : launcher->workers) worker->onLoad = [](FakeWorker&) {};
        const auto t = target();
        t->initTimeout = 50ms;
        const auto loaded = wait(stage(t));
        CPPUNIT_ASSERT(!loaded);
        CPPUNIT_ASSERT_EQUAL(std::string("init_timeout"), loaded.failure().reason);
        CPPUNIT_ASSERT_EQUAL(std::string("50 ms"), loaded.failure().limit);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DeadlineTest);

}  // namespace cf::workers::test
