// What the SQLite store keeps, across restarts, kills, damage and releases.
#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/Session.h>
#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <map>
#include <sstream>
#include <thread>

#include "base/clock.hpp"
#include "base/ulid.hpp"
#include "base/unique_fd.hpp"
#include "crash_child.hpp"
#include "fakes.hpp"
#include "functions/schema.hpp"

extern char** environ;

namespace cf::functions::test {

namespace {

Change newFunction(const std::string& name, const std::string& code) {
    base::UlidGenerator ids;
    Change change;
    change.create = true;
    change.function.id = "fn_" + ids.next(base::unixMs(base::WallClock::now()));
    change.function.name = name;
    change.function.project = "default";
    change.function.lastVersion = 1;
    change.function.live = {{1, 100}};
    Version version;
    version.functionId = change.function.id;
    version.number = 1;
    version.spec.runtime = version.spec.runtimeAlias = "toy";
    version.spec.handler = "handler";
    version.state = VersionState::ready;
    version.sources = std::make_shared<std::vector<SourceFile>>(1, SourceFile{"main.toy", code});
    change.version = std::make_shared<const Version>(std::move(version));
    return change;
}

// Raw SQL from outside of the store.
std::string query(const std::filesystem::path& file, const std::string& sql) {
    using namespace Poco::Data::Keywords;
    Poco::Data::SQLite::Connector::registerConnector();
    Poco::Data::Session session(Poco::Data::SQLite::Connector::KEY, file.string());
    std::vector<std::string> rows;
    session << sql, into(rows), now;
    return rows.empty() ? "" : rows.front();
}

void execute(const std::filesystem::path& file, const std::string& sql,
             const std::vector<std::string>& more = {}) {
    using namespace Poco::Data::Keywords;
    Poco::Data::SQLite::Connector::registerConnector();
    Poco::Data::Session session(Poco::Data::SQLite::Connector::KEY, file.string());
    session << sql, now;
    for (const auto& statement : more) session << statement, now;
}

std::string readAll(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

int saveForEver(const std::string& path) {
    auto store = SqliteStore::open({.path = path});
    if (!store) return 1;
    for (int i = 0;; ++i) {
        const std::string name = "kept-" + std::to_string(i),
                          code = "code " + std::string(static_cast<size_t>(i) * 37 % 5000, 'x');
        Change change = newFunction(name, code);
        if (!(*store)->apply(change)) return 2;
        std::ostringstream line;
        line << name << '|' << code << '\n';
        if (::write(STDOUT_FILENO, line.str().data(), line.str().size()) < 0) return 3;
    }
}

class StoreTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(StoreTest);
    CPPUNIT_TEST(everythingComesBack);
    CPPUNIT_TEST(bytesOfEveryKindComeBack);
    CPPUNIT_TEST(sourcesAreKeptOnce);
    CPPUNIT_TEST(theNewestChangesAreKept);
    CPPUNIT_TEST(revisionsOnlyGrow);
    CPPUNIT_TEST(whatIsLiveIsLoaded);
    CPPUNIT_TEST(namesAreUnique);
    CPPUNIT_TEST(aRefusedChangeLeavesNothing);
    CPPUNIT_TEST(interruptedBuildsAreFailed);
    CPPUNIT_TEST(interruptedBuildsAreFailedWithoutTheStore);
    CPPUNIT_TEST(missingArtifactsAreBuiltAgain);
    CPPUNIT_TEST(missingArtifactsAreNoReadyVersions);
    CPPUNIT_TEST(killedWhileSaving);
    CPPUNIT_TEST(usesTheSafeModes);
    CPPUNIT_TEST(aNewerSchemaIsRefused);
    CPPUNIT_TEST(anOlderSchemaIsBroughtUpToDate);
    CPPUNIT_TEST(whatIsNoDatabaseIsRefusedAndKept);
    CPPUNIT_TEST(aDamagedDatabaseIsRefusedAndKept);
    CPPUNIT_TEST(aLargeDatabaseIsCheckedInTheBackground);
    CPPUNIT_TEST(aDatabaseWithoutDependenciesIsTakenOver);
    CPPUNIT_TEST(aThousandFunctions);
    CPPUNIT_TEST_SUITE_END();

    TemporaryFolder folder_;
    std::filesystem::path file() const { return folder_.path / "functions.db"; }
    std::unique_ptr<SqliteStore> open() {
        auto store = SqliteStore::open({.path = file().string()});
        CPPUNIT_ASSERT_MESSAGE(why(store), bool(store));
        return std::move(*store);
    }

    void everythingComesBack() {
        Domain domain;
        const char* text =
            "{'name':'hello','runtime':'typedtoy','handler':'run','files':{'a.tt':'WARN','d/"
            "b.tt':{'base64':'AP8='}},'timeout':0.25,"
            "'init_timeout':3,'memory':64,'concurrency':2,'environment':{'B':'2','A':'\xC3\xA4\\n'}"
            ",'network':{'mode':'none'},"
            "'http':{'enabled':true,'cors':{'origins':['https://"
            "a.b'],'methods':['GET'],'headers':['X-A'],'credentials':true,'max_age':5}},"
            "'min_workers':1,'max_workers':3,'keep_alive':77,'description':'says \\u0007 "
            "it','labels':{'team':'a'}}";
        const auto saved = domain.create(text);
        CPPUNIT_ASSERT_MESSAGE(why(saved), bool(saved));
        const std::string before = functionDocument(*saved->entry, *saved->version);
        CPPUNIT_ASSERT(before.find("\"warnings\":[{") != before.npos);
        domain.activator.take();
        domain.restart();
        const auto read = domain.service->read("hello");
        CPPUNIT_ASSERT_EQUAL(before, functionDocument(*read->entry, *read->version));
        CPPUNIT_ASSERT(std::vector<std::string>{"commit hello 1"} == domain.activator.take());
        CPPUNIT_ASSERT_EQUAL_MESSAGE("nothing was built again", 1, domain.builder.builds.load());
    }

    // As the first release left it: made by its statements, with rows that have its columns.
    void aDatabaseWithoutDependenciesIsTakenOver() {
        const auto newer = folder_.path / "newer.db";
        Change change = newFunction("old", "code");
        CPPUNIT_ASSERT((*SqliteStore::open({.path = newer.string()}))->apply(change));
        for (const char* statement : migrations()[0]) execute(file(), statement);
        execute(file(),
                "CREATE TABLE schema_version (only INTEGER PRIMARY KEY CHECK (only = 1),"
                " version INTEGER NOT NULL)");
        execute(file(), "INSERT INTO schema_version VALUES (1, 1)");
        const std::string columns =
            "function_id, number, runtime, runtime_alias, handler, from_code, environment, network,"
            " sources_hash, state, artifact_key, remarks, failure, build_log, created_at_ms,"
            " created_by, revision";
        execute(
            file(), "ATTACH '" + newer.string() + "' AS newer",
            {"INSERT INTO function SELECT * FROM newer.function",
             "INSERT INTO version SELECT " + columns + " FROM newer.version",
             "INSERT INTO content SELECT * FROM newer.content",
             "INSERT INTO source SELECT * FROM newer.source", "UPDATE sequence SET revision = 1"});
        auto store = open();
        CPPUNIT_ASSERT_EQUAL(std::to_string(migrations().size()),
                             query(file(), "SELECT version || '' FROM schema_version"));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, store->load()->size());
        const auto version = store->version(change.function.id, 1);
        CPPUNIT_ASSERT(version && version->spec.dependencies.empty());
        CPPUNIT_ASSERT((*store->sources(change.function.id, 1))->front().content == "code");
        CPPUNIT_ASSERT(store->locks(change.function.id, 1)->empty());
        Version next = *change.version;
        next.number = change.function.lastVersion = 2;
        next.spec.dependencies = {"a@1"};
        next.locks = {{"toy.lock", "hash", "content", 5}};
        change.create = false;
        change.version = std::make_shared<const Version>(next);
        CPPUNIT_ASSERT_EQUAL(uint64_t{2}, *store->apply(change));
        store.reset();
        store = open();
        CPPUNIT_ASSERT(store->version(change.function.id, 2)->spec.dependencies.front() == "a@1");
        CPPUNIT_ASSERT(store->locks(change.function.id, 2)->front().content == "content");
    }

