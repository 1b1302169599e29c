// Workers that time out, crash, run out of memory or break the protocol: what their callers are told, and that nobody
// else notices.
#include <thread>
#include <utility>

#include "dispatcher_fixture.hpp"

namespace cf::workers::test {

class HostileWorkerTest : public DispatcherFixture {
    CPPUNIT_TEST_SUITE(HostileWorkerTest);
    CPPUNIT_TEST(aTimeoutKillsTheTreeBeforeTheAnswer);
    CPPUNIT_TEST(aTreeThatDoesNotDieDelaysTheAnswerOnlyAMoment);
    CPPUNIT_TEST(whatWaitedInADeadWorkersSocketRunsElsewhere);
    CPPUNIT_TEST(aLateCallAmongSeveralIsCancelledAlone);
    CPPUNIT_TEST(aCrashTellsItsExitCodeAndCostsOnlyItsCall);
    CPPUNIT_TEST(anAnswerBeforeACrashIsNotLost);
    CPPUNIT_TEST(outOfMemoryNamesLimitAndPeak);
    CPPUNIT_TEST(protocolBreaksKillTheWorker);
    CPPUNIT_TEST(aSecondAnswerKillsTheWorker);
    CPPUNIT_TEST(aResultThatIsTooLargeIsNamed);
    CPPUNIT_TEST(aResultThatIsTooDeepIsNamedAndTheWorkerLives);
    CPPUNIT_TEST(aResultThatIsNotJsonCostsOnlyItsCall);
    CPPUNIT_TEST(aChangedTimeoutCountsFromTheNextCallOn);
    CPPUNIT_TEST(aWorkerThatLoadsDuringAChangeGetsIt);
    CPPUNIT_TEST(aWorkerEndsWhenAllThatItHoldsIsCancelled);
    CPPUNIT_TEST(aCancelledCallInASocketHarmsNobodyBehindIt);
    CPPUNIT_TEST(aCancelledCallIsGivenAMomentWhileOthersWaitBehindIt);
    CPPUNIT_TEST(whatMayHaveBegunAtATimeoutDoesNotRunAgain);
    CPPUNIT_TEST(anAnswerThatLiesThereAtTheDeadlineCounts);
    CPPUNIT_TEST(whatDoesNotLoadIsTriedAgainAfterAWhile);
    CPPUNIT_TEST(nativeOutputBelongsToTheCallBeforeItsAnswer);
    CPPUNIT_TEST(nativeOutputOfSeveralCallsIsNobodys);
    CPPUNIT_TEST(afterNativeOutputNothingWaitsInASocket);
    CPPUNIT_TEST(anErrorDocumentPassesThrough);
    CPPUNIT_TEST(loadingHasADeadline);
    CPPUNIT_TEST(aWorkerThatCannotStartFailsItsCalls);
    CPPUNIT_TEST(printedTextIsAttributedAndCut);
    CPPUNIT_TEST(refusedConnectionsAreNamed);
    CPPUNIT_TEST(refusedConnectionsAreNamedAFewTimes);
    CPPUNIT_TEST(aCheckerNeverRunsAnything);
    CPPUNIT_TEST(aCheckerThatDiesFailsItsCheckOnly);
    CPPUNIT_TEST_SUITE_END();

    TargetPtr silent() {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        dispatcher->commit(t);
        return t;
    }
    FakeWorker& running(size_t calls = 1) {
        until([&] { return !bound().empty() && bound().back()->calls.size() >= calls; }, "a call to run");
        return *bound().back();
    }
    void breaks(const std::function<void(FakeWorker&)>& how, const std::string& reason) {
        const auto t = target();
        const auto answer = call(t);
        FakeWorker& worker = running();
        how(worker);
        CPPUNIT_ASSERT_EQUAL(reason, wait(answer).failure.reason);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, worker.killed);
        until([&] { return bound().empty(); }, "the worker to be gone");
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
        FakeWorker& worker = *bound()[0];
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

