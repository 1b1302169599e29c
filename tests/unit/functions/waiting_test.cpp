// Who waits for whom: builds in their queue, saves of one function, and nobody else.
#include <cppunit/extensions/HelperMacros.h>

#include <future>
#include <set>
#include <thread>

#include "fakes.hpp"

namespace cf::functions::test {

class WaitingTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(WaitingTest);
    CPPUNIT_TEST(nobodyElseWaitsForBuilds);
    CPPUNIT_TEST(theQueueOfBuildsIsBounded);
    CPPUNIT_TEST(theMemoryOfSourcesIsBounded);
    CPPUNIT_TEST(aWaitingBuildSaysSo);
    CPPUNIT_TEST(savesOfOneFunctionComeInTheirOrder);
    CPPUNIT_TEST(whatWantsAnAnswerAtOnceDoesNotWaitForASave);
    CPPUNIT_TEST(waitingForASaveEnds);
    CPPUNIT_TEST(fewMayWaitForOneFunction);
    CPPUNIT_TEST(aNewNameIsWaitedFor);
    CPPUNIT_TEST(oneOfSeveralCreatesOnly);
    CPPUNIT_TEST(whatIsToBeThereIsLookedForAgain);
    CPPUNIT_TEST(aNameIsWhatItLeadsToWhenItsTurnComes);
    CPPUNIT_TEST(aFullPlatformChangesNothing);
    CPPUNIT_TEST(whatWaitsAtTheEndIsDropped);
    CPPUNIT_TEST_SUITE_END();

    Domain domain_;

    static std::string slow(const std::string& name) {
        return "{'name':'" + name + "','runtime':'toy','code':'WAIT " + name + "'}";
    }
    static std::string quick(const std::string& name) {
        return "{'name':'" + name + "','runtime':'toy','code':'quick'}";
    }
    template <typename T>
    static std::string reason(const base::Result<T>& result) {
        return result ? "" : result.failure().reason;
    }
    void with(size_t parallel, size_t waiting) {
        domain_.base.parallelBuilds = parallel;
        domain_.base.waitingBuilds = waiting;
        domain_.restart();
    }

