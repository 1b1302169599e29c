// Calls that wait in a worker's socket behind one that turns out long: they run elsewhere, and once.
#include "dispatcher_fixture.hpp"

namespace cf::workers::test {

class TakenBackTest : public DispatcherFixture {
    CPPUNIT_TEST_SUITE(TakenBackTest);
    CPPUNIT_TEST(whatWaitsBehindALongCallRunsElsewhere);
    CPPUNIT_TEST(itsWorkerServesOn);
    CPPUNIT_TEST(whoAnswersWhatWasTakenBackBreaksTheProtocol);
    CPPUNIT_TEST(whatAWorkerFindsTooLateRunsAgain);
    CPPUNIT_TEST(aCallIsNotGivenBackBeforeItsTime);
    CPPUNIT_TEST(onAFullMachineTheyAreLeftLonger);
    CPPUNIT_TEST(lastWordsTellWhatWasNotBegun);
    CPPUNIT_TEST(aCallThatNobodyWaitsForIsNotRunAgain);
    CPPUNIT_TEST_SUITE_END();

    static constexpr std::string_view events[] = {"0", "1", "2", "3"};
    static constexpr int shortOnes = 40;  // after which calls wait in sockets

    // One worker in whose socket `count` calls lie, none of which it answers by itself. Another one may start.
    std::vector<std::shared_ptr<Answer>> lent(size_t count, Invocation** last = nullptr,
                                              std::chrono::milliseconds timeout = 10s) {
        options.cores = 1;
        options.prewarmed = 0;
        start();
        const auto t = target();
        t->timeout = timeout;
        dispatcher->commit(t);
        for (int i = 0; i < shortOnes; ++i) wait(call(t));
        first().autoAnswer = false;
        std::vector<std::shared_ptr<Answer>> calls;
        for (size_t i = 0; i < count; ++i) calls.push_back(call(t, events[i], last));
        until([&] { return first().calls.size() == shortOnes + count; }, "all in one socket");
        return calls;
    }
    FakeWorker& first() { return *bound().at(0); }
    // The id of the n-th call of lent().
    uint64_t id(size_t n) { return first().calls.at(shortOnes + n); }
    void notBegun(uint64_t id) { first().send(protocol::FrameType::notBegun, id); }

public:
    void whatWaitsBehindALongCallRunsElsewhere() {
        const auto calls = lent(4);
        CPPUNIT_ASSERT_EQUAL(uint64_t{0}, first().beginBy[shortOnes]);
        for (size_t i = 1; i < 4; ++i) {
            CPPUNIT_ASSERT(first().beginBy[shortOnes + i] > 0);
            CPPUNIT_ASSERT_EQUAL(std::to_string(i), wait(calls[i]).document);
        }
        CPPUNIT_ASSERT(!calls[0]->done);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, bound().size());
        first().answer(id(0), "0");
        CPPUNIT_ASSERT_EQUAL(std::string("0"), wait(calls[0]).document);
    }

    void itsWorkerServesOn() {
        const auto calls = lent(3);
        wait(calls[2]);
        first().answer(id(0), "0");
        notBegun(id(1));
        notBegun(id(2));
        wait(calls[0]);
        turn(5ms);
        CPPUNIT_ASSERT_EQUAL(size_t{0}, first().killed);
    }

    void whoAnswersWhatWasTakenBackBreaksTheProtocol() {
        const auto calls = lent(2);
        wait(calls[1]);
        FakeWorker& liar = first();
        liar.answer(id(0), "0");
        liar.answer(id(1), "1");
        until([&] { return liar.killed == 1; }, "its end");
        CPPUNIT_ASSERT_EQUAL(std::string("1"), calls[1]->document);
    }

    // The platform was busy itself: both answers lie there when it looks.
    void whatAWorkerFindsTooLateRunsAgain() {
        const auto calls = lent(3);
        passTime(30ms);
        first().autoAnswer = true;
        first().answer(id(0), "0");
        notBegun(id(1));
        notBegun(id(2));
        for (size_t i = 0; i < 3; ++i) CPPUNIT_ASSERT_EQUAL(std::to_string(i), wait(calls[i]).document);
        CPPUNIT_ASSERT_EQUAL(size_t{0}, first().killed);
    }

    // Otherwise a worker that gives everything back would keep this process busy.
    void aCallIsNotGivenBackBeforeItsTime() {
        crowd = 200;  // 4 s
        lent(2);
        FakeWorker& lazy = first();
        lazy.answer(id(0), "0");
        notBegun(id(1));
        until([&] { return lazy.killed == 1; }, "its end");
    }

    void onAFullMachineTheyAreLeftLonger() {
        crowd = 20;
        const auto calls = lent(2);
        const auto begun = Clock::now();
        wait(calls[1]);
        CPPUNIT_ASSERT(Clock::now() - begun > 200ms);
    }

    void lastWordsTellWhatWasNotBegun() {
        crowd = 200;  // 4 s
        launcher->onKill = [&](FakeWorker& worker) {
            if (&worker != launcher->workers[0].get()) return;
            worker.answer(id(0), "0");
            notBegun(id(1));
        };
        const auto calls = lent(3, nullptr, 100ms);
        CPPUNIT_ASSERT_EQUAL(std::string("function_timeout"), wait(calls[0]).failure.reason);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), wait(calls[1]).document);
        CPPUNIT_ASSERT_EQUAL(std::string("worker_lost"), wait(calls[2]).failure.reason);
    }

    void aCallThatNobodyWaitsForIsNotRunAgain() {
        Invocation* leaves = nullptr;
        const auto calls = lent(2, &leaves);
        dispatcher->cancel(*leaves);
        CPPUNIT_ASSERT_EQUAL(std::string("client_gone"), wait(calls[1]).failure.reason);
        CPPUNIT_ASSERT(!calls[0]->done);
        turn(20ms);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, bound().size());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TakenBackTest);

}  // namespace cf::workers::test