    void aCrashTellsItsExitCodeAndCostsOnlyItsCall() {
        const auto t = silent();
        const auto answer = call(t);
        FakeWorker& worker = running();
        worker.print("fatal: out of cheese\n");
        worker.end({.exitCode = 3});
        const auto got = wait(answer);
        CPPUNIT_ASSERT_EQUAL(std::string("worker_crashed"), got.failure.reason);
        CPPUNIT_ASSERT(got.failure.detail.find("code 3") != std::string::npos);
        CPPUNIT_ASSERT(got.failure.detail.find("out of cheese") != std::string::npos);
        launcher->onStart = {};
        for (const auto& w : launcher->workers) w->autoAnswer = true;
        CPPUNIT_ASSERT(wait(call(t)).kind == Outcome::Kind::result);
    }

    void anAnswerBeforeACrashIsNotLost() {
        const auto t = silent();
        const auto answer = call(t);
        FakeWorker& worker = running();
        worker.answer(worker.calls[0], "42");
        worker.end({.exitCode = 1});
        const auto got = wait(answer);
        CPPUNIT_ASSERT(got.kind == Outcome::Kind::result);
        CPPUNIT_ASSERT_EQUAL(std::string("42"), got.document);
    }

    void outOfMemoryNamesLimitAndPeak() {
        const auto t = silent();
        const auto answer = call(t);
        running().end({.exitCode = -1, .signal = 9, .outOfMemory = true, .memoryPeakBytes = 128ull << 20});
        const auto got = wait(answer);
        CPPUNIT_ASSERT_EQUAL(std::string("memory_exceeded"), got.failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("128 MB"), got.failure.limit);
        CPPUNIT_ASSERT_EQUAL(std::string("peak 128.0 MB"), got.failure.observed);
    }

    void protocolBreaksKillTheWorker() {
        silent();
        using protocol::FrameType;
        breaks([](FakeWorker& w) { w.answer(w.calls[0] + 1, "1"); }, "worker_protocol_error");
        breaks([](FakeWorker& w) { w.answer(w.calls[0], R"({"type":1})", FrameType::error); }, "worker_protocol_error");
        breaks([](FakeWorker& w) { w.send(FrameType::ready, 0); }, "worker_protocol_error");
        breaks([](FakeWorker& w) { w.hello(); }, "worker_protocol_error");
        breaks([](FakeWorker& w) { w.send(FrameType::invoke, 0); }, "worker_protocol_error");
        breaks([](FakeWorker& w) { w.send(FrameType::checked, 0); }, "worker_protocol_error");
        breaks([](FakeWorker& w) { w.raw("this is no frame, whatever it is"); }, "worker_protocol_error");
        breaks([](FakeWorker& w) { w.send(FrameType::result, w.calls[0], [](std::string& out) { protocol::putU32(out, 1000); }); }, "worker_protocol_error");
        breaks([](FakeWorker& w) { w.send(FrameType::log, 0, [](std::string& out) { out += "abc"; }); }, "worker_protocol_error");
    }

    void aSecondAnswerKillsTheWorker() {
        const auto t = silent();
        const auto answer = call(t);
        FakeWorker& worker = running();
        worker.answer(worker.calls[0], "1");
        worker.answer(worker.calls[0], "2");
        CPPUNIT_ASSERT_EQUAL(std::string("1"), wait(answer).document);
        until([&] { return worker.killed == 1; }, "the kill");
    }

