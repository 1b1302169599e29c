// Workers that crash, run out of memory, do not load or break the protocol: what their callers are told, and that nobody
// else notices.
#include "dispatcher_fixture.hpp"

namespace cf::workers::test {

class HostileWorkerTest : public DispatcherFixture {
    CPPUNIT_TEST_SUITE(HostileWorkerTest);
    CPPUNIT_TEST(aCrashTellsItsExitCodeAndCostsOnlyItsCall);
    CPPUNIT_TEST(anAnswerBeforeACrashIsNotLost);
    CPPUNIT_TEST(outOfMemoryNamesLimitAndPeak);
    CPPUNIT_TEST(protocolBreaksKillTheWorker);
    CPPUNIT_TEST(aSecondAnswerKillsTheWorker);
    CPPUNIT_TEST(aResultThatIsTooLargeIsNamed);
    CPPUNIT_TEST(aResultThatIsTooDeepIsNamedAndTheWorkerLives);
    CPPUNIT_TEST(aResultThatIsNotJsonCostsOnlyItsCall);
    CPPUNIT_TEST(whatDoesNotLoadIsTriedAgainAfterAWhile);
    CPPUNIT_TEST(anErrorDocumentPassesThrough);
    CPPUNIT_TEST(aWorkerThatCannotStartFailsItsCalls);
    CPPUNIT_TEST(aCheckerNeverRunsAnything);
    CPPUNIT_TEST(aCheckerThatDiesFailsItsCheckOnly);
    CPPUNIT_TEST_SUITE_END();

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

    void aCheckerNeverRunsAnything() {
        start();
        const auto remarks = wait(check());
        CPPUNIT_ASSERT(static_cast<bool>(remarks));
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), *remarks);
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
        const auto first = check("x"), second = check("y");
        CPPUNIT_ASSERT(static_cast<bool>(wait(first)) != static_cast<bool>(wait(second)));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(HostileWorkerTest);

}  // namespace cf::workers::test
