// Dependencies of functions: listed beside code, locked, installed once, kept as long as needed.
#include <cppunit/extensions/HelperMacros.h>

#include <future>
#include <thread>

#include "fakes.hpp"
#include "functions/dependencies.hpp"
#include "functions/layers.hpp"

namespace cf::functions::test {

namespace fs = std::filesystem;

class DependenciesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(DependenciesTest);
    CPPUNIT_TEST(listedOnesBecomeAManifest);
    CPPUNIT_TEST(absentStaysAndNullRemoves);
    CPPUNIT_TEST(filesWithTheirOwnManifest);
    CPPUNIT_TEST(refusedOnesAreNamed);
    CPPUNIT_TEST(anotherRuntimeWritesItsOwnManifest);
    CPPUNIT_TEST(remarksNameTheManifestOnlyToWhoWroteIt);
    CPPUNIT_TEST(sentBackAsReadChangesNothing);
    CPPUNIT_TEST(aLockIsKeptWithItsVersion);
    CPPUNIT_TEST(codeAloneKeepsTheLock);
    CPPUNIT_TEST(aChangedManifestIsResolvedAnew);
    CPPUNIT_TEST(anOldManifestFindsItsLockAgain);
    CPPUNIT_TEST(othersTakeAYoungLockOver);
    CPPUNIT_TEST(othersLeaveAnOldLockAlone);
    CPPUNIT_TEST(savesOfCodeKeepTheAgeOfALock);
    CPPUNIT_TEST(aFallbackKeepsTheAgeOfALock);
    CPPUNIT_TEST(anOldLockIsBetterThanNone);
    CPPUNIT_TEST(nullForgetsTheLock);
    CPPUNIT_TEST(locksSentBackMustBeTheSame);
    CPPUNIT_TEST(equalOnesAreInstalledOnce);
    CPPUNIT_TEST(waitingForOthersIsLogged);
    CPPUNIT_TEST(bytesAreCounted);
    CPPUNIT_TEST(aFailedInstallationLeavesNothing);
    CPPUNIT_TEST(liveVersionsNameTheirLayers);
    CPPUNIT_TEST(aMissingLayerIsMadeAgainFromTheSameLock);
    CPPUNIT_TEST(locksGoWithTheirFunction);
    CPPUNIT_TEST(aPatchReleaseOfTheToolchainKeepsLayers);
    CPPUNIT_TEST(anotherKindOfToolchainHasItsOwnLayers);
    CPPUNIT_TEST_SUITE_END();

    static constexpr const char* withNeeds =
        "{'name':'hello','runtime':'toy','code':'one','dependencies':['a@1','b']}";

    static void ok(const base::Result<Saved>& saved) {
        CPPUNIT_ASSERT_EQUAL(std::string(), why(saved));
    }
    static std::string lockOf(Domain& domain, const std::string& name) {
        const auto entry = domain.registry->find(name);
        const auto version = domain.service->version(*entry, entry->shown().number);
        return (*version)->locks.empty() ? "" : (*version)->locks.front().content;
    }
    static uint64_t number(Domain& domain, const std::string& name = "hello") {
        return domain.registry->find(name)->shown().number;
    }
    static size_t layers(Domain& domain) {
        size_t count = 0;
        for (const auto& entry : fs::directory_iterator(domain.folder.path / "layers"))
            count += entry.is_directory() ? 1 : 0;
        return count;
    }

    void listedOnesBecomeAManifest() {
        Domain domain;
        const auto saved = domain.create(withNeeds);
        CPPUNIT_ASSERT_EQUAL(std::string(), why(saved));
        const auto& sources = *saved->version->sources;
        CPPUNIT_ASSERT(sources.size() == 2 && sources[0].name == "main.toy" &&
                       sources[1] == (SourceFile{"needs.txt", "a@1\nb\n"}));
        const std::string document = functionDocument(*saved->entry, *saved->version);
        CPPUNIT_ASSERT(document.find(R"("code":"one","files":null,"dependencies":["a@1","b"])") !=
                       document.npos);
        domain.restart();
        const auto read = domain.service->read("hello");
        CPPUNIT_ASSERT_EQUAL(document, functionDocument(*read->entry, *read->version));
        const auto version = domain.service->version(*read->entry, 1);
        CPPUNIT_ASSERT(versionDocument(**version, true).find(R"("dependencies":["a@1","b"])") !=
                       document.npos);
    }

