// Several event loops: what is said to all of them, how things are divided, and a launcher on
// another loop.
#include "app/home_loop.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <set>

#include "app/remote_launcher.hpp"

namespace cf::app::test {

namespace {

// Notes on which thread it is asked, and answers there.
class NotingLauncher final : public sandbox::WorkerLauncher {
public:
    explicit NotingLauncher(base::EventLoop& loop) : loop_(loop) {}

    void startWorker(const sandbox::WorkerSpec& spec, WorkerCallback started,
                     EndedCallback ended) override {
        note("start " + spec.argv.front());
        ended_ = std::move(ended);
        if (spec.argv.front() == "broken")
            return started(base::Failure{.reason = "sandbox_failed"});
        Worker worker;
        worker.task = 7;
        started(std::move(worker));
    }
    void onRefused(sandbox::TaskId, RefusedCallback refused) override {
        note("refused");
        refused("a line");
    }
    void attach(sandbox::TaskId task, const sandbox::Attachment& attachment,
                DoneCallback done) override {
        note("attach " + std::to_string(task) + attachment.artifactDir);
        done({});
    }
    void share(sandbox::TaskId task, uint32_t parts) override {
        note("share " + std::to_string(task) + " " + std::to_string(parts));
    }
    std::string artifactPath(sandbox::TaskId task) const override {
        return "/tasks/" + std::to_string(task);
    }
    void kill(sandbox::TaskId task) override {
        note("kill " + std::to_string(task));
        ended_({.signal = 9});
    }

    std::vector<std::string> asked;  // on its loop only

private:
    void note(std::string what) {
        CPPUNIT_ASSERT(loop_.isLoopThread());
        asked.push_back(std::move(what));
    }
    base::EventLoop& loop_;
    EndedCallback ended_;
};

}  // namespace

class HomeLoopTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(HomeLoopTest);
    CPPUNIT_TEST(testEveryLoopIsTold);
    CPPUNIT_TEST(testOneHomeEach);
    CPPUNIT_TEST(testPartsAddUp);
    CPPUNIT_TEST(testUsualNumber);
    CPPUNIT_TEST(testLauncherOfAnotherLoop);
    CPPUNIT_TEST(testLoopThatEndedIsToldNothing);
    CPPUNIT_TEST_SUITE_END();

public:
    void testEveryLoopIsTold() {
        HomeLoops loops(4);
        loops.startThreads();
        std::vector<int> told(4);
        std::atomic<bool> onItsOwn{true};
        for (int round = 0; round < 100; ++round)
            loops.onEach([&](HomeLoop& here) {
                onItsOwn = onItsOwn && here.loop.isLoopThread();
                ++told[here.index];
            });
        CPPUNIT_ASSERT(told == std::vector<int>({100, 100, 100, 100}));
        CPPUNIT_ASSERT(onItsOwn);
        loops.stopThreads();
    }

    void testOneHomeEach() {
        HomeLoops loops(8);
        std::set<size_t> homes;
        for (int i = 0; i < 200; ++i) {
            const std::string id = "fn_" + std::to_string(i);
            CPPUNIT_ASSERT(&loops.homeOf(id) == &loops.homeOf(id));
            homes.insert(loops.homeOf(id).index);
        }
        CPPUNIT_ASSERT_EQUAL(size_t{8}, homes.size());
    }

    void testPartsAddUp() {
        for (const uint64_t all : {1u, 7u, 256u, 1000u})
            for (const size_t count : {1u, 2u, 3u, 64u}) {
                uint64_t sum = 0, least = all, most = 0;
                for (size_t i = 0; i < count; ++i) {
                    const uint64_t part = partOf(all, i, count);
                    sum += part;
                    least = std::min(least, part);
                    most = std::max(most, part);
                }
                CPPUNIT_ASSERT_EQUAL(all, sum);
                CPPUNIT_ASSERT(most - least <= 1);
            }
    }

    void testUsualNumber() {
        CPPUNIT_ASSERT_EQUAL(size_t{1}, usualLoops(1));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, usualLoops(4));
        CPPUNIT_ASSERT_EQUAL(size_t{2}, usualLoops(8));
        CPPUNIT_ASSERT_EQUAL(size_t{16}, usualLoops(64));
        CPPUNIT_ASSERT_EQUAL(size_t{64}, usualLoops(1024));
    }

    void testLauncherOfAnotherLoop() {
        HomeLoops loops(2);
        NotingLauncher launcher(loops.first().loop);
        HomeLoop& here = *loops.all()[1];
        RemoteLauncher remote(here.loop, loops.first().loop, launcher);
        loops.startThreads();
        std::vector<std::string> heard;  // on `here` only
        std::promise<void> dead;
        const auto hear = [&](std::string what) {
            heard.push_back(here.loop.isLoopThread() ? std::move(what) : "elsewhere");
        };
        here.loop.post([&] {
            remote.startWorker(
                {.argv = {"broken"}},
                [&](auto worker) { hear(worker ? "started" : worker.failure().reason); }, {});
            remote.startWorker(
                {.argv = {"worker"}},
                [&](base::Result<sandbox::WorkerLauncher::Worker> worker) {
                    hear("started " + std::to_string(worker->task));
                    remote.onRefused(
                        7, [&](std::string_view line) { hear("refused " + std::string(line)); });
                    remote.attach(7, {.artifactDir = "/artifact"}, [&](base::Result<void> done) {
                        hear(done ? "attached" : "not attached");
                        remote.share(7, 3);
                        remote.kill(7);
                    });
                },
                [&](const sandbox::Ended& how) {
                    hear("ended " + std::to_string(how.signal));
                    dead.set_value();
                });
        });
        CPPUNIT_ASSERT(dead.get_future().wait_for(std::chrono::seconds(10)) ==
                       std::future_status::ready);
        loops.stopThreads();
        const std::vector<std::string> asked{"start broken", "start worker", "refused",
                                             "attach 7/artifact", "share 7 3",
                                             "kill 7"};
        const std::vector<std::string> answers{"sandbox_failed", "started 7", "refused a line",
                                               "attached", "ended 9"};
        CPPUNIT_ASSERT(asked == launcher.asked);
        CPPUNIT_ASSERT(answers == heard);
        CPPUNIT_ASSERT_EQUAL(std::string("/tasks/7"), remote.artifactPath(7));
    }

    // What is asked while everything ends is neither lost in a wrong place nor answered into one
    // that is gone.
    void testLoopThatEndedIsToldNothing() {
        bool told = false;
        {
            HomeLoops loops(2);
            NotingLauncher launcher(loops.first().loop);
            RemoteLauncher remote(loops.all()[1]->loop, loops.first().loop, launcher);
            loops.startThreads();
            loops.onEach([](HomeLoop&) {});
            loops.stopThreads();
            remote.startWorker({.argv = {"late"}}, [&](auto) { told = true; }, {});
            for (const auto& home : loops.all()) home->loop.discardPosted();
            CPPUNIT_ASSERT(launcher.asked.empty());
        }
        CPPUNIT_ASSERT(!told);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(HomeLoopTest);

}  // namespace cf::app::test