    void aResultThatIsTooLargeIsNamed() {
        options.maxResponseBytes = 100'000;
        const auto t = silent();
        const auto large = call(t);
        FakeWorker& worker = running();
        worker.answer(worker.calls[0], "\"" + std::string(110'000, 'x') + "\"");
        const auto got = wait(large);
        CPPUNIT_ASSERT_EQUAL(std::string("response_too_large"), got.failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("100000 bytes"), got.failure.limit);
        CPPUNIT_ASSERT(worker.alive);
        // One that is not even kept costs nobody else on the worker its answer.
        const auto several = std::make_shared<Target>(*t);
        several->concurrency = 2;
        dispatcher->commit(several);
        const auto huge = call(several), other = call(several);
        FakeWorker& shared = running(2);
        const std::string text = "\"" + std::string(300'000, 'x') + "\"";
        std::string bytes;
        const size_t begin = protocol::beginFrame(bytes, protocol::FrameType::result, shared.calls[0]);
        protocol::putU32(bytes, static_cast<uint32_t>(text.size()));
        bytes += text;
        protocol::endFrame(bytes, begin);
        for (std::string_view rest = bytes; !rest.empty(); turn(1ms)) {  // more than a socket holds
            shared.raw(rest.substr(0, 50'000));
            rest.remove_prefix(std::min<size_t>(rest.size(), 50'000));
        }
        ++shared.answers;
        const auto refused = wait(huge).failure;
        CPPUNIT_ASSERT_EQUAL(std::string("response_too_large"), refused.reason);
        CPPUNIT_ASSERT(refused.observed.substr(0, 3) == "300");
        shared.answer(shared.calls[1], "2");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), wait(other).document);
        dispatcher->commit(t);
        until([&] { return bound().empty(); }, "those with other settings to leave");
        // Far beyond what may be read the worker cannot stay: its frame was never taken.
        breaks([](FakeWorker& w) { w.raw(std::string("\xff\xff\xff\x7f\x06\0\0\0", 8) + std::string(8, 'x')); }, "response_too_large");
    }

    void aResultThatIsTooDeepIsNamedAndTheWorkerLives() {
        const auto t = silent();
        const auto deep = call(t);
        FakeWorker& worker = running();
        worker.answer(worker.calls[0], std::string(300, '[') + std::string(300, ']'));
        CPPUNIT_ASSERT_EQUAL(std::string("invalid_response"), wait(deep).failure.reason);
        CPPUNIT_ASSERT(worker.alive);
    }

    void aResultThatIsNotJsonCostsOnlyItsCall() {
        const auto t = std::make_shared<Target>(*silent());
        t->concurrency = 3;
        dispatcher->commit(t);
        const auto first = call(t), second = call(t), third = call(t);
        FakeWorker& worker = running(3);
        worker.answer(worker.calls[0], "{not json");
        worker.answer(worker.calls[1], "\"\xff\"");
        CPPUNIT_ASSERT_EQUAL(std::string("invalid_response"), wait(first).failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("invalid_response"), wait(second).failure.reason);
        worker.answer(worker.calls[2], "3");
        CPPUNIT_ASSERT_EQUAL(std::string("3"), wait(third).document);
        CPPUNIT_ASSERT_EQUAL(size_t{0}, worker.killed);
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
        bound()[0]->send(protocol::FrameType::ready, 0);
        CPPUNIT_ASSERT_EQUAL(std::string("50 ms"), wait(answer).failure.limit);
    }

    TargetPtr oneCore(std::chrono::milliseconds timeout = 10s) {
        options.cores = 1;
        options.prewarmed = 0;
        start();
        const auto t = target();
        t->timeout = timeout;
        t->maxWorkers = 1;
        dispatcher->commit(t);
        return t;
    }

    // The only worker with a call that runs, one whose caller cancels it, and perhaps another one.
    struct Three {
        std::shared_ptr<Answer> first, gone, last;
    };
    Three oneOfThemCancelled(const TargetPtr& t, bool withLast) {
        for (int i = 0; i < 40; ++i) wait(call(t));
        FakeWorker& worker = *bound()[0];
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
        FakeWorker& worker = *bound()[0];
        worker.autoAnswer = false;
        const auto front = call(t, "1", first);
        const auto behind = call(t, "2");
        until([&] { return worker.calls.size() == 42; }, "both in one socket");
        return {front, behind};
    }

    void aWorkerEndsWhenAllThatItHoldsIsCancelled() {
        const auto t = oneCore();
        const auto three = oneOfThemCancelled(t, false);
        FakeWorker& worker = *bound()[0];
        worker.answer(worker.calls[40], "1");
        CPPUNIT_ASSERT_EQUAL(std::string("1"), wait(three.first).document);
        CPPUNIT_ASSERT(!wait(three.gone).failure.reason.empty());
        CPPUNIT_ASSERT_EQUAL(size_t{1}, worker.killed);
        CPPUNIT_ASSERT(wait(call(t)).kind == Outcome::Kind::result);
    }

    // It may have begun already: whoever else waits there must not run twice for it.
    void aCancelledCallInASocketHarmsNobodyBehindIt() {
        const auto three = oneOfThemCancelled(oneCore(), true);
        FakeWorker& worker = *bound()[0];
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
        FakeWorker& worker = *bound()[0];
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
        CPPUNIT_ASSERT(stays->done && worker.killed == 1 && !worker.alive);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, launcher->workers.size());
    }

    // Its answer comes between the deadline and its death, so nobody knows of the one behind it.
    void whatMayHaveBegunAtATimeoutDoesNotRunAgain() {
        const auto t = oneCore(1s);
        auto [late, behind] = oneBehindTheOther(t);
        const auto third = call(t, "3");
        until([&] { return bound()[0]->calls.size() == 43; }, "all in one socket");
        launcher->onKill = [](FakeWorker& worker) { worker.answer(worker.calls[40], "1"); };
        CPPUNIT_ASSERT_EQUAL(std::string("function_timeout"), wait(late).failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("worker_lost"), wait(behind).failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("3"), wait(third).document);
    }

    void anAnswerThatLiesThereAtTheDeadlineCounts() {
        const auto t = oneCore(2s);
        auto [first, behind] = oneBehindTheOther(t);
        FakeWorker& worker = *bound()[0];
        // Both timers ring in the same round, this one first: no event tells of the answers before the deadline.
        loop->after(300ms, [] { std::this_thread::sleep_for(1900ms); });
        loop->after(500ms, [&] {
            worker.answer(worker.calls[40], "1");
            worker.answer(worker.calls[41], "2");
        });
        CPPUNIT_ASSERT_EQUAL(std::string("1"), wait(first).document);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), wait(behind).document);
        CPPUNIT_ASSERT_EQUAL(size_t{0}, worker.killed);
    }

    void whatDoesNotLoadIsTriedAgainAfterAWhile() {
        options.prewarmed = 0;
        options.queueTimeout = 500ms;
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        t->timeout = 10s;
        dispatcher->commit(t);
        const auto held = call(t);
        FakeWorker& busy = running();
        launcher->onStart = [](FakeWorker& worker) {
            worker.onLoad = [](FakeWorker& w) {
                w.send(protocol::FrameType::loadFailed, 0,
                       [](std::string& out) { out += R"({"type":"E","message":"no supplier"})"; });
            };
        };
        const auto waiting = wait(call(t)).failure;
        CPPUNIT_ASSERT_EQUAL(std::string("queue_timeout"), waiting.reason);
        CPPUNIT_ASSERT(waiting.detail.find("no supplier") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(std::to_string(launcher->workers.size()) + " starts",
                               launcher->workers.size() <= 6);
        // Once it loads again nobody waits for what was to come.
        launcher->onStart = {};
        const auto begun = Clock::now();
        CPPUNIT_ASSERT(wait(call(t)).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(Clock::now() - begun < 3s);
        busy.answer(busy.calls[0], "1");
        wait(held);
    }

    void nativeOutputBelongsToTheCallBeforeItsAnswer() {
        const auto t = std::make_shared<Target>(*silent());
        t->maxWorkers = 1;
        t->timeout = 10s;
        dispatcher->update(t);
        std::vector<std::shared_ptr<Answer>> calls{call(t), call(t), call(t)};
        for (size_t i = 0; i < calls.size(); ++i) {
            FakeWorker& worker = running(i + 1);
            // More than one read takes, and all of it written before the answer.
            for (int line = 0; line < 1500; ++line)
                worker.print("words of call " + std::to_string(i) + "\n");
            worker.answer(worker.calls[i], "1");
        }
        for (size_t i = 0; i < calls.size(); ++i) {
            const auto log = wait(calls[i]).log;
            CPPUNIT_ASSERT_EQUAL("words of call " + std::to_string(i), log.substr(0, 15));
            for (size_t other = 0; other < calls.size(); ++other)
                CPPUNIT_ASSERT(other == i ||
                               log.find("call " + std::to_string(other)) == std::string::npos);
        }
        for (const auto& line : logged) CPPUNIT_ASSERT(line.substr(0, 5) == "call:");
    }

    void nativeOutputOfSeveralCallsIsNobodys() {
        const auto t = std::make_shared<Target>(*silent());
        t->concurrency = 2;
        t->timeout = 10s;
        dispatcher->commit(t);
        const auto first = call(t), second = call(t);
        FakeWorker& worker = running(2);
        worker.print("whose?\n");
        until([&] { return !logged.empty(); }, "the line");
        CPPUNIT_ASSERT_EQUAL(std::string("-:whose?\n"), logged[0]);
        worker.answer(worker.calls[1], "2");
        wait(second);
        worker.print("mine\n");
        worker.answer(worker.calls[0], "1");
        CPPUNIT_ASSERT_EQUAL(std::string("mine\n"), wait(first).log);
    }

    void afterNativeOutputNothingWaitsInASocket() {
        const auto t = oneCore();
        for (int i = 0; i < 40; ++i) wait(call(t));
        FakeWorker& worker = *bound()[0];
        worker.autoAnswer = false;
        const auto speaks = call(t);
        until([&] { return worker.calls.size() == 41; }, "the call");
        worker.print("hello\n");
        worker.answer(worker.calls[40], "1");
        CPPUNIT_ASSERT_EQUAL(std::string("hello\n"), wait(speaks).log);
        const auto next = call(t), behind = call(t);
        turn(3ms);
        CPPUNIT_ASSERT_EQUAL(size_t{42}, worker.calls.size());
        worker.autoAnswer = true;
        worker.answer(worker.calls[41], "1");
        wait(next);
        wait(behind);
    }

    void anErrorDocumentPassesThrough() {
        const auto t = silent();
        const auto answer = call(t);
        FakeWorker& worker = running();
        const std::string document = R"({"type":"ValueError","message":"no","stack":["a"]})";
        worker.answer(worker.calls[0], document, protocol::FrameType::error);
        const auto got = wait(answer);
        CPPUNIT_ASSERT(got.kind == Outcome::Kind::error);
        CPPUNIT_ASSERT_EQUAL(document, got.document);
    }

    void loadingHasADeadline() {
        launcher->onStart = [](FakeWorker& worker) { worker.onLoad = [](FakeWorker&) {}; };
        start();
        for (const auto& worker : launcher->workers) worker->onLoad = [](FakeWorker&) {};
        const auto t = target();
        t->initTimeout = 50ms;
        std::optional<base::Failure> failure;
        dispatcher->stage(t, [&](base::Result<void> result) { failure = result.failure(); });
        until([&] { return failure.has_value(); }, "the load to be given up");
        CPPUNIT_ASSERT_EQUAL(std::string("init_timeout"), failure->reason);
        CPPUNIT_ASSERT_EQUAL(std::string("50 ms"), failure->limit);
    }

    void aWorkerThatCannotStartFailsItsCalls() {
        options.prewarmed = 0;
        start();
        launcher->refuse = true;
        const auto t = target();
        dispatcher->commit(t);
        const auto got = wait(call(t));
        CPPUNIT_ASSERT_EQUAL(std::string("worker_not_started"), got.failure.reason);
        CPPUNIT_ASSERT(got.failure.detail.find("no room") != std::string::npos);
        launcher->refuse = false;
        CPPUNIT_ASSERT(wait(call(t)).kind == Outcome::Kind::result);
    }

    void printedTextIsAttributedAndCut() {
        const auto t = silent();
        const auto answer = call(t);
        FakeWorker& worker = running();
        const auto print = [&](uint64_t id, const std::string& text) {
            worker.send(protocol::FrameType::log, id, [&](std::string& out) {
                protocol::putItem(out, protocol::Tag::stream, uint64_t{1});
                protocol::putItem(out, protocol::Tag::text, text);
            });
        };
        print(worker.calls[0], "hello\n");
        print(0, "nobody's\n");
        print(worker.calls[0], std::string(Invocation::maxLogBytes, 'x'));
        worker.answer(worker.calls[0], "1");
        const auto got = wait(answer);
        CPPUNIT_ASSERT_EQUAL(Invocation::maxLogBytes, got.log.size());
        CPPUNIT_ASSERT_EQUAL(std::string("hello\n"), got.log.substr(0, 6));
        CPPUNIT_ASSERT_EQUAL(std::string("call:hello\n"), logged.at(0));
        CPPUNIT_ASSERT_EQUAL(std::string("-:nobody's\n"), logged.at(1));
    }

    void refusedConnectionsAreNamed() {
        const auto t = silent();
        const auto answer = call(t);
        FakeWorker& worker = running();
        const auto refused = launcher->refusals.at(worker.task());
        refused("one");
        worker.answer(worker.calls[0], "1");
        CPPUNIT_ASSERT_EQUAL(std::string("one\n"), wait(answer).log);
        refused("late");  // the invocation has just ended; the log still knows which it was
        CPPUNIT_ASSERT_EQUAL(std::string("call:one\n"), logged.at(0));
        CPPUNIT_ASSERT_EQUAL(std::string("call:late\n"), logged.at(1));
    }

    void refusedConnectionsAreNamedAFewTimes() {
        const auto t = silent();
        const auto answer = call(t);
        FakeWorker& worker = running();
        for (int i = 0; i < 1000; ++i) launcher->refusals.at(worker.task())("no");
        worker.answer(worker.calls[0], "1");
        wait(answer);
        CPPUNIT_ASSERT(logged.size() > RefusalLines::maxOfSecond);
        CPPUNIT_ASSERT(logged.size() <= RefusalLines::maxOfCall + 1);
        CPPUNIT_ASSERT(logged.at(RefusalLines::maxOfSecond).find("more connections were refused") != std::string::npos);
        RefusalLines lines;
        size_t said = 0;
        for (auto now = Clock::time_point{} + 1h; now < Clock::time_point{} + 2h; now += 200ms)
            said += lines.next(now) == RefusalLines::Verdict::say ? 1 : 0;
        CPPUNIT_ASSERT_EQUAL(RefusalLines::maxOfCall, said);
        lines.begin();
        CPPUNIT_ASSERT(lines.next(Clock::time_point{} + 3h) == RefusalLines::Verdict::say);
    }

    void aCheckerNeverRunsAnything() {
        start();
        std::string remarks;
        dispatcher->check("lua", "main.lua", "x", [&](base::Result<std::string> result) { remarks = *result; });
        until([&] { return !remarks.empty(); }, "the remarks");
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), remarks);
        FakeWorker& checker = *launcher->workers[0];
        CPPUNIT_ASSERT_EQUAL(size_t{1}, checker.seen.size());
        const auto t = target();
        dispatcher->commit(t);
        for (int i = 0; i < 5; ++i) wait(call(t));
        CPPUNIT_ASSERT(!checker.bound);
        CPPUNIT_ASSERT(checker.alive);
    }

    void aCheckerThatDiesFailsItsCheckOnly() {
        launcher->onStart = [](FakeWorker& worker) { worker.onCheck = [](FakeWorker& w) { w.end({.exitCode = -1, .signal = 11}); }; };
        start();
        until([&] { return launcher->workers.size() == 1; }, "a prewarmed worker");
        launcher->workers[0]->onCheck = [](FakeWorker& w) { w.end({.exitCode = -1, .signal = 11}); };
        launcher->onStart = {};
        int failed = 0, passed = 0;
        const auto count = [&](base::Result<std::string> result) { ++(result ? passed : failed); };
        dispatcher->check("lua", "a", "x", count);
        dispatcher->check("lua", "b", "y", count);
        until([&] { return failed + passed == 2; }, "both checks");
        CPPUNIT_ASSERT_EQUAL(1, failed);
        CPPUNIT_ASSERT_EQUAL(1, passed);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(HostileWorkerTest);

}  // namespace cf::workers::test