    void remarksNameTheManifestOnlyToWhoWroteIt() {
        Domain domain;
        const auto listed = domain.create(
            "{'name':'one','runtime':'toy','code':'x','dependencies':['a','NOSUCH']}");
        CPPUNIT_ASSERT(!listed);
        CPPUNIT_ASSERT_EQUAL(std::string("no NOSUCH"), listed.failure().detail);
        const auto& remark = listed.failure().remarks.at(0);
        CPPUNIT_ASSERT(remark.file.empty() && remark.line == 0 && remark.message == "no NOSUCH");
        CPPUNIT_ASSERT_EQUAL(std::string("building one\ndependencies: error: no NOSUCH\n"),
                             listed.failure().buildLog);
        const auto own = domain.create(
            "{'name':'one','runtime':'toy','files':{'main.toy':'x','needs.txt':'a\\nNOSUCH\\n'}}");
        CPPUNIT_ASSERT_EQUAL(std::string("needs.txt, line 2: no NOSUCH"), own.failure().detail);
        CPPUNIT_ASSERT(own.failure().remarks.at(0).file == "needs.txt" &&
                       own.failure().remarks.at(0).line == 2);
    }

    void absentStaysAndNullRemoves() {
        Domain domain;
        ok(domain.create(withNeeds));
        const auto code = domain.patch("hello", "{'code':'two'}");
        CPPUNIT_ASSERT((*code->version->sources)[0].content == "two");
        CPPUNIT_ASSERT_EQUAL(size_t{2}, code->version->sources->size());
        const auto removed = domain.patch("hello", "{'dependencies':null}");
        CPPUNIT_ASSERT(removed->version->sources->size() == 1 &&
                       removed->version->spec == VersionSpec(removed->entry->shown().spec));
        CPPUNIT_ASSERT(removed->version->spec.dependencies.empty() &&
                       removed->version->spec.dependenciesFile.empty());
        CPPUNIT_ASSERT_EQUAL(uint64_t{3}, number(domain));
        ok(domain.patch("hello", "{'dependencies':[]}"));
        CPPUNIT_ASSERT_EQUAL(uint64_t{3}, number(domain));
    }

    void filesWithTheirOwnManifest() {
        Domain domain;
        const auto both = domain.create(
            "{'name':'hello','runtime':'toy','files':{'main.toy':'x','needs.txt':'c'},"
            "'dependencies':['a']}");
        CPPUNIT_ASSERT(!both && both.failure().fields.at(0).pointer == "/dependencies");
        CPPUNIT_ASSERT(both.failure().detail.find("needs.txt") != std::string::npos);
        ok(domain.create(withNeeds));
        const auto files = domain.patch("hello", "{'files':{'main.toy':'x','Needs.txt':'c'}}");
        CPPUNIT_ASSERT_EQUAL(std::string(), why(files));
        CPPUNIT_ASSERT(files->version->spec.dependencies.empty());
        CPPUNIT_ASSERT_EQUAL(size_t{2}, files->version->sources->size());
        const auto without = domain.create(
            "{'name':'other','runtime':'toy','files':{'main.toy':'x'},'dependencies':['a']}");
        const std::string document = functionDocument(*without->entry, *without->version);
        CPPUNIT_ASSERT(document.find(R"("files":{"main.toy":"x"},"dependencies":["a"])") !=
                       document.npos);
    }

    void refusedOnesAreNamed() {
        Domain domain;
        const auto bad = domain.create(
            "{'name':'hello','runtime':'toy','code':'x','dependencies':['BAD','a','BAD@2']}");
        CPPUNIT_ASSERT(!bad && bad.failure().reason == "invalid_function");
        CPPUNIT_ASSERT_EQUAL(std::string("/dependencies/0"), bad.failure().fields.at(0).pointer);
        const auto none =
            domain.create("{'name':'hello','runtime':'typedtoy','code':'x','dependencies':['a']}");
        CPPUNIT_ASSERT_EQUAL(std::string("/dependencies"), none.failure().fields.at(0).pointer);
    }

