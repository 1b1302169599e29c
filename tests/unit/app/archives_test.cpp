// Who unpacks archives and who waits for it, with a tool that takes as long as it is told to.
#include "app/archives.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

namespace cf::app::test {

using namespace std::chrono_literals;

// Holds every tool until release(); then each ends without a word.
class SlowTools final : public executors::ToolRunner {
public:
    base::Result<Outcome> run(const sandbox::ToolSpec&, std::string_view, const Receive&,
                              executors::Clock::time_point, const std::atomic<bool>& cancel,
                              const Excess& excess) override {
        {
            const std::lock_guard lock(mutex_);
            most = std::max(most, ++running_);
            changed_.notify_all();
        }
        Outcome outcome;
        while (!released_ && !(outcome.exceeded = cancel || (excess && excess())))
            std::this_thread::sleep_for(1ms);
        const std::lock_guard lock(mutex_);
        --running_;
        return outcome;
    }
    void untilRunning(size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return running_ >= count; });
    }
    void release() { released_ = true; }
    size_t most = 0;

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    size_t running_ = 0;
    std::atomic<bool> released_{false};
};

class ArchivesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ArchivesTest);
    CPPUNIT_TEST(callersDoNotWait);
    CPPUNIT_TEST(whoWaitsInVainIsToldSo);
    CPPUNIT_TEST(fewMayWait);
    CPPUNIT_TEST(endsWhatRuns);
    CPPUNIT_TEST_SUITE_END();

    using Answer = base::Result<Archives::Files>;
    SlowTools tools_;

    static std::future<Answer> begin(Archives& archives, std::string_view archive = "archive") {
        auto promise = std::make_shared<std::promise<Answer>>();
        auto answer = promise->get_future();
        archives.unpack(archive, [promise](Answer files) { promise->set_value(std::move(files)); });
        return answer;
    }
    static void expectReason(const std::string& reason, std::future<Answer>& answer) {
        // Longer than anything takes: a test that waits in vain ends.
        CPPUNIT_ASSERT(answer.wait_for(60s) == std::future_status::ready);
        const Answer files = answer.get();
        CPPUNIT_ASSERT(!files);
        CPPUNIT_ASSERT_EQUAL(reason, files.failure().reason);
    }

    void callersDoNotWait() {
        Archives archives({.atOnce = 2}, tools_);
        std::vector<std::future<Answer>> answers;
        for (int i = 0; i < 5; ++i) answers.push_back(begin(archives));
        auto empty = begin(archives, "");
        expectReason("invalid_archive", empty);
        tools_.untilRunning(2);
        tools_.release();
        for (auto& answer : answers) expectReason("sandbox_failed", answer);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, tools_.most);
    }

    void whoWaitsInVainIsToldSo() {
        Archives archives({.atOnce = 1, .patience = 10ms}, tools_);
        auto running = begin(archives);
        tools_.untilRunning(1);
        auto waiting = begin(archives);
        expectReason("unpacking_busy", waiting);
        CPPUNIT_ASSERT(running.wait_for(0s) == std::future_status::timeout);
        tools_.release();
        expectReason("sandbox_failed", running);
    }

    void fewMayWait() {
        Archives archives({.atOnce = 1, .waiting = 2}, tools_);
        auto running = begin(archives);
        tools_.untilRunning(1);
        auto first = begin(archives), second = begin(archives), third = begin(archives);
        CPPUNIT_ASSERT(third.wait_for(0s) == std::future_status::ready);
        expectReason("unpacking_busy", third);
        tools_.release();
        expectReason("sandbox_failed", second);
    }

    void endsWhatRuns() {
        std::future<Answer> running, waiting;
        {
            Archives archives({.atOnce = 1}, tools_);
            running = begin(archives);
            tools_.untilRunning(1);
            waiting = begin(archives);
        }
        // Dropped: whoever holds the other end answers in words of its own.
        for (auto* answer : {&running, &waiting}) {
            CPPUNIT_ASSERT(answer->wait_for(0s) == std::future_status::ready);
            CPPUNIT_ASSERT_THROW(answer->get(), std::future_error);
        }
    }
};
CPPUNIT_TEST_SUITE_REGISTRATION(ArchivesTest);

}  // namespace cf::app::test
