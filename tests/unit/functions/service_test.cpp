// The life of a save, with fake executors and workers.
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <thread>

#include "fakes.hpp"

namespace cf::functions::test {

class ServiceTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ServiceTest);
    CPPUNIT_TEST(createGoesLive);
    CPPUNIT_TEST(namesAreUniqueWithoutCase);
    CPPUNIT_TEST(whatDoesNotBuildLeavesNothing);
    CPPUNIT_TEST(whatDoesNotLoadLeavesNothing);
    CPPUNIT_TEST(aRefusedHandlerIsNamed);
    CPPUNIT_TEST(absentStaysNullIsDefaultObjectsAreReplaced);
    CPPUNIT_TEST(settingsMakeNoVersion);
    CPPUNIT_TEST(nothingChangedChangesNothing);
    CPPUNIT_TEST(aFailedUpdateKeepsTheOldVersion);
    CPPUNIT_TEST(aVersionThatDoesNotLoadIsKeptAsFailed);
    CPPUNIT_TEST(codeAndFilesReplaceEachOther);
    CPPUNIT_TEST(aliasesWithTheirOwnFileAreKept);
    CPPUNIT_TEST(readOnlyFieldsMayBeSentBack);
    CPPUNIT_TEST(ifRevisionGuards);
    CPPUNIT_TEST(putCreatesOnlyWholeDocuments);
    CPPUNIT_TEST(renames);
    CPPUNIT_TEST(removes);
    CPPUNIT_TEST(savesOfOneFunctionWait);
    CPPUNIT_TEST(twoCreationsOfOneName);
    CPPUNIT_TEST(differentFunctionsBuildSideBySide);
    CPPUNIT_TEST(aFirstVersionIsSeenWhileItIsBuilt);
    CPPUNIT_TEST(whatBecameOfARefusedOneIsTold);
    CPPUNIT_TEST(aFailedFirstVersionIsKeptWhenNobodyHears);
    CPPUNIT_TEST(aPutBehindAFailingCreationCreates);
    CPPUNIT_TEST(answersBeforeTheBuild);
    CPPUNIT_TEST(nothingIsReadyBeforeCallsReachIt);
    CPPUNIT_TEST(anAsyncFailureStaysReadable);
    CPPUNIT_TEST(listsInPages);
    CPPUNIT_TEST(listsOfRuntimesThatAreNotThere);
    CPPUNIT_TEST(dropsOldVersions);
    CPPUNIT_TEST(dropsOldFailedVersions);
    CPPUNIT_TEST(aFullDiskRefusesSaves);
    CPPUNIT_TEST_SUITE_END();

    Domain domain_;

    static constexpr const char* simple = "{'name':'hello','runtime':'toy','code':'one'}";

    Saved must(base::Result<Saved> result) {
        CPPUNIT_ASSERT_MESSAGE(why(result), bool(result));
        return std::move(*result);
    }
    std::string reason(const base::Result<Saved>& result) {
        return result ? "" : result.failure().reason;
    }
    void expectEvents(std::vector<std::string> wanted) {
        std::string got;
        const auto events = domain_.activator.take();
        for (const auto& event : events) got += event + "; ";
        CPPUNIT_ASSERT_MESSAGE(got, wanted == events);
    }

    void createGoesLive() {
        const Saved saved = must(domain_.create(simple));
        CPPUNIT_ASSERT(saved.created && saved.entry->callable());
        CPPUNIT_ASSERT(saved.entry->function.id.starts_with("fn_") &&
                       saved.entry->function.id.size() == 29);
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, saved.entry->function.revision);
        CPPUNIT_ASSERT_EQUAL(std::string("handler"), saved.version->spec.handler);
        CPPUNIT_ASSERT_EQUAL(std::string("main.toy"), saved.version->sources->front().name);
        expectEvents({"activate hello 1", "commit hello 1"});
        CPPUNIT_ASSERT(domain_.registry->find("HELLO") ==
                       domain_.registry->find(saved.entry->function.id));
    }

    void namesAreUniqueWithoutCase() {
        must(domain_.create(simple));
        CPPUNIT_ASSERT_EQUAL(std::string("name_taken"),
                             reason(domain_.create("{'name':'HeLLo','runtime':'toy','code':'x'}")));
    }

    void whatDoesNotBuildLeavesNothing() {
        const auto result = domain_.create("{'name':'hello','runtime':'toy','code':'BROKEN'}");
        CPPUNIT_ASSERT_EQUAL(std::string("build_failed"), reason(result));
        CPPUNIT_ASSERT_EQUAL(uint32_t{3}, result.failure().remarks.at(0).line);
        CPPUNIT_ASSERT_EQUAL(size_t{0}, domain_.registry->size());
        domain_.restart();
        CPPUNIT_ASSERT_EQUAL(size_t{0}, domain_.registry->size());
        must(domain_.create(simple));
    }

    void whatDoesNotLoadLeavesNothing() {
        const auto result = domain_.create("{'name':'hello','runtime':'toy','code':'NOLOAD'}");
        CPPUNIT_ASSERT_EQUAL(std::string("build_failed"), reason(result));
        CPPUNIT_ASSERT(result.failure().detail.find("ImportError") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("add it"), result.failure().hint);
        CPPUNIT_ASSERT_EQUAL(size_t{0}, domain_.registry->size());
        must(domain_.create(simple));
    }

    void aRefusedHandlerIsNamed() {
        const auto result =
            domain_.create("{'name':'hello','runtime':'toy','code':'x','handler':'1bad'}");
        CPPUNIT_ASSERT_EQUAL(std::string("invalid_function"), reason(result));
        CPPUNIT_ASSERT_EQUAL(std::string("/handler"), result.failure().fields.at(0).pointer);
        CPPUNIT_ASSERT_EQUAL(0, domain_.builder.builds.load());
    }

    void absentStaysNullIsDefaultObjectsAreReplaced() {
        must(
            domain_.create("{'name':'hello','runtime':'toy','code':'one','timeout':7,'description':"
                           "'d','environment':{'A':'1','B':'2'}}"));
        Saved saved = must(domain_.patch("hello", "{'memory':64}"));
        CPPUNIT_ASSERT_EQUAL(int64_t{7000},
                             int64_t{saved.entry->function.settings.timeout.count()});
        CPPUNIT_ASSERT_EQUAL(uint32_t{64}, saved.entry->function.settings.memoryMb);
        CPPUNIT_ASSERT_EQUAL(std::string("one"), saved.version->sources->front().content);
        saved = must(
            domain_.patch("hello", "{'timeout':null,'description':null,'environment':{'C':'3'}}"));
        CPPUNIT_ASSERT_EQUAL(int64_t{30000},
                             int64_t{saved.entry->function.settings.timeout.count()});
        CPPUNIT_ASSERT_EQUAL(std::string(), saved.entry->function.description);
        CPPUNIT_ASSERT((Environment{{"C", "3"}}) == saved.version->spec.environment);
        CPPUNIT_ASSERT_EQUAL(uint64_t{2}, saved.version->number);
    }

    void settingsMakeNoVersion() {
        must(domain_.create(simple));
        domain_.activator.take();
        const Saved saved = must(domain_.patch(
            "hello",
            "{'timeout':9,'memory':64,'concurrency':3,'description':'x','labels':{'a':'b'}}"));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, saved.version->number);
        CPPUNIT_ASSERT_EQUAL(uint64_t{2}, saved.entry->function.revision);
        CPPUNIT_ASSERT_EQUAL(1, domain_.builder.builds.load());
        expectEvents({"settings hello 1"});
    }

    void nothingChangedChangesNothing() {
        const Saved before = must(domain_.create(
            "{'name':'hello','runtime':'toy','code':'one','environment':{'A':'1','B':'2'}}"));
        const Saved after = must(domain_.patch(
            "hello",
            "{'runtime':'toylang','code':'one','timeout':30,'environment':{'B':'2','A':'1'}}"));
        CPPUNIT_ASSERT(before.entry->function.revision == after.entry->function.revision);
        CPPUNIT_ASSERT(before.entry->function.updatedAtMs == after.entry->function.updatedAtMs);
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, after.version->number);
    }

    void aFailedUpdateKeepsTheOldVersion() {
        const Saved before = must(domain_.create(simple));
        domain_.activator.take();
        const auto result = domain_.patch("hello", "{'code':'BROKEN','timeout':5}");
        CPPUNIT_ASSERT_EQUAL(std::string("build_failed"), reason(result));
        expectEvents({});
        for (int round = 0; round < 2; ++round) {
            const auto entry = domain_.registry->find("hello");
            CPPUNIT_ASSERT_EQUAL(uint64_t{1}, entry->shown().number);
            CPPUNIT_ASSERT_MESSAGE("its ETag still holds",
                                   before.entry->function.revision == entry->function.revision);
            CPPUNIT_ASSERT_EQUAL(int64_t{30000}, int64_t{entry->function.settings.timeout.count()});
            const auto failed = domain_.service->version(*entry, 2);
            CPPUNIT_ASSERT_MESSAGE(why(failed), bool(failed));
            CPPUNIT_ASSERT((*failed)->state == VersionState::failed);
            CPPUNIT_ASSERT_EQUAL(std::string("BROKEN"), (*failed)->sources->front().content);
            CPPUNIT_ASSERT_EQUAL(std::string("BROKEN is no word"),
                                 (*failed)->remarks.at(0).message);
            CPPUNIT_ASSERT((*failed)->failure->detail == "the source does not compile");
            const auto log = domain_.service->buildLog(*entry, 2);
            CPPUNIT_ASSERT(log && log->find("building hello") != std::string::npos);
            domain_.restart();
        }
        CPPUNIT_ASSERT_EQUAL(uint64_t{3},
                             must(domain_.patch("hello", "{'code':'two'}")).version->number);
    }

    void aVersionThatDoesNotLoadIsKeptAsFailed() {
        must(domain_.create(simple));
        domain_.activator.take();
        CPPUNIT_ASSERT_EQUAL(std::string("build_failed"),
                             reason(domain_.patch("hello", "{'code':'NOLOAD'}")));
        expectEvents({"activate hello 2"});
        const auto entry = domain_.registry->find("hello");
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, entry->shown().number);
        CPPUNIT_ASSERT((*domain_.service->version(*entry, 2))->state == VersionState::failed);
    }

    void codeAndFilesReplaceEachOther() {
        must(domain_.create(simple));
        Saved saved =
            must(domain_.patch("hello", "{'code':null,'files':{'a.toy':'x','b.toy':'y'}}"));
        CPPUNIT_ASSERT(!saved.version->spec.fromCode && saved.version->sources->size() == 2);
        saved = must(domain_.patch("hello", "{'code':'again','files':null}"));
        CPPUNIT_ASSERT(saved.version->spec.fromCode && saved.version->sources->size() == 1);
        CPPUNIT_ASSERT_EQUAL(uint64_t{3}, saved.version->number);
        CPPUNIT_ASSERT_EQUAL(std::string("invalid_function"),
                             reason(domain_.patch("hello", "{'code':'a','files':{'b':'c'}}")));
    }

    void aliasesWithTheirOwnFileAreKept() {
        Saved saved = must(domain_.create("{'name':'hello','runtime':'typedtoy','code':'one'}"));
        CPPUNIT_ASSERT_EQUAL(std::string("toy"), saved.version->spec.runtime);
        CPPUNIT_ASSERT_EQUAL(std::string("typedtoy"), saved.version->spec.runtimeAlias);
        CPPUNIT_ASSERT_EQUAL(std::string("main.tt"), saved.version->sources->front().name);
        saved = must(domain_.patch("hello", "{'runtime':'toylang'}"));
        CPPUNIT_ASSERT_EQUAL(std::string("toy"), saved.version->spec.runtimeAlias);
        CPPUNIT_ASSERT_EQUAL(std::string("main.toy"), saved.version->sources->front().name);
        CPPUNIT_ASSERT_EQUAL(std::string("one"), saved.version->sources->front().content);
    }

    void readOnlyFieldsMayBeSentBack() {
        const Saved saved = must(domain_.create(simple));
        std::string text = functionDocument(*saved.entry, *saved.version);
        const auto at = text.find("\"timeout\":30");
        text.replace(at, 12, "\"timeout\":8");
        const Saved after = must(domain_.put("hello", text));
        CPPUNIT_ASSERT_EQUAL(int64_t{8000},
                             int64_t{after.entry->function.settings.timeout.count()});
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, after.version->number);
        const auto refused =
            domain_.patch("hello", "{'live':[{'version':2,'weight':100}],'state':'ready'}");
        CPPUNIT_ASSERT(!refused && refused.failure().fields.size() == 1 &&
                       refused.failure().fields[0].pointer == "/live");
    }

    void ifRevisionGuards() {
        const Saved saved = must(domain_.create(simple));
        auto request = Domain::request("{'timeout':8}");
        request.ifRevision = saved.entry->function.revision;
        must(domain_.update("hello", request, false));
        request.patch.timeout.value = std::chrono::milliseconds(9000);
        CPPUNIT_ASSERT_EQUAL(std::string("precondition_failed"),
                             reason(domain_.update("hello", request, false)));
        const auto removed = domain_.remove("hello", saved.entry->function.revision);
        CPPUNIT_ASSERT(!removed && removed.failure().reason == "precondition_failed");
        CPPUNIT_ASSERT_EQUAL(
            int64_t{8000},
            int64_t{domain_.registry->find("hello")->function.settings.timeout.count()});
    }

    void putCreatesOnlyWholeDocuments() {
        CPPUNIT_ASSERT_EQUAL(std::string("not_found"), reason(domain_.put("new", "{'timeout':5}")));
        CPPUNIT_ASSERT_EQUAL(std::string("invalid_function"),
                             reason(domain_.put("new", "{'runtime':'toy'}")));
        CPPUNIT_ASSERT_EQUAL(
            std::string("invalid_function"),
            reason(domain_.put("new", "{'name':'other','runtime':'toy','code':'x'}")));
        CPPUNIT_ASSERT_EQUAL(std::string("not_found"),
                             reason(domain_.put("fn_x", "{'runtime':'toy','code':'x'}")));
        CPPUNIT_ASSERT_EQUAL(std::string("not_found"),
                             reason(domain_.patch("new", "{'runtime':'toy','code':'x'}")));
        for (const char* name : {"..", "-a", "a b", "FN_x", "a/b", ""})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(name, std::string("invalid_function"),
                                         reason(domain_.put(name, "{'runtime':'toy','code':'x'}")));
        CPPUNIT_ASSERT_EQUAL(size_t{0}, domain_.registry->size());
        CPPUNIT_ASSERT(must(domain_.put("new", "{'runtime':'toy','code':'x'}")).created);
        CPPUNIT_ASSERT(!must(domain_.put("new", "{'runtime':'toy','code':'x'}")).created);
    }

    void renames() {
        must(domain_.create(simple));
        must(domain_.create("{'name':'other','runtime':'toy','code':'x'}"));
        CPPUNIT_ASSERT_EQUAL(std::string("name_taken"),
                             reason(domain_.patch("hello", "{'name':'OTHER'}")));
        must(domain_.patch("hello", "{'name':'Hello'}"));
        CPPUNIT_ASSERT_EQUAL(std::string("Hello"), domain_.registry->find("hello")->function.name);
        must(domain_.patch("hello", "{'name':'fresh'}"));
        CPPUNIT_ASSERT(!domain_.registry->find("hello") && domain_.registry->find("fresh"));
        must(domain_.create(simple));
    }

    void removes() {
        const std::string id = must(domain_.create(simple)).entry->function.id;
        domain_.activator.take();
        CPPUNIT_ASSERT(domain_.remove("HELLO"));
        expectEvents({"remove " + id});
        CPPUNIT_ASSERT(!domain_.service->find("hello") && !domain_.service->find(id));
        CPPUNIT_ASSERT(!domain_.remove("hello"));
        domain_.restart();
        CPPUNIT_ASSERT_EQUAL(size_t{0}, domain_.registry->size());
        must(domain_.create(simple));
    }

    void savesOfOneFunctionWait() {
        must(domain_.create(simple));
        std::vector<std::thread> threads;
        std::atomic<int> good{0};
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&, i] {
                good += bool(domain_.patch("hello", "{'code':'v" + std::to_string(i) + "'}"));
            });
        for (auto& thread : threads) thread.join();
        CPPUNIT_ASSERT_EQUAL(4, good.load());
        CPPUNIT_ASSERT_EQUAL(uint64_t{5}, domain_.registry->find("hello")->shown().number);
        CPPUNIT_ASSERT_EQUAL(size_t{5},
                             domain_.service->versions(*domain_.registry->find("hello"))->size());
    }

    void twoCreationsOfOneName() {
        std::vector<std::thread> threads;
        std::atomic<int> good{0}, taken{0};
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&, i] {
                const auto result = domain_.create("{'name':'hello','runtime':'toy','code':'v" +
                                                   std::to_string(i) + "'}");
                good += bool(result);
                taken += reason(result) == "name_taken";
            });
        for (auto& thread : threads) thread.join();
        CPPUNIT_ASSERT_EQUAL(1, good.load());
        CPPUNIT_ASSERT_EQUAL(3, taken.load());
    }

    void differentFunctionsBuildSideBySide() {
        std::vector<std::thread> threads;
        std::atomic<int> good{0};
        for (int i = 0; i < 3; ++i)
            threads.emplace_back([&, i] {
                good += bool(domain_.create("{'name':'f" + std::to_string(i) +
                                            "','runtime':'toy','code':'WAIT " + std::to_string(i) +
                                            "'}"));
            });
        domain_.builder.untilWaiting(3);
        domain_.builder.release();
        for (auto& thread : threads) thread.join();
        CPPUNIT_ASSERT_EQUAL(3, good.load());
    }

    void aFirstVersionIsSeenWhileItIsBuilt() {
        base::Result<Saved> made = base::Failure{};
        std::thread creation(
            [&] { made = domain_.create("{'name':'hello','runtime':'toy','code':'WAIT'}"); });
        domain_.builder.untilWaiting();
        const auto read = domain_.service->read("hello");
        const std::string why = test::why(read);
        const auto entry = domain_.registry->find("hello");
        const auto version = domain_.service->version(*entry, 1);
        const auto list = domain_.service->versions(*entry);
        const auto log = domain_.service->readBuildLog(*entry, 1, 0, 1000);
        const std::string again = reason(domain_.create(simple));
        domain_.builder.release();
        creation.join();
        CPPUNIT_ASSERT_EQUAL(std::string(), why);
        CPPUNIT_ASSERT(!entry->callable() && entry->shown().state == VersionState::building);
        CPPUNIT_ASSERT_EQUAL(std::string("WAIT"), read->version->sources->front().content);
        CPPUNIT_ASSERT((*version)->sources && (*version)->state == VersionState::building);
        CPPUNIT_ASSERT(list->size() == 1 && !list->front()->sources);
        CPPUNIT_ASSERT(log->text.find("building hello") != log->text.npos && !log->ended);
        CPPUNIT_ASSERT_EQUAL(std::string("name_taken"), again);
        CPPUNIT_ASSERT(must(std::move(made)).entry->callable());
    }

    void whatBecameOfARefusedOneIsTold() {
        std::string failed;
        std::thread creation([&] {
            failed =
                reason(domain_.create("{'name':'hello','runtime':'toy','code':'WAIT BROKEN'}"));
        });
        domain_.builder.untilWaiting();
        const auto entry = domain_.registry->find("hello");
        domain_.builder.release();
        creation.join();
        CPPUNIT_ASSERT_EQUAL(std::string("build_failed"), failed);
        CPPUNIT_ASSERT(!domain_.registry->find("hello") && entry);
        const auto log = domain_.service->readBuildLog(*entry, 1, 0, 1000);
        CPPUNIT_ASSERT(log && log->ended && log->state == VersionState::failed);
        CPPUNIT_ASSERT(log->text.find("BROKEN is no word") != log->text.npos);
        const auto version = domain_.service->version(*entry, 1);
        CPPUNIT_ASSERT(version && (*version)->failure->reason == "build_failed");
        CPPUNIT_ASSERT(!(*version)->sources);  // many may be kept, whatever was sent
        must(domain_.create(simple));
    }

    void aFailedFirstVersionIsKeptWhenNobodyHears() {
        for (const std::string code : {"BROKEN", "NOLOAD"}) {
            auto request =
                Domain::request("{'name':'" + code + "','runtime':'toy','code':'" + code + "'}");
            request.callerGone = [] { return true; };
            CPPUNIT_ASSERT_EQUAL(std::string("build_failed"),
                                 reason(domain_.create(std::move(request))));
            domain_.restart();
            const auto entry = domain_.registry->find(code);
            CPPUNIT_ASSERT(entry && !entry->callable() &&
                           entry->shown().state == VersionState::failed);
            CPPUNIT_ASSERT(domain_.service->buildLog(*entry, 1)->find("building " + code) !=
                           std::string::npos);
            CPPUNIT_ASSERT(must(domain_.patch(code, "{'code':'good'}")).entry->callable());
        }
    }

    void aPutBehindAFailingCreationCreates() {
        std::thread creation(
            [&] { static_cast<void>(domain_.create("{'name':'hello','runtime':'toy','code':'WAIT BROKEN'}")); });
        domain_.builder.untilWaiting();
        base::Result<Saved> put = base::Failure{};
        std::thread second([&] { put = domain_.put("hello", simple); });
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        domain_.builder.release();
        creation.join();
        second.join();
        CPPUNIT_ASSERT(must(std::move(put)).created);
    }

    void answersBeforeTheBuild() {
        auto request = Domain::request("{'name':'hello','runtime':'toy','code':'WAIT'}");
        request.async = true;
        const Saved saved = must(domain_.create(std::move(request)));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, saved.building);
        CPPUNIT_ASSERT(saved.entry->shown().state == VersionState::building &&
                       !saved.entry->callable());
        domain_.builder.untilWaiting();
        CPPUNIT_ASSERT_EQUAL(std::string("name_taken"), reason(domain_.create(simple)));
        CPPUNIT_ASSERT(domain_.service->buildLog(*saved.entry, 1)->find("building hello") !=
                       std::string::npos);
        CPPUNIT_ASSERT((*domain_.service->versions(*saved.entry)).at(0)->state ==
                       VersionState::building);
        CPPUNIT_ASSERT_EQUAL(std::string("function_not_ready"),
                             domain_.service->whyNotCallable(*saved.entry).reason);
        domain_.builder.release();
        // The save waits until the build behind the answer is done.
        CPPUNIT_ASSERT_EQUAL(uint64_t{2},
                             must(domain_.patch("hello", "{'code':'two'}")).version->number);
        CPPUNIT_ASSERT((*domain_.service->version(*domain_.registry->find("hello"), 1))->state ==
                       VersionState::ready);
    }

    void anAsyncFailureStaysReadable() {
        auto request = Domain::request("{'name':'hello','runtime':'toy','code':'BROKEN'}");
        request.async = true;
        must(domain_.create(std::move(request)));
        const auto same = domain_.patch("hello", "{'code':'BROKEN'}");
        CPPUNIT_ASSERT_MESSAGE("the same code is tried again", reason(same) == "build_failed");
        const auto entry = domain_.registry->find("hello");
        CPPUNIT_ASSERT_EQUAL(uint64_t{2}, entry->shown().number);
        CPPUNIT_ASSERT(domain_.service->whyNotCallable(*entry).detail.find("does not compile") !=
                       std::string::npos);
        const Saved good = must(domain_.patch("hello", "{'code':'good'}"));
        CPPUNIT_ASSERT(good.entry->callable() && good.version->number == 3);
    }

    void nothingIsReadyBeforeCallsReachIt() {
        std::vector<VersionState> seen;
        domain_.activator.onCommit = [&](const LiveFunction& now) {
            const FunctionEntry& entry = *now.entry;
            const uint64_t number = now.live.front().version->number;
            seen.push_back((*domain_.service->version(entry, number))->state);
            seen.push_back(domain_.service->versions(entry)->front()->state);
            seen.push_back(domain_.service->readBuildLog(entry, number, 0, 1000)->state);
        };
        const auto all = [&](VersionState state, size_t count) {
            return seen.size() == count && std::ranges::all_of(seen, [&](auto s) { return s == state; });
        };
        must(domain_.create(simple));
        CPPUNIT_ASSERT(all(VersionState::building, 3));
        must(domain_.patch("hello", "{'code':'two'}"));
        CPPUNIT_ASSERT(all(VersionState::building, 6));
        // What this one stores before its build begins is nothing to be taken for the version.
        must(domain_.update("hello", Domain::async("{'code':'three'}"), false));
        must(domain_.patch("hello", "{'code':'four'}"));
        CPPUNIT_ASSERT(all(VersionState::building, 12));
        const auto entry = domain_.registry->find("hello");
        const auto versions = domain_.service->versions(*entry);
        CPPUNIT_ASSERT_EQUAL(size_t{4}, versions->size());
        for (const auto& version : *versions)
            CPPUNIT_ASSERT(version->state == VersionState::ready);
        CPPUNIT_ASSERT((*domain_.service->version(*entry, 4))->state == VersionState::ready);
    }

    void listsInPages() {
        for (int i = 0; i < 7; ++i)
            must(domain_.create("{'name':'Page-" + std::to_string(i) +
                                "','runtime':'toy','code':'x','description':'Find THIS'}"));
        must(domain_.create("{'name':'zz','runtime':'typedtoy','code':'x'}"));
        std::vector<std::string> names;
        std::string cursor;
        int pages = 0;
        do {
            const auto page = domain_.service->list(
                {.limit = 3, .cursor = cursor, .runtime = "", .query = "pAgE"});
            for (const auto& entry : page->functions) names.push_back(entry->function.name);
            cursor = page->nextCursor;
            ++pages;
        } while (!cursor.empty());
        CPPUNIT_ASSERT_EQUAL(3, pages);
        // Between those that are wanted lie many that are not.
        const auto last = domain_.service->list(
            {.limit = 1, .cursor = "", .runtime = "typedtoy", .query = "Z"});
        CPPUNIT_ASSERT_EQUAL(size_t{1}, last->functions.size());
        CPPUNIT_ASSERT_EQUAL(std::string(), last->nextCursor);
        CPPUNIT_ASSERT_EQUAL(size_t{7}, names.size());
        CPPUNIT_ASSERT_EQUAL(std::string("Page-6"), names.back());
        CPPUNIT_ASSERT_EQUAL(
            size_t{7},
            domain_.service->list({.limit = 100, .cursor = "", .runtime = "", .query = "this"})
                ->functions.size());
        CPPUNIT_ASSERT_EQUAL(
            size_t{8},
            domain_.service->list({.limit = 100, .cursor = "", .runtime = "toylang", .query = ""})
                ->functions.size());
        CPPUNIT_ASSERT_EQUAL(
            size_t{0},
            domain_.service->list({.limit = 100, .cursor = "", .runtime = "gone", .query = ""})
                ->functions.size());
    }

    void listsOfRuntimesThatAreNotThere() {
        const auto list = [this](const char* runtime) {
            return domain_.service->list(
                {.limit = 100, .cursor = "", .runtime = runtime, .query = ""});
        };
        must(domain_.create("{'name':'a','runtime':'toy','code':'x'}"));
        const auto unknown = list("ruby");
        CPPUNIT_ASSERT(!unknown);
        CPPUNIT_ASSERT_EQUAL(std::string("invalid_query"), unknown.failure().reason);
        CPPUNIT_ASSERT_EQUAL(std::string("there is no runtime \"ruby\""), unknown.failure().detail);
        CPPUNIT_ASSERT_EQUAL(std::string("known runtimes are gone, toy"), unknown.failure().hint);
        CPPUNIT_ASSERT_EQUAL(size_t{0}, list("gone")->functions.size());
    }

    void dropsOldVersions() {
        domain_.base.retention.versions = 4;
        domain_.restart();
        must(domain_.create(simple));
        for (int i = 2; i <= 8; ++i)
            must(domain_.patch("hello", "{'code':'v" + std::to_string(i) + "'}"));
        const auto versions = domain_.service->versions(*domain_.registry->find("hello"));
        std::vector<uint64_t> numbers;
        for (const auto& version : *versions) numbers.push_back(version->number);
        CPPUNIT_ASSERT((std::vector<uint64_t>{8, 7, 6, 5}) == numbers);
        CPPUNIT_ASSERT(!domain_.service->sources(domain_.registry->find("hello")->function.id, 4));
    }

    std::vector<uint64_t> numbers(const std::string& name) {
        const auto versions = domain_.service->versions(*domain_.registry->find(name));
        std::vector<uint64_t> found;
        for (const auto& version : *versions) found.push_back(version->number);
        return found;
    }

    void dropsOldFailedVersions() {
        domain_.base.retention.versions = 4;
        domain_.restart();
        must(domain_.create(simple));
        must(domain_.patch("hello", "{'code':'two'}"));
        for (int i = 3; i <= 12; ++i)
            CPPUNIT_ASSERT_EQUAL(std::string("build_failed"),
                                 reason(domain_.patch("hello", "{'code':'BROKEN " +
                                                                   std::to_string(i) + "'}")));
        // The live one and the one before it, however old, and the newest of those that failed.
        CPPUNIT_ASSERT((std::vector<uint64_t>{12, 11, 2, 1}) == numbers("hello"));
        const auto entry = domain_.registry->find("hello");
        CPPUNIT_ASSERT_EQUAL(uint64_t{2}, entry->shown().number);
        CPPUNIT_ASSERT(!domain_.service->sources(entry->function.id, 10));
        CPPUNIT_ASSERT(!domain_.service->buildLog(*entry, 10));
        // One that never was ready keeps no more of them.
        auto request = Domain::request("{'name':'never','runtime':'toy','code':'BROKEN'}");
        request.async = true;
        must(domain_.create(std::move(request)));
        for (int i = 2; i <= 8; ++i)
            CPPUNIT_ASSERT_EQUAL(std::string("build_failed"),
                                 reason(domain_.patch("never", "{'code':'BROKEN " +
                                                                   std::to_string(i) + "'}")));
        CPPUNIT_ASSERT((std::vector<uint64_t>{8, 7, 6, 5}) == numbers("never"));
    }

    void aFullDiskRefusesSaves() {
        must(domain_.create(simple));
        ServiceOptions options{.dataDir = domain_.folder.path.string()};
        options.retention.minFreeDisk = 1.1;
        Registry registry;
        FunctionService full(options, *domain_.store, registry, domain_.catalog, domain_.builder,
                             domain_.activator);
        CPPUNIT_ASSERT(full.start());
        CPPUNIT_ASSERT_EQUAL(std::string("disk_full"),
                             reason(answerOf<Saved>([&](auto then) {
                                 full.update("hello", Domain::request("{'timeout':3}"), false,
                                             then);
                             })));
        CPPUNIT_ASSERT(
            answerOf<void>([&](auto then) { full.remove("hello", {}, std::nullopt, then); }));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ServiceTest);

}  // namespace cf::functions::test