    void anotherRuntimeWritesItsOwnManifest() {
        Domain domain;
        ok(domain.create(withNeeds));
        const auto moved = domain.patch("hello", "{'runtime':'typedtoy'}");
        CPPUNIT_ASSERT(!moved && moved.failure().fields.at(0).pointer == "/dependencies");
        const auto without = domain.patch("hello", "{'runtime':'typedtoy','dependencies':null}");
        CPPUNIT_ASSERT_EQUAL(std::string(), why(without));
        CPPUNIT_ASSERT_EQUAL(std::string("main.tt"), without->version->sources->at(0).name);
    }

    void sentBackAsReadChangesNothing() {
        Domain domain;
        ok(domain.create(withNeeds));
        domain.catalog.prefix = "written by a later release\n";
        const auto same =
            domain.put("hello", "{'runtime':'toy','code':'one','dependencies':['a@1','b']}");
        CPPUNIT_ASSERT_EQUAL(std::string(), why(same));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, number(domain));
        ok(domain.patch("hello", "{'dependencies':['b','a@1']}"));
        CPPUNIT_ASSERT_EQUAL(uint64_t{2}, number(domain));
    }

    void aLockIsKeptWithItsVersion() {
        Domain domain;
        ok(domain.create(withNeeds));
        domain.restart();
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 1"), lockOf(domain, "hello"));
        const auto entry = domain.registry->find("hello");
        CPPUNIT_ASSERT(entry->shown().locks.empty());
        const auto document = versionDocument(**domain.service->version(*entry, 1), true);
        CPPUNIT_ASSERT(document.find(R"("locks":{"toy.lock":"a@1\nb\nresolved 1"})") !=
                       document.npos);
    }

    void codeAloneKeepsTheLock() {
        Domain domain;
        domain.base.lockAge = std::chrono::seconds(0);
        domain.restart();
        ok(domain.create(withNeeds));
        CPPUNIT_ASSERT(domain.patch("hello", "{'code':'two'}"));
        CPPUNIT_ASSERT_EQUAL(2, domain.builder.builds.load());
        CPPUNIT_ASSERT_EQUAL(1, domain.builder.resolutions.load());
        CPPUNIT_ASSERT_EQUAL(1, domain.builder.fills.load());
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 1"), lockOf(domain, "hello"));
        // The same code as before finds its artifact at once, by the lock that came along.
        CPPUNIT_ASSERT(domain.patch("hello", "{'code':'one'}"));
        CPPUNIT_ASSERT_EQUAL(2, domain.builder.builds.load());
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 1"), lockOf(domain, "hello"));
    }

    void aChangedManifestIsResolvedAnew() {
        Domain domain;
        ok(domain.create(withNeeds));
        CPPUNIT_ASSERT(domain.patch("hello", "{'dependencies':['c']}"));
        CPPUNIT_ASSERT_EQUAL(std::string("c\nresolved 2"), lockOf(domain, "hello"));
    }

    void anOldManifestFindsItsLockAgain() {
        Domain domain;
        domain.base.lockAge = std::chrono::seconds(0);
        domain.restart();
        ok(domain.create(withNeeds));
        ok(domain.patch("hello", "{'dependencies':['c']}"));
        ok(domain.patch("hello", "{'dependencies':['a@1','b'],'code':'three'}"));
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 1"), lockOf(domain, "hello"));
    }

    void othersTakeAYoungLockOver() {
        Domain domain;
        ok(domain.create(withNeeds));
        ok(domain.create("{'name':'other','runtime':'toy','code':'x','dependencies':['a@1','b']}"));
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 1"), lockOf(domain, "other"));
        CPPUNIT_ASSERT_EQUAL(1, domain.builder.fills.load());
        // Equal sources end at the artifact that is there, without a build.
        const int builds = domain.builder.builds;
        ok(domain.create("{'name':'third','runtime':'toy','code':'x','dependencies':['a@1','b']}"));
        CPPUNIT_ASSERT_EQUAL(domain.registry->find("other")->shown().artifactKey,
                             domain.registry->find("third")->shown().artifactKey);
        CPPUNIT_ASSERT_EQUAL(builds, domain.builder.builds.load());
        CPPUNIT_ASSERT_EQUAL(lockOf(domain, "other"), lockOf(domain, "third"));
    }

    // As if the lock of the function's version had been made two days ago.
    static void makeOld(Domain& domain, const std::string& name) {
        const auto entry = domain.registry->find(name);
        Version version = **domain.service->version(*entry, entry->shown().number);
        for (auto& lock : version.locks) lock.madeAtMs -= 2 * 86'400'000;
        version.sources.reset();
        const auto kept =
            domain.store->apply({.function = entry->function,
                                 .keepRevision = true,
                                 .version = std::make_shared<const Version>(std::move(version)),
                                 .audit = {}});
        CPPUNIT_ASSERT(kept);
    }
    static int64_t lockMadeAt(Domain& domain, const std::string& name) {
        const auto entry = domain.registry->find(name);
        return (*domain.service->version(*entry, entry->shown().number))->locks.at(0).madeAtMs;
    }

    void savesOfCodeKeepTheAgeOfALock() {
        Domain domain;
        ok(domain.create(withNeeds));
        makeOld(domain, "hello");
        const int64_t made = lockMadeAt(domain, "hello");
        ok(domain.patch("hello", "{'code':'two'}"));
        CPPUNIT_ASSERT_EQUAL(uint64_t{2}, number(domain));
        CPPUNIT_ASSERT_EQUAL(made, lockMadeAt(domain, "hello"));
        ok(domain.create("{'name':'other','runtime':'toy','code':'x','dependencies':['a@1','b']}"));
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 2"), lockOf(domain, "other"));
    }

    void aFallbackKeepsTheAgeOfALock() {
        Domain domain;
        ok(domain.create(withNeeds));
        makeOld(domain, "hello");
        const int64_t made = lockMadeAt(domain, "hello");
        domain.builder.registryAnswers = false;
        ok(domain.create("{'name':'other','runtime':'toy','code':'x','dependencies':['a@1','b']}"));
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 1"), lockOf(domain, "other"));
        CPPUNIT_ASSERT_EQUAL(made, lockMadeAt(domain, "other"));
        domain.builder.registryAnswers = true;
        ok(domain.create("{'name':'third','runtime':'toy','code':'y','dependencies':['a@1','b']}"));
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 2"), lockOf(domain, "third"));
        // That one is as young as the registry's answer.
        CPPUNIT_ASSERT(lockMadeAt(domain, "third") > made);
    }

    void othersLeaveAnOldLockAlone() {
        Domain domain;
        ok(domain.create(withNeeds));
        makeOld(domain, "hello");
        ok(domain.create("{'name':'other','runtime':'toy','code':'x','dependencies':['a@1','b']}"));
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 2"), lockOf(domain, "other"));
        CPPUNIT_ASSERT_EQUAL(size_t{2}, layers(domain));
    }

    void anOldLockIsBetterThanNone() {
        Domain domain;
        domain.base.lockAge = std::chrono::seconds(-10);
        domain.restart();
        ok(domain.create(withNeeds));
        domain.builder.registryAnswers = false;
        ok(domain.create("{'name':'other','runtime':'toy','code':'x','dependencies':['a@1','b']}"));
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 1"), lockOf(domain, "other"));
    }

    void nullForgetsTheLock() {
        Domain domain;
        ok(domain.create(withNeeds));
        const auto again = domain.patch("hello", "{'locks':null}");
        CPPUNIT_ASSERT_EQUAL(std::string(), why(again));
        CPPUNIT_ASSERT_EQUAL(uint64_t{2}, number(domain));
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 2"), lockOf(domain, "hello"));
        ok(domain.create("{'name':'plain','runtime':'toy','code':'x'}"));
        ok(domain.patch("plain", "{'locks':null}"));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, number(domain, "plain"));
    }

    void locksSentBackMustBeTheSame() {
        Domain domain;
        ok(domain.create(withNeeds));
        CPPUNIT_ASSERT(domain.patch("hello", "{'locks':{'toy.lock':'a@1\\nb\\nresolved 1'}}"));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, number(domain));
        const auto other = domain.patch("hello", "{'locks':{'toy.lock':'mine'}}");
        CPPUNIT_ASSERT(!other && other.failure().fields.at(0).pointer == "/locks");
    }

    void equalOnesAreInstalledOnce() {
        TemporaryFolder folder;
        const auto layers = std::move(*Layers::open(folder.path.string(), {}));
        const std::string key = Layers::keyOf("toy 1", "lock");
        CPPUNIT_ASSERT(key != Layers::keyOf("toy 2", "lock") &&
                       Layers::keyOf("a", "bc") != Layers::keyOf("ab", "c"));
        std::atomic<int> fills{0}, good{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&, i] {
                bool filled = false;
                const auto fill = [&](const std::string& directory) -> base::Result<void> {
                    std::this_thread::sleep_for(std::chrono::milliseconds(50));
                    std::ofstream(directory + "/file") << ++fills;
                    return {};
                };
                good += bool(layers->make(
                    key, (folder.path / std::to_string(i)).string(), fill, [] { return false; },
                    filled));
            });
        for (auto& thread : threads) thread.join();
        CPPUNIT_ASSERT_EQUAL(4, good.load());
        CPPUNIT_ASSERT_EQUAL(1, fills.load());
        CPPUNIT_ASSERT(layers->contains(key));
        const auto mode = [&](const std::string& path) {
            return static_cast<int>(fs::status(path).permissions());
        };
        CPPUNIT_ASSERT_EQUAL(0555, mode(layers->directory(key)));
        CPPUNIT_ASSERT_EQUAL(0444, mode(layers->directory(key) + "/file"));
    }

    void waitingForOthersIsLogged() {
        class Listener final : public BuildListener {
        public:
            void log(std::string_view line) override {
                text += line;
                heard.set_value();
            }
            void remark(const base::SourceRemark&) override {}
            std::string text{};
            std::promise<void> heard{};
        } quiet, listener;
        Domain domain;
        TemporaryFolder folder;
        const auto layers = std::move(*Layers::open(folder.path.string(), {}));
        const std::string identity = "toy 1";
        const auto never = [] { return false; };
        Dependencies first("fn_1", {}, identity, *domain.store, *layers);
        Dependencies second("fn_2", {}, identity, *domain.store, *layers);
        first.begin((folder.path / "1").string(), quiet);
        second.begin((folder.path / "2").string(), listener);
        std::promise<void> filling;
        bool filled = false;
        std::thread other([&] {
            filled = bool(first.layer(
                "lock", false,
                [&](const std::string&) -> base::Result<void> {
                    filling.set_value();
                    // Much longer than it takes; the assertion below says what was wrong.
                    listener.heard.get_future().wait_for(std::chrono::seconds(30));
                    return {};
                },
                never));
        });
        filling.get_future().wait();
        const auto shared = second.layer(
            "lock", false,
            [](const std::string&) -> base::Result<void> {
                return base::Failure{.detail = "it was filled twice"};
            },
            never);
        other.join();
        CPPUNIT_ASSERT(filled && shared);
        CPPUNIT_ASSERT_EQUAL(std::string("waiting for another build of the same dependencies"),
                             listener.text);
        CPPUNIT_ASSERT_EQUAL(std::string(), quiet.text);
    }

    void bytesAreCounted() {
        Domain domain;
        domain.base.layers = {std::chrono::seconds(0), 0};
        domain.restart();
        const auto used = [&] { return domain.service->diskUse(); };
        CPPUNIT_ASSERT(used().artifacts == 0 && used().layers == 0);
        ok(domain.create(withNeeds));
        const std::string lock = lockOf(domain, "hello");
        CPPUNIT_ASSERT_EQUAL(uint64_t{lock.size()}, used().layers);
        // main.toy and needs.txt, which the builder copies.
        CPPUNIT_ASSERT_EQUAL(uint64_t{3 + 6}, used().artifacts);
        ok(domain.patch("hello", "{'code':'longer'}"));
        CPPUNIT_ASSERT_EQUAL(uint64_t{3 + 6 + 6 + 6}, used().artifacts);
        CPPUNIT_ASSERT_EQUAL(uint64_t{lock.size()}, used().layers);
        domain.restart();
        CPPUNIT_ASSERT_EQUAL(uint64_t{3 + 6 + 6 + 6}, used().artifacts);
        CPPUNIT_ASSERT_EQUAL(uint64_t{lock.size()}, used().layers);
        CPPUNIT_ASSERT(domain.remove("hello"));
        domain.restart();
        CPPUNIT_ASSERT(used().artifacts == 0 && used().layers == 0);
    }

    void aFailedInstallationLeavesNothing() {
        Domain domain;
        const auto failed =
            domain.create("{'name':'hello','runtime':'toy','code':'x','dependencies':['NOFILL']}");
        CPPUNIT_ASSERT(!failed && failed.failure().detail == "NOFILL cannot be installed");
        CPPUNIT_ASSERT(failed.failure().buildLog.find("NOFILL cannot") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(size_t{0}, layers(domain));
        CPPUNIT_ASSERT(fs::is_empty(domain.folder.path / "build"));
    }

    void liveVersionsNameTheirLayers() {
        Domain domain;
        ok(domain.create(withNeeds));
        const std::string key = domain.registry->find("hello")->shown().artifactKey;
        CPPUNIT_ASSERT_EQUAL(size_t{1}, domain.activator.last.live.front().layers.size());
        const fs::path layer = domain.activator.last.live.front().layers.front();
        CPPUNIT_ASSERT(fs::exists(layer / "installed"));
        // The link holds where the artifact lies.
        const fs::path link = domain.folder.path / "artifacts" / key / "packages";
        CPPUNIT_ASSERT(fs::is_symlink(link) && fs::equivalent(link, layer));
        domain.restart();
        CPPUNIT_ASSERT_EQUAL(layer.string(), domain.activator.last.live.front().layers.front());
        CPPUNIT_ASSERT_EQUAL(1, domain.builder.builds.load());
    }

    void aMissingLayerIsMadeAgainFromTheSameLock() {
        Domain domain;
        domain.base.layers = {std::chrono::seconds(0), 0};
        ok(domain.create(withNeeds));
        const std::string key = domain.registry->find("hello")->shown().artifactKey;
        const fs::path layer = domain.activator.last.live.front().layers.front();
        domain.close();
        fs::remove(layer.string() + ".json");
        domain.open();
        for (int i = 0; i < 500 && domain.builder.fills < 2; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        domain.restart();
        CPPUNIT_ASSERT_EQUAL(1, domain.builder.resolutions.load());
        CPPUNIT_ASSERT(fs::exists(layer / "installed"));
        CPPUNIT_ASSERT_EQUAL(key, domain.registry->find("hello")->shown().artifactKey);
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 1"), lockOf(domain, "hello"));
    }

    void aPatchReleaseOfTheToolchainKeepsLayers() {
        Domain domain;
        ok(domain.create(withNeeds));
        domain.catalog.identity = "toy 1.0.1";
        domain.builder.registryAnswers = false;
        ok(domain.patch("hello", "{'code':'two'}"));
        CPPUNIT_ASSERT_EQUAL(1, domain.builder.fills.load());
        CPPUNIT_ASSERT_EQUAL(size_t{1}, layers(domain));
        // Artifacts are of one release: equal sources are built again.
        const int builds = domain.builder.builds;
        ok(domain.create("{'name':'other','runtime':'toy','code':'one','dependencies':['a@1','b']}"));
        CPPUNIT_ASSERT_EQUAL(builds + 1, domain.builder.builds.load());
    }

    void anotherKindOfToolchainHasItsOwnLayers() {
        Domain domain;
        ok(domain.create(withNeeds));
        domain.catalog.identity = "toy 2";
        domain.catalog.layerIdentity = "toy, another kind";
        ok(domain.patch("hello", "{'code':'two'}"));
        CPPUNIT_ASSERT_EQUAL(2, domain.builder.fills.load());
        CPPUNIT_ASSERT_EQUAL(size_t{2}, layers(domain));
    }

    void locksGoWithTheirFunction() {
        Domain domain;
        domain.base.layers = {std::chrono::seconds(0), 0};
        domain.base.lockAge = std::chrono::seconds(86'400);
        domain.restart();
        ok(domain.create(withNeeds));
        domain.service->collectGarbage();
        CPPUNIT_ASSERT_EQUAL(size_t{1}, layers(domain));
        CPPUNIT_ASSERT(domain.remove("hello"));
        domain.restart();
        CPPUNIT_ASSERT_EQUAL(size_t{0}, layers(domain));
        ok(domain.create(withNeeds));
        CPPUNIT_ASSERT_EQUAL(std::string("a@1\nb\nresolved 2"), lockOf(domain, "hello"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(DependenciesTest);

}  // namespace cf::functions::test
