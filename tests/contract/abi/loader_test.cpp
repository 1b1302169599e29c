// Plugins that keep the rules: how they are found, copied, described, named and told apart.
#include <cppunit/extensions/HelperMacros.h>

#include "base/json.hpp"
#include "loaded.hpp"

namespace cf::test {

class LoaderTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LoaderTest);
    CPPUNIT_TEST(aPlainPlugin);
    CPPUNIT_TEST(aPluginOfALaterRelease);
    CPPUNIT_TEST(propertiesAndHome);
    CPPUNIT_TEST(layersOutliveAPatchRelease);
    CPPUNIT_TEST(aCopyIsLoaded);
    CPPUNIT_TEST(oldCopiesGo);
    CPPUNIT_TEST(theFirstHasTheName);
    CPPUNIT_TEST(aliases);
    CPPUNIT_TEST(runtimesDocument);
    CPPUNIT_TEST(aMissingFolder);
    CPPUNIT_TEST(replacingKeepsWhatIsHeld);
    CPPUNIT_TEST(destroyedWithItsLastHolder);
    CPPUNIT_TEST_SUITE_END();

public:
    void aPlainPlugin() {
        Loaded loaded({"plain"});
        loaded.load();
        CPPUNIT_ASSERT_EQUAL(std::string(), loaded.reason());
        const auto& facts = loaded.only().facts();
        CPPUNIT_ASSERT_EQUAL(std::string("plain"), facts.id);
        CPPUNIT_ASSERT_EQUAL(std::string("0.1"), facts.version);
        CPPUNIT_ASSERT_EQUAL(std::string("1.1"), facts.abi);
        CPPUNIT_ASSERT_EQUAL(std::string("1.2.3"), facts.toolchainVersion);
        CPPUNIT_ASSERT_EQUAL(std::string("plain 0.1 1.2.3"), loaded.only().buildIdentity());
        CPPUNIT_ASSERT_EQUAL(std::string("plain 0.1 1.2.3"), loaded.only().layerIdentity());
        CPPUNIT_ASSERT(loaded.only().plan(nullptr));
    }

    void aPluginOfALaterRelease() {
        Loaded loaded({"newer_compatible"});
        loaded.load();
        CPPUNIT_ASSERT_EQUAL(std::string(), loaded.reason());
        CPPUNIT_ASSERT_EQUAL(std::string("1.99"), loaded.only().facts().abi);
        CPPUNIT_ASSERT(loaded.only().plan(nullptr));
    }

    void propertiesAndHome() {
        Loaded loaded({"mock"}, {{"mock.path", "/opt/\"mock\"\n"}, {"other.path", "/wrong"}});
        loaded.load();
        const std::string& found = loaded.only().facts().found;
        const std::string home = loaded.folder / "executors/mock";
        CPPUNIT_ASSERT_EQUAL(
            "{\"version\":\"5.4\",\"compatibility\":\"5\",\"path\":\"/opt/\\\"mock\\\"\\n\",\"home\":\"" +
                home + "\"}",
            found);
    }

    void layersOutliveAPatchRelease() {
        Loaded loaded({"mock"});
        loaded.load();
        CPPUNIT_ASSERT_EQUAL(std::string("mock 2.0 5.4"), loaded.only().buildIdentity());
        CPPUNIT_ASSERT_EQUAL(std::string("mock 2.0 5"), loaded.only().layerIdentity());
    }

    void aCopyIsLoaded() {
        Loaded loaded({"plain"});
        loaded.load();
        const std::string maps = readFile("/proc/self/maps");
        CPPUNIT_ASSERT(maps.find(loaded.folder / "data/executors/") != std::string::npos);
        CPPUNIT_ASSERT(maps.find(loaded.folder / "executors/plain.so") == std::string::npos);
        // The operator overwrites the file in place: code that runs must not notice.
        writeFile(loaded.folder / "executors/plain.so", std::string(100'000, '\0'));
        CPPUNIT_ASSERT(loaded.only().plan(nullptr));
    }

    void oldCopiesGo() {
        Loaded loaded({"plain"});
        std::filesystem::create_directory(loaded.folder / "data/executors");
        writeFile(loaded.folder / "data/executors/0123.so", "of an executor that is no more");
        loaded.load();
        const auto copies = std::distance(
            std::filesystem::directory_iterator(loaded.folder / "data/executors"), {});
        CPPUNIT_ASSERT_EQUAL(std::ptrdiff_t{1}, copies);
    }

    void theFirstHasTheName() {
        Loaded loaded({"plain", "takes_plain"});
        loaded.load();
        CPPUNIT_ASSERT_EQUAL(std::string("plain"),
                             loaded.catalog.find("plain")->executor->facts().id);
        CPPUNIT_ASSERT_EQUAL(
            "the runtime plain is served by " + (loaded.folder / "executors/plain.so") + " already",
            loaded.reason(1));
        CPPUNIT_ASSERT(!loaded.catalog.find("taker"));

        // The same plugin under two file names is one id claimed twice.
        std::filesystem::copy(loaded.folder / "executors/plain.so",
                              loaded.folder / "executors/q.so");
        std::filesystem::remove(loaded.folder / "executors/takes_plain.so");
        loaded.load();
        CPPUNIT_ASSERT_EQUAL("an executor with the id plain is served by " +
                                 (loaded.folder / "executors/plain.so") + " already",
                             loaded.reason(1));
    }

    void aliases() {
        Loaded loaded({"mock"});
        loaded.load();
        const auto& catalog = loaded.catalog;
        CPPUNIT_ASSERT_EQUAL(std::string("main.mk"), catalog.find("mock")->sourceFile);
        CPPUNIT_ASSERT_EQUAL(std::string("main.mk2"), catalog.find("mockery")->sourceFile);
        CPPUNIT_ASSERT_EQUAL(std::string("main.mk"), catalog.find("mocker")->sourceFile);
        CPPUNIT_ASSERT_EQUAL(std::string("mock"), catalog.find("mockery")->runtime->name);
        CPPUNIT_ASSERT(!catalog.find("Mock"));
        CPPUNIT_ASSERT(!catalog.find(""));
        CPPUNIT_ASSERT_EQUAL(std::string("mock (or mockery, mocker)"), catalog.names().at(0));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, catalog.names().size());
        CPPUNIT_ASSERT(catalog.byId("mock") && !catalog.byId("mockery"));
    }

    void runtimesDocument() {
        Loaded loaded({"mock", "other_major"});
        loaded.load();
        const std::string json = loaded.catalog.runtimesJson();
        auto document = base::JsonDocument::parse(json);
        CPPUNIT_ASSERT_MESSAGE(json, static_cast<bool>(document));
        const auto root = document->root();
        const auto runtime = root.at_pointer("/0");
        CPPUNIT_ASSERT(std::string_view(runtime["name"]) == "mock");
        CPPUNIT_ASSERT(std::string_view(runtime["aliases"].at(0)) == "mockery");
        CPPUNIT_ASSERT(std::string_view(runtime["alias_source_files"]["mockery"]) == "main.mk2");
        CPPUNIT_ASSERT(std::string_view(runtime["version"]) == "5.4");
        CPPUNIT_ASSERT(bool(runtime["available"]));
        CPPUNIT_ASSERT(std::string_view(runtime["templates"].at(0)["code"]) == "hi");
        CPPUNIT_ASSERT(uint64_t(runtime["default_limits"]["memory_mb"]) == 256);
        CPPUNIT_ASSERT(std::string_view(runtime["executor"]["id"]) == "mock");
        const auto broken = root.at_pointer("/1");
        CPPUNIT_ASSERT(std::string_view(broken["name"]) == "other_major");
        CPPUNIT_ASSERT(!bool(broken["available"]));
    }

    void aMissingFolder() {
        Loaded loaded({"plain"});
        loaded.options.folders = {loaded.folder / "nowhere", loaded.folder / "executors"};
        loaded.load();
        CPPUNIT_ASSERT(loaded.reason(0).find("cannot be read") != std::string::npos);
        CPPUNIT_ASSERT(loaded.catalog.find("plain"));
    }

    void replacingKeepsWhatIsHeld() {
        Loaded loaded({"plain"});
        loaded.load();
        const auto held = loaded.catalog.find("plain")->executor;
        loaded.catalog.replace({});
        CPPUNIT_ASSERT(!loaded.catalog.find("plain"));
        CPPUNIT_ASSERT(held->plan(nullptr));
    }

    void destroyedWithItsLastHolder() {
        TempFolder folder;
        Loaded loaded({"mock"}, {{"mock.goodbye", folder / "goodbye"}});
        loaded.load();
        auto held = loaded.catalog.byId("mock");
        loaded.catalog.replace({});
        CPPUNIT_ASSERT_EQUAL(std::string(), readFile(folder / "goodbye"));
        held.reset();
        CPPUNIT_ASSERT_EQUAL(std::string("destroyed"), readFile(folder / "goodbye"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LoaderTest);

}  // namespace cf::test
