// What functions print and which connections they are refused: whose log it becomes.
#include "dispatcher_fixture.hpp"

namespace cf::workers::test {

class OutputTest : public DispatcherFixture {
    CPPUNIT_TEST_SUITE(OutputTest);
    CPPUNIT_TEST(nativeOutputBelongsToTheCallBeforeItsAnswer);
    CPPUNIT_TEST(nativeOutputOfSeveralCallsIsNobodys);
    CPPUNIT_TEST(nativeOutputBesideALateCallIsNobodys);
    CPPUNIT_TEST(afterNativeOutputNothingWaitsInASocket);
    CPPUNIT_TEST(printedTextIsAttributedAndCut);
    CPPUNIT_TEST(linesOfTwoStreamsStayWhole);
    CPPUNIT_TEST(refusedConnectionsAreNamed);
    CPPUNIT_TEST(refusedConnectionsAreNamedAFewTimes);
    CPPUNIT_TEST(aFloodOfLinesIsReadSlowly);
    CPPUNIT_TEST(aSlowReportOfAnEndIsWaitedFor);
    CPPUNIT_TEST(lastWordsExplainAnEndThatIsNotReported);
    CPPUNIT_TEST_SUITE_END();

public:
    void aSlowReportOfAnEndIsWaitedFor() {
        launcher->obeysKill = false;
        const auto answer = call(silent());
        FakeWorker& worker = running();
        worker.hangUp();
        loop->after(600ms, [&] { worker.end({.exitCode = 7}); });
        CPPUNIT_ASSERT_EQUAL(std::string("the worker exited with code 7 before it answered"),
                             wait(answer).failure.detail);
    }

    void lastWordsExplainAnEndThatIsNotReported() {
        launcher->obeysKill = false;
        const auto answer = call(silent());
        FakeWorker& worker = running();
        worker.print("panic: the disk is full\n");
        worker.hangUp();
        CPPUNIT_ASSERT_EQUAL(std::string("the worker closed its socket; it last wrote: panic: the disk is full\n"),
                             wait(answer).failure.detail);
    }

    // Frames cost the loop that serves every function.
    void aFloodOfLinesIsReadSlowly() {
        const auto t = std::make_shared<Target>(*silent());
        t->timeout = 10s;
        dispatcher->update(t);
        const auto answer = call(t);
        FakeWorker& worker = running();
        std::string frames;
        for (int i = 0; i < 500; ++i) {
            const size_t at =
                protocol::beginFrame(frames, protocol::FrameType::log, worker.calls[0]);
            protocol::putItem(frames, protocol::Tag::stream, uint64_t{1});
            protocol::putItem(frames, protocol::Tag::text, std::string_view("\n"));
            protocol::endFrame(frames, at);
        }
        for (int i = 0; i < 26; ++i) {
            worker.raw(frames);
            turn(100us);
        }
        CPPUNIT_ASSERT_MESSAGE(std::to_string(logged.size()) + " lines", logged.size() < 10'500);
        worker.answer(worker.calls[0], "1");
        const auto begun = Clock::now();
        CPPUNIT_ASSERT(wait(answer).kind == Outcome::Kind::result);
        CPPUNIT_ASSERT(Clock::now() - begun > 10ms && Clock::now() - begun < 500ms);
        CPPUNIT_ASSERT_EQUAL_MESSAGE("they wait, and none is lost", size_t{13'000}, logged.size());
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

    void nativeOutputBesideALateCallIsNobodys() {
        const auto t = std::make_shared<Target>(*silent());
        t->concurrency = 2;
        t->timeout = 500ms;
        dispatcher->commit(t);
        const auto late = call(t);
        FakeWorker& worker = running();
        worker.print("alone\n");
        until([&] { return logged.size() == 1; }, "the first line");
        const auto patient = std::make_shared<Target>(*t);
        patient->timeout = 10s;
        dispatcher->update(patient);
        const auto other = call(patient);
        until([&] { return worker.calls.size() == 2; }, "the second call");
        const auto given = wait(late);
        CPPUNIT_ASSERT_EQUAL(std::string("function_timeout"), given.failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("alone\n"), given.log);
        worker.print("whose?\n");
        until([&] { return logged.size() == 2; }, "the second line");
        CPPUNIT_ASSERT_EQUAL(std::string("-:whose?\n"), logged[1]);
        worker.answer(worker.calls[1], "1");
        CPPUNIT_ASSERT_EQUAL(std::string{}, wait(other).log);
    }

    void afterNativeOutputNothingWaitsInASocket() {
        const auto t = oneCore();
        for (int i = 0; i < 40; ++i) wait(call(t));
        FakeWorker& worker = *bound().at(0);
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
        print(worker.calls[0], std::string(Printed::most, 'x'));
        worker.answer(worker.calls[0], "1");
        const auto got = wait(answer);
        CPPUNIT_ASSERT_EQUAL(size_t{Printed::most}, got.log.size());
        CPPUNIT_ASSERT_EQUAL(std::string("hello\n"), got.log.substr(0, 6));
        CPPUNIT_ASSERT_EQUAL(std::string("call:hello\n"), logged.at(0));
        CPPUNIT_ASSERT_EQUAL(std::string("-:nobody's\n"), logged.at(1));
    }

    void linesOfTwoStreamsStayWhole() {
        Printed printed;
        CPPUNIT_ASSERT(!printed.hasOpenLine());
        printed.add(Stream::output, "no end");
        CPPUNIT_ASSERT(printed.hasOpenLine());
        printed.add(Stream::errors, "between\n");
        CPPUNIT_ASSERT(printed.hasOpenLine());
        CPPUNIT_ASSERT_EQUAL(std::string("between\nno end"), printed.text());
        printed.add(Stream::output, " yet\nnext");
        printed.add(Stream::errors, "and");
        CPPUNIT_ASSERT_EQUAL(std::string("between\nno end yet\nand\nnext"), printed.text());
        printed.add(Stream::output, " line\n");
        printed.add(Stream::errors, " more\n");
        CPPUNIT_ASSERT_EQUAL(std::string("between\nno end yet\nnext line\nand more\n"),
                             printed.text());
        CPPUNIT_ASSERT(!printed.hasOpenLine());
        for (const Stream stream : {Stream::output, Stream::errors, Stream::output})
            printed.add(stream, std::string(10'000, 'x'));
        CPPUNIT_ASSERT_EQUAL(size_t{30'000 + 38 - Printed::most}, printed.dropped());
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
        CPPUNIT_ASSERT(logged.at(RefusalLines::maxOfSecond).find("more connections were refused") !=
                       std::string::npos);
        RefusalLines lines;
        size_t said = 0;
        for (auto now = Clock::time_point{} + 1h; now < Clock::time_point{} + 2h; now += 200ms)
            said += lines.next(now) == RefusalLines::Verdict::say ? 1 : 0;
        CPPUNIT_ASSERT_EQUAL(RefusalLines::maxOfCall, said);
        lines.begin();
        CPPUNIT_ASSERT(lines.next(Clock::time_point{} + 3h) == RefusalLines::Verdict::say);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(OutputTest);

}  // namespace cf::workers::test