    void nobodyElseWaitsForBuilds() {
        with(2, 8);
        for (const char* name : {"settings", "gone", "read"})
            CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.create(quick(name))));
        std::vector<std::future<base::Result<Saved>>> hanging;
        for (int i = 0; i < 6; ++i)
            hanging.push_back(domain_.begin(Domain::request(slow("slow" + std::to_string(i)))));
        domain_.builder.untilWaiting(2);
        // All on this thread, and nothing is released before they are through.
        const auto made = domain_.create(Domain::async(quick("new")));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(made));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, made->building);
        CPPUNIT_ASSERT(domain_.service->find("new"));
        const auto changed = domain_.update("read", Domain::async("{'code':'other'}"), false);
        CPPUNIT_ASSERT_EQUAL(std::string(), why(changed));
        CPPUNIT_ASSERT_EQUAL(uint64_t{2}, changed->building);
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.patch("settings", "{'timeout':5}")));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.patch("settings", "{'code':'quick'}")));
        CPPUNIT_ASSERT_EQUAL(std::string(), reason(domain_.remove("gone")));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.service->read("read")));
        domain_.builder.release();
        for (auto& one : hanging) CPPUNIT_ASSERT_EQUAL(std::string(), why(one.get()));
    }

    void theQueueOfBuildsIsBounded() {
        with(1, 1);
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.create(quick("there"))));
        auto running = domain_.begin(Domain::request(slow("running")));
        domain_.builder.untilWaiting();
        auto waiting = domain_.begin(Domain::request(slow("waiting")));
        for (const bool async : {false, true}) {
            auto creation = Domain::request(quick("late"));
            creation.async = async;
            const auto refused = domain_.create(std::move(creation));
            CPPUNIT_ASSERT_EQUAL(std::string("control_busy"), reason(refused));
            CPPUNIT_ASSERT_EQUAL(std::string("1 waiting builds"), refused.failure().limit);
            CPPUNIT_ASSERT(!domain_.service->find("late"));
            auto change = Domain::request("{'code':'other'}");
            change.async = async;
            CPPUNIT_ASSERT_EQUAL(std::string("control_busy"),
                                 reason(domain_.update("there", std::move(change), false)));
        }
        // What needs no build needs no place.
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.patch("there", "{'timeout':5}")));
        domain_.builder.release();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(running.get()));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(waiting.get()));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, domain_.registry->find("there")->shown().number);
    }

    void theMemoryOfSourcesIsBounded() {
        domain_.base.sourcesInWork = 3u << 20;
        with(1, 8);
        const auto large = [](const std::string& name, const std::string& word) {
            return "{'name':'" + name + "','runtime':'toy','code':'" + word +
                   std::string(2u << 20, 'x') + "'}";
        };
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.create(large("there", ""))));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.create(large("other", ""))));
        auto running = domain_.begin(Domain::request(large("running", "WAIT")));
        domain_.builder.untilWaiting();
        for (const bool async : {false, true}) {
            auto creation = Domain::request(large("late", ""));
            creation.async = async;
            const auto refused = domain_.create(std::move(creation));
            CPPUNIT_ASSERT_EQUAL(std::string("control_busy"), reason(refused));
            CPPUNIT_ASSERT_EQUAL(std::string("3 MB of sources"), refused.failure().limit);
            CPPUNIT_ASSERT(!domain_.service->find("late"));
            // What is stored is read again to be built.
            auto change = Domain::request("{'environment':{'A':'1'}}");
            change.async = async;
            CPPUNIT_ASSERT_EQUAL(std::string("control_busy"),
                                 reason(domain_.update("there", std::move(change), false)));
        }
        // Also what would wait for the earlier save.
        CPPUNIT_ASSERT_EQUAL(
            std::string("control_busy"),
            reason(domain_.patch("running", "{'code':'" + std::string(2u << 20, 'y') + "'}")));
        // Small ones are bounded by their number, settings have none.
        auto small = domain_.begin(Domain::request(quick("small")));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.patch("there", "{'timeout':5}")));
        domain_.builder.release();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(running.get()));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(small.get()));
        // Alone it may be larger than all of it, and then there is room again.
        domain_.base.sourcesInWork = 1u << 20;
        domain_.restart();
        for (const char* word : {"one", "two"})
            CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.put("there", large("there", word))));
    }

    void aWaitingBuildSaysSo() {
        with(1, 8);
        auto running = domain_.begin(Domain::request(slow("running")));
        domain_.builder.untilWaiting();
        CPPUNIT_ASSERT_EQUAL(std::string("building running\n"), domain_.logOf("running", 1));
        auto sync = domain_.begin(Domain::request(quick("sync")));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.create(Domain::async(quick("async")))));
        for (const char* name : {"sync", "async"}) {
            const std::string log = domain_.logOf(name, 1);
            CPPUNIT_ASSERT_MESSAGE(log, log.starts_with("waiting for a free place to build: 1 "));
            const auto read = domain_.service->read(name);
            CPPUNIT_ASSERT_EQUAL(std::string(), why(read));
            CPPUNIT_ASSERT(read->version->state == VersionState::building);
        }
        domain_.builder.release();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(sync.get()));
        const std::string log = domain_.logOf("sync", 1);
        CPPUNIT_ASSERT_MESSAGE(log, log.find("building sync") != log.npos);
    }

    void savesOfOneFunctionComeInTheirOrder() {
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.create(quick("hello"))));
        auto first = domain_.begin(Domain::request("{'code':'WAIT'}"), "hello");
        domain_.builder.untilWaiting();
        std::vector<std::future<base::Result<Saved>>> behind;
        for (int i = 2; i <= 9; ++i)
            behind.push_back(domain_.begin(
                Domain::request("{'timeout':" + std::to_string(i) + "}"), "hello"));
        domain_.builder.release();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(first.get()));
        uint64_t revision = 2;
        for (auto& one : behind) {
            const auto saved = one.get();
            CPPUNIT_ASSERT_EQUAL(std::string(), why(saved));
            CPPUNIT_ASSERT_EQUAL(++revision, saved->entry->function.revision);
        }
    }

    void whatWantsAnAnswerAtOnceDoesNotWaitForASave() {
        domain_.base.asyncLockWait = std::chrono::milliseconds(1);
        domain_.restart();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.create(quick("hello"))));
        auto running = domain_.begin(Domain::request("{'code':'WAIT'}"), "hello");
        domain_.builder.untilWaiting();
        const auto refused = domain_.update("hello", Domain::async("{'code':'other'}"), false);
        CPPUNIT_ASSERT_EQUAL(std::string("save_in_progress"), reason(refused));
        domain_.builder.release();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(running.get()));
    }

    void waitingForASaveEnds() {
        domain_.base.lockWait = std::chrono::milliseconds(1);
        domain_.restart();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.create(quick("hello"))));
        auto running = domain_.begin(Domain::request("{'code':'WAIT'}"), "hello");
        domain_.builder.untilWaiting();
        CPPUNIT_ASSERT_EQUAL(std::string("save_in_progress"),
                             reason(domain_.patch("hello", "{'timeout':5}")));
        CPPUNIT_ASSERT_EQUAL(std::string("save_in_progress"), reason(domain_.remove("hello")));
        domain_.builder.release();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(running.get()));
        CPPUNIT_ASSERT_EQUAL(std::string(), reason(domain_.remove("hello")));
    }

    void fewMayWaitForOneFunction() {
        domain_.base.waitingSaves = 2;
        domain_.restart();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.create(quick("hello"))));
        auto running = domain_.begin(Domain::request("{'code':'WAIT'}"), "hello");
        domain_.builder.untilWaiting();
        auto one = domain_.begin(Domain::request("{'timeout':5}"), "hello");
        auto two = domain_.begin(Domain::request("{'timeout':6}"), "hello");
        const auto refused = domain_.patch("hello", "{'timeout':7}");
        CPPUNIT_ASSERT_EQUAL(std::string("control_busy"), reason(refused));
        CPPUNIT_ASSERT_EQUAL(std::string("2 waiting requests"), refused.failure().limit);
        domain_.builder.release();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(running.get()));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(one.get()));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(two.get()));
    }

    void aNewNameIsWaitedFor() {
        auto first = domain_.begin(Domain::request(slow("hello")));
        domain_.builder.untilWaiting();
        const auto again = domain_.create(quick("HELLO"));
        CPPUNIT_ASSERT_EQUAL(std::string("name_taken"), reason(again));
        const std::string id = domain_.registry->find("hello")->function.id;
        CPPUNIT_ASSERT_MESSAGE(again.failure().detail,
                               again.failure().detail.find("is being built") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(
            again.failure().hint,
            again.failure().hint.find(id + "/versions/1/build-log") != std::string::npos);
        domain_.builder.release();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(first.get()));
        const auto late = domain_.create(quick("hello"));
        CPPUNIT_ASSERT(late.failure().detail.find("exists already") != std::string::npos);
    }

    void oneOfSeveralCreatesOnly() {
        const auto creation = [](const std::string& code) {
            auto request = Domain::request("{'runtime':'toy','code':'" + code + "'}");
            request.createOnly = true;
            return request;
        };
        for (const std::string first : {"WAIT", "WAIT BROKEN"}) {
            const std::string name = first == "WAIT" ? "good" : "bad";
            domain_.builder.hold();
            std::vector<std::future<base::Result<Saved>>> asked;
            asked.push_back(domain_.begin(creation(first), name, true));
            domain_.builder.untilWaiting();
            for (const char* code : {"one", "two"})
                asked.push_back(domain_.begin(creation(code), name, true));
            // Nothing is there yet: the first one may come to nothing.
            CPPUNIT_ASSERT(domain_.service->checkPresence(name, creation("late")));
            domain_.builder.release();
            std::multiset<std::string> reasons;
            for (auto& one : asked) reasons.insert(reason(one.get()));
            std::multiset<std::string> expected{"", "precondition_failed", "precondition_failed"};
            if (name == "bad") expected = {"", "build_failed", "precondition_failed"};
            CPPUNIT_ASSERT(expected == reasons);
            CPPUNIT_ASSERT_EQUAL(uint64_t{1}, domain_.registry->find(name)->shown().number);
            CPPUNIT_ASSERT_EQUAL(std::string("precondition_failed"),
                                 reason(domain_.service->checkPresence(name, creation("late"))));
        }
    }

    void whatIsToBeThereIsLookedForAgain() {
        auto first = domain_.begin(Domain::request("{'name':'new','runtime':'toy','code':'WAIT BROKEN'}"));
        domain_.builder.untilWaiting();
        auto change = Domain::request("{'runtime':'toy','code':'other'}");
        change.changeOnly = true;
        CPPUNIT_ASSERT(domain_.service->checkPresence("new", change));
        auto second = domain_.begin(std::move(change), "new", true);
        domain_.builder.release();
        CPPUNIT_ASSERT_EQUAL(std::string("build_failed"), reason(first.get()));
        CPPUNIT_ASSERT_EQUAL(std::string("precondition_failed"), reason(second.get()));
        CPPUNIT_ASSERT(!domain_.service->find("new"));
    }

    void aNameIsWhatItLeadsToWhenItsTurnComes() {
        // Each waits for a build that gives the function another name.
        const auto renamed = [&](const std::string& from, const std::string& to, auto behind) {
            domain_.builder.hold();
            auto rename = domain_.begin(
                Domain::request("{'name':'" + to + "','code':'WAIT " + to + "'}"), from);
            domain_.builder.untilWaiting();
            behind();
            domain_.builder.release();
            CPPUNIT_ASSERT_EQUAL(std::string(), why(rename.get()));
        };
        const auto answer = [](auto& given) {
            return [&given](auto result) { given.set_value(std::move(result)); };
        };
        const auto first = domain_.create(quick("a"));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(first));
        const std::string id = first->entry->function.id;

        std::promise<base::Result<Saved>> patched, byId, put;
        renamed("a", "b", [&] {
            auto& service = *domain_.service;
            service.update("a", Domain::request("{'timeout':5}"), false, answer(patched));
            service.update(id, Domain::request("{'timeout':6}"), false, answer(byId));
            service.update("a", Domain::request(quick("a")), true, answer(put));
        });
        CPPUNIT_ASSERT_EQUAL(std::string("not_found"), reason(patched.get_future().get()));
        const auto changed = byId.get_future().get();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(changed));
        CPPUNIT_ASSERT_EQUAL(std::string("b"), changed->entry->function.name);
        const auto made = put.get_future().get();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(made));
        CPPUNIT_ASSERT(made->created && made->entry->function.id != id);

        std::promise<base::Result<void>> deleted;
        renamed("b", "c",
                [&] { domain_.service->remove("b", {}, std::nullopt, answer(deleted)); });
        CPPUNIT_ASSERT_EQUAL(std::string("not_found"), reason(deleted.get_future().get()));
        CPPUNIT_ASSERT_EQUAL(id, domain_.registry->find("c")->function.id);
    }

    void aFullPlatformChangesNothing() {
        const auto made = domain_.create(quick("hello"));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(made));
        const auto versions = [&] {
            return domain_.service->versions(*domain_.registry->find("hello"))->size();
        };
        CPPUNIT_ASSERT_EQUAL(std::string("platform_full"),
                             reason(domain_.patch("hello", "{'code':'NOPLACE'}")));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, versions());
        CPPUNIT_ASSERT_EQUAL(made->entry->function.revision,
                             domain_.registry->find("hello")->function.revision);
        CPPUNIT_ASSERT_EQUAL(uint64_t{2},
                             domain_.patch("hello", "{'code':'2'}")->entry->shown().number);
        auto unheard = Domain::request("{'name':'new','runtime':'toy','code':'NOPLACE'}");
        unheard.callerGone = [] { return true; };
        CPPUNIT_ASSERT_EQUAL(std::string("platform_full"),
                             reason(domain_.create(std::move(unheard))));
        CPPUNIT_ASSERT(!domain_.service->find("new"));
        // What was stored before it was built says what became of it.
        CPPUNIT_ASSERT_EQUAL(
            std::string(),
            why(domain_.update("hello", Domain::async("{'code':'NOPLACE'}"), false)));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain_.patch("hello", "{'timeout':5}")));
        CPPUNIT_ASSERT_EQUAL(size_t{3}, versions());
    }

    void whatWaitsAtTheEndIsDropped() {
        with(1, 8);
        auto running = domain_.begin(Domain::request(slow("running")));
        domain_.builder.untilWaiting();
        auto queued = domain_.begin(Domain::request(slow("queued")));
        auto locked = domain_.begin(Domain::request("{'timeout':5}"), "running");
        std::thread end([&] { domain_.service.reset(); });
        CPPUNIT_ASSERT_THROW(static_cast<void>(queued.get()), std::future_error);
        domain_.builder.release();
        end.join();
        CPPUNIT_ASSERT_EQUAL(std::string(), why(running.get()));
        // Either it was its turn before the end, or it was dropped.
        try {
            CPPUNIT_ASSERT_EQUAL(std::string(), why(locked.get()));
        } catch (const std::future_error&) {
        }
        domain_.open();
        CPPUNIT_ASSERT(domain_.service->find("running") && !domain_.service->find("queued"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(WaitingTest);

}  // namespace cf::functions::test