    void bytesOfEveryKindComeBack() {
        const auto store = open();
        std::string all;
        for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
        Change change = newFunction("bytes", all);
        Version version = *change.version;
        version.sources = std::make_shared<std::vector<SourceFile>>(std::vector<SourceFile>{
            {"all", all}, {"empty", ""}, {"large", std::string(9u << 20, 'z')}});
        change.version = std::make_shared<const Version>(version);
        CPPUNIT_ASSERT(store->apply(change));
        const auto sources = store->sources(change.function.id, 1);
        CPPUNIT_ASSERT_MESSAGE(why(sources), bool(sources));
        CPPUNIT_ASSERT(**sources == *version.sources);
    }

    void sourcesAreKeptOnce() {
        const auto store = open();
        const Change one = newFunction("one", "same"), two = newFunction("two", "same");
        CPPUNIT_ASSERT(store->apply(one) && store->apply(two));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), query(file(), "SELECT count(*) || '' FROM content"));
        CPPUNIT_ASSERT(store->remove(one.function.id, {}));
        CPPUNIT_ASSERT(store->sources(two.function.id, 1));
        CPPUNIT_ASSERT(store->remove(two.function.id, {}));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), query(file(), "SELECT count(*) || '' FROM content"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), query(file(), "SELECT count(*) || '' FROM version"));
        CPPUNIT_ASSERT_EQUAL(std::string("4"), query(file(), "SELECT count(*) || '' FROM audit"));
    }

    void theNewestChangesAreKept() {
        const auto store = open();
        CPPUNIT_ASSERT(store->apply(newFunction("one", "1")));
        CPPUNIT_ASSERT(store->apply(newFunction("two", "2")));
        execute(file(), "UPDATE sequence SET revision = 100000");
        CPPUNIT_ASSERT(store->apply(newFunction("three", "3")));
        CPPUNIT_ASSERT_EQUAL(std::string("2 100001"),
                             query(file(), "SELECT group_concat(revision, ' ') FROM audit"));
    }

    void revisionsOnlyGrow() {
        auto store = open();
        Change change = newFunction("one", "a");
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, *store->apply(change));
        CPPUNIT_ASSERT_EQUAL(uint64_t{2}, *store->remove(change.function.id, {}));
        store.reset();
        CPPUNIT_ASSERT_EQUAL(uint64_t{3}, *open()->apply(newFunction("one", "a")));
    }

    void whatIsLiveIsLoaded() {
        const auto store = open();
        const auto save = [&](Change change, uint64_t versions, std::vector<LiveShare> live) {
            for (uint64_t number = 1; number <= versions; ++number) {
                auto version = std::make_shared<Version>(*change.version);
                version->number = change.function.lastVersion = number;
                change.version = version;
                if (number == versions) change.function.live = live;
                CPPUNIT_ASSERT(store->apply(change));
                change.create = false;
            }
        };
        save(newFunction("divided", "a"), 4, {{3, 10}, {1, 90}});
        save(newFunction("earlier", "a"), 3, {{2, 100}});
        save(newFunction("none", "a"), 2, {});
        save(newFunction("foreign", "a"), 2, {{1, 100}});
        execute(file(), "UPDATE function SET live = 'no JSON' WHERE name = 'foreign'");
        std::map<std::string, std::vector<uint64_t>> loaded;
        const auto entries = store->load();
        for (const auto& entry : *entries)
            for (const auto& version : entry.versions) {
                CPPUNIT_ASSERT_EQUAL(entry.function.id, version->functionId);
                loaded[entry.function.name].push_back(version->number);
            }
        CPPUNIT_ASSERT((loaded == std::map<std::string, std::vector<uint64_t>>{
                                      {"divided", {3, 1}},
                                      {"earlier", {2}},
                                      {"none", {2}},
                                      {"foreign", {2}}}));
    }

    void namesAreUnique() {
        const auto store = open();
        CPPUNIT_ASSERT(store->apply(newFunction("Name", "a")));
        const auto again = store->apply(newFunction("nAME", "a"));
        CPPUNIT_ASSERT(!again && again.failure().reason == "name_taken");
    }

    void aRefusedChangeLeavesNothing() {
        const auto store = open();
        Change change = newFunction("one", "a");
        change.create = false;
        CPPUNIT_ASSERT(store->apply(change).failure().reason == "not_found");
        CPPUNIT_ASSERT(store->version(change.function.id, 1).failure().reason == "not_found");
        CPPUNIT_ASSERT(store->remove("fn_none", {}).failure().reason == "not_found");
        CPPUNIT_ASSERT_EQUAL(std::string("0"),
                             query(file(), "SELECT revision || '' FROM sequence"));
    }

    void interruptedBuildsAreFailed() {
        Domain domain;
        CPPUNIT_ASSERT(domain.create("{'name':'hello','runtime':'toy','code':'one'}"));
        execute(domain.folder.path / "functions.db",
                "INSERT INTO version SELECT function_id, 2, runtime, runtime_alias, handler, "
                "from_code, environment, network,"
                " sources_hash, 'building', '', remarks, failure, build_log, created_at_ms, "
                "created_by, revision, dependencies, dependencies_file FROM version");
        domain.restart();
        const auto entry = domain.registry->find("hello");
        CPPUNIT_ASSERT(entry->callable() && entry->shown().number == 1);
        const auto versions = domain.service->versions(*entry);
        CPPUNIT_ASSERT(versions->at(0)->number == 2 &&
                       versions->at(0)->state == VersionState::failed);
        CPPUNIT_ASSERT(versions->at(0)->failure->detail.find("stopped") != std::string::npos);
    }

    // As on a full disk: the start goes on, and nobody is told of a build that never ends.
    void interruptedBuildsAreFailedWithoutTheStore() {
        Domain domain;
        CPPUNIT_ASSERT(domain.create("{'name':'hello','runtime':'toy','code':'one'}"));
        CPPUNIT_ASSERT(domain.create("{'name':'first','runtime':'toy','code':'one'}"));
        const auto database = domain.folder.path / "functions.db";
        execute(database, "UPDATE function SET live = '[]' WHERE name = 'first'",
                {"UPDATE version SET state = 'building' WHERE function_id IN (SELECT id FROM "
                 "function WHERE name = 'first')",
                 "INSERT INTO version SELECT function_id, 2, runtime, runtime_alias, handler, "
                 "from_code, environment, network, sources_hash, 'building', '', remarks, failure, "
                 "build_log, created_at_ms, created_by, revision, dependencies, dependencies_file "
                 "FROM version WHERE state = 'ready'",
                 "INSERT INTO source SELECT function_id, 2, name, hash FROM source WHERE "
                 "function_id IN (SELECT id FROM function WHERE name = 'hello')",
                 "CREATE TRIGGER refuse BEFORE UPDATE ON version BEGIN SELECT RAISE(ABORT, 'full'); "
                 "END"});
        domain.restart();
        const auto first = domain.registry->find("first"), hello = domain.registry->find("hello");
        CPPUNIT_ASSERT(!first->callable() && first->shown().state == VersionState::failed);
        CPPUNIT_ASSERT(hello->callable());
        const auto versions = domain.service->versions(*hello);
        CPPUNIT_ASSERT_EQUAL(std::string(), why(versions));
        CPPUNIT_ASSERT(versions->at(0)->state == VersionState::failed);
        const auto second = domain.service->version(*hello, 2);
        CPPUNIT_ASSERT_EQUAL(std::string(), why(second));
        CPPUNIT_ASSERT((*second)->state == VersionState::failed);
        CPPUNIT_ASSERT(domain.service->readBuildLog(*hello, 2, 0, 1000)->ended);
        execute(database, "DROP TRIGGER refuse");
        domain.restart();
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             query(database, "SELECT state FROM version WHERE state = 'building'"));
        CPPUNIT_ASSERT_EQUAL(std::string(), why(domain.patch("first", "{'code':'two'}")));
    }

    static void damageArtifacts(const Domain& domain) {
        for (const auto& entry :
             std::filesystem::directory_iterator(domain.folder.path / "artifacts"))
            if (entry.is_directory()) {
                std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_all);
                std::filesystem::resize_file(entry.path() / "main.toy", 0);
            }
    }

    // What answers say of version 1, by way of the function, the version and the list of versions.
    static std::vector<VersionState> statesOf(const Domain& domain) {
        const auto read = domain.service->read("hello");
        const auto version = domain.service->version(*read->entry, 1);
        const auto all = domain.service->versions(*read->entry);
        return {read->version->state, (*version)->state, all->back()->state};
    }
    static bool reaches(const Domain& domain, VersionState state) {
        for (int i = 0; i < 2000; ++i) {
            if (statesOf(domain) == std::vector<VersionState>(3, state)) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    }

    void missingArtifactsAreNoReadyVersions() {
        const std::string code = "{'name':'hello','runtime':'toy','code':'WAIT'}";
        Domain domain;
        domain.builder.release();
        CPPUNIT_ASSERT(domain.create(code));
        domain.close();
        damageArtifacts(domain);
        domain.builder.hold();
        domain.builder.broken = true;
        domain.open();
        CPPUNIT_ASSERT(statesOf(domain) == std::vector<VersionState>(3, VersionState::building));
        domain.builder.untilWaiting();
        CPPUNIT_ASSERT(statesOf(domain) == std::vector<VersionState>(3, VersionState::building));
        domain.builder.release();
        CPPUNIT_ASSERT(reaches(domain, VersionState::failed));
        const auto entry = domain.registry->find("hello");
        const std::string detail = "the artifact of \"hello\" is gone and cannot be built again: "
                                   "the compiler is gone";
        CPPUNIT_ASSERT_EQUAL(detail, entry->shown().failure->detail);
        const auto refused = domain.service->whyNotCallable(*entry);
        CPPUNIT_ASSERT_EQUAL(detail, refused.detail);
        CPPUNIT_ASSERT_EQUAL(std::string("function_not_ready"), refused.reason);
        // The same code once more means: try again.
        domain.builder.broken = false;
        const auto saved = domain.put("hello", code);
        CPPUNIT_ASSERT_MESSAGE(why(saved), bool(saved));
        CPPUNIT_ASSERT_EQUAL(uint64_t{2}, saved->version->number);
        CPPUNIT_ASSERT(saved->version->state == VersionState::ready);

        // Or the next start.
        domain.close();
        damageArtifacts(domain);
        domain.builder.hold();
        domain.open();
        domain.builder.untilWaiting();
        domain.builder.release();
        for (int i = 0; i < 2000 && domain.registry->find("hello")->shown().state !=
                                        VersionState::ready; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        CPPUNIT_ASSERT(domain.registry->find("hello")->shown().state == VersionState::ready);
    }

    void missingArtifactsAreBuiltAgain() {
        Domain domain;
        CPPUNIT_ASSERT(domain.create("{'name':'hello','runtime':'toy','code':'one'}"));
        domain.activator.take();
        domain.close();
        damageArtifacts(domain);
        domain.open();
        // Whichever comes first, the save or the build behind, nobody is sent to an artifact that
        // is not there.
        CPPUNIT_ASSERT(domain.patch("hello", "{'timeout':3}"));
        std::vector<std::string> events;
        for (int i = 0; i < 2000 && events.empty(); ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            events = domain.activator.take();
        }
        CPPUNIT_ASSERT_EQUAL(std::string("commit hello 1"), events.at(0));
        CPPUNIT_ASSERT_EQUAL(2, domain.builder.builds.load());
        domain.restart();
        CPPUNIT_ASSERT_EQUAL(2, domain.builder.builds.load());
    }

    void killedWhileSaving() {
        int ends[2];
        CPPUNIT_ASSERT_EQUAL(0, ::pipe2(ends, O_CLOEXEC));
        base::UniqueFd reading(ends[0]), writing(ends[1]);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
        std::string self = "/proc/self/exe", verb = "save-for-ever", path = file().string();
        char* argv[] = {self.data(), verb.data(), path.data(), nullptr};
        pid_t child = -1;
        CPPUNIT_ASSERT_EQUAL(0,
                             ::posix_spawn(&child, self.c_str(), &actions, nullptr, argv, environ));
        posix_spawn_file_actions_destroy(&actions);
        writing.reset();
        std::string text;
        char piece[4096];
        size_t lines = 0;
        while (lines < 40) {
            const ssize_t got = ::read(reading.get(), piece, sizeof piece);
            CPPUNIT_ASSERT(got > 0);
            text.append(piece, static_cast<size_t>(got));
            lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
        }
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        while (const ssize_t got = ::read(reading.get(), piece, sizeof piece))
            text.append(piece, static_cast<size_t>(got));

        const auto store = open();
        std::map<std::string, std::string> kept;
        const auto entries = store->load();
        for (const auto& entry : *entries) {
            const auto sources = store->sources(entry.function.id, 1);
            CPPUNIT_ASSERT_MESSAGE(why(sources), bool(sources));
            kept[entry.function.name] = (*sources)->front().content;
        }
        std::istringstream acknowledged(text);
        size_t checked = 0;
        for (std::string line; std::getline(acknowledged, line); ++checked) {
            const size_t bar = line.find('|');
            CPPUNIT_ASSERT_EQUAL(line.substr(bar + 1), kept[line.substr(0, bar)]);
        }
        CPPUNIT_ASSERT(checked >= 40);
    }

    void usesTheSafeModes() {
        const auto store = open();
        CPPUNIT_ASSERT(store->apply(newFunction("one", "a")));
        CPPUNIT_ASSERT_EQUAL(std::string("wal"), query(file(), "PRAGMA journal_mode"));
        CPPUNIT_ASSERT(store->describe().find("schema 2") != std::string::npos);
    }

    void aNewerSchemaIsRefused() {
        open().reset();
        execute(file(), "UPDATE schema_version SET version = 99");
        const auto store = SqliteStore::open({.path = file().string()});
        CPPUNIT_ASSERT(!store && store.failure().reason == "store_too_new");
        CPPUNIT_ASSERT(store.failure().detail.find("99") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("99"),
                             query(file(), "SELECT version || '' FROM schema_version"));
    }

    // The file of a platform that was started and stopped before any table was made.
    void anOlderSchemaIsBroughtUpToDate() {
        execute(file(),
                "CREATE TABLE schema_version (only INTEGER PRIMARY KEY CHECK (only = 1), version "
                "INTEGER NOT NULL)");
        execute(file(), "INSERT INTO schema_version VALUES (1, 0)");
        CPPUNIT_ASSERT(open()->apply(newFunction("one", "a")));
        CPPUNIT_ASSERT_EQUAL(std::to_string(migrations().size()),
                             query(file(), "SELECT version || '' FROM schema_version"));
    }

    void whatIsNoDatabaseIsRefusedAndKept() {
        const std::string text = "this is a shopping list, not a database of any kind";
        std::ofstream(file()) << text;
        const auto store = SqliteStore::open({.path = file().string()});
        CPPUNIT_ASSERT(!store && store.failure().reason == "store_corrupt");
        CPPUNIT_ASSERT(store.failure().detail.find(file().string()) != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(text, readAll(file()));
    }

    void aDamagedDatabaseIsRefusedAndKept() {
        {
            const auto store = open();
            for (int i = 0; i < 50; ++i)
                CPPUNIT_ASSERT(store->apply(newFunction(
                    "f" + std::to_string(i), std::string(3000, 'x') + std::to_string(i))));
        }
        std::string bytes = readAll(file());
        CPPUNIT_ASSERT(bytes.size() > 20'000);
        for (size_t at = 4096; at < bytes.size(); at += 512)
            bytes.replace(at, 64, std::string(64, '\xA5'));
        std::ofstream(file(), std::ios::binary) << bytes;
        const auto store = SqliteStore::open({.path = file().string()});
        CPPUNIT_ASSERT(!store);
        CPPUNIT_ASSERT_EQUAL(std::string("store_corrupt"), store.failure().reason);
        CPPUNIT_ASSERT(bytes == readAll(file()));
    }

    void aLargeDatabaseIsCheckedInTheBackground() {
        {
            const auto store = open();
            for (int i = 0; i < 50; ++i)
                CPPUNIT_ASSERT(store->apply(newFunction(
                    "f" + std::to_string(i), std::string(3000, 'x') + std::to_string(i))));
        }
        const SqliteOptions large{.path = file().string(), .checkedBytes = 0};
        {
            const auto store = SqliteStore::open(large);
            CPPUNIT_ASSERT(store);
            (*store)->checkRest();
        }
        // Nothing but what functions are made of: their list and their settings are sound.
        std::string bytes = readAll(file());
        for (size_t at = 4096; at < bytes.size(); at += 4096)
            if (bytes.find(std::string(2000, 'x'), at) < at + 2096)
                bytes.replace(at, 64, std::string(64, '\xA5'));
        std::ofstream(file(), std::ios::binary) << bytes;
        const auto store = SqliteStore::open(large);
        CPPUNIT_ASSERT_MESSAGE(store ? "" : store.failure().detail, static_cast<bool>(store));
        CPPUNIT_ASSERT_EQUAL(size_t{50}, (*store)->load()->size());
        CPPUNIT_ASSERT_EQUAL(std::string(), (*store)->damage());
        (*store)->checkRest();
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while ((*store)->damage().empty() && std::chrono::steady_clock::now() < until)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        CPPUNIT_ASSERT((*store)->damage().find(file().string()) != std::string::npos);
    }

    void aThousandFunctions() {
        Domain domain;
        std::vector<std::thread> threads;
        std::atomic<int> good{0};
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                for (int i = t; i < 1000; i += 4)
                    good += bool(domain.create("{'name':'f" + std::to_string(i) +
                                               "','runtime':'toy','code':'" +
                                               std::to_string(i % 10) + "'}"));
            });
        for (auto& thread : threads) thread.join();
        CPPUNIT_ASSERT_EQUAL(1000, good.load());
        CPPUNIT_ASSERT_EQUAL_MESSAGE("equal sources build once", 10, domain.builder.builds.load());
        domain.restart();
        CPPUNIT_ASSERT_EQUAL(size_t{1000}, domain.registry->size());
        CPPUNIT_ASSERT_EQUAL(10, domain.builder.builds.load());
        CPPUNIT_ASSERT_EQUAL(std::string("7"),
                             domain.service->read("f17")->version->sources->front().content);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(StoreTest);

}  // namespace cf::functions::test
