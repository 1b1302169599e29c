// Plugins that break the ABI's rules: each is unavailable with a reason that says what is wrong,
// and this process lives.
#include <cppunit/extensions/HelperMacros.h>
#include <sys/stat.h>

#include "loaded.hpp"

namespace cf::test {

class BrokenPluginsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(BrokenPluginsTest);
    CPPUNIT_TEST(rulesOfTheTable);
    CPPUNIT_TEST(crashes);
    CPPUNIT_TEST(ends);
    CPPUNIT_TEST(hangs);
    CPPUNIT_TEST(lies);
    CPPUNIT_TEST(undefinedSymbol);
    CPPUNIT_TEST(throwsInCreate);
    CPPUNIT_TEST(notAPlugin);
    CPPUNIT_TEST(writableByOthers);
    CPPUNIT_TEST(missingToolchain);
    CPPUNIT_TEST(oneBrokenPluginHarmsNoOther);
    CPPUNIT_TEST_SUITE_END();

public:
    void rulesOfTheTable() {
        refused("no_entry", "has no function cf_executor_entry");
        refused("other_major", "built for ABI 2.1, this platform has ABI 1.1");
        refused("newer_minor", "requires ABI 1.99, this platform has ABI 1.1");
        refused("short_struct", "has 64 bytes");
        refused("missing_operation", "operation plan is missing");
        refused("unknown_requirement", "feature bit 37");
        refused("bad_id", "its id is not");
        refused("refuses", "this machine has no quantum unit");
    }

    void crashes() {
        refused("crashes_on_load", "it crashed (Segmentation fault) while it was being loaded");
    }

    void ends() {
        Loaded loaded({"exits_in_probe"});
        loaded.load();
        CPPUNIT_ASSERT_EQUAL(std::string("it ended its process while it looked for its toolchain"),
                             loaded.reason());
        CPPUNIT_ASSERT_EQUAL(std::string("the last thing it wrote: no licence found"),
                             loaded.only().facts().unavailable->hint);
        // It was described before, so users of its runtime can be told.
        CPPUNIT_ASSERT(loaded.catalog.find("exits_in_probe"));
    }

    void hangs() {
        Loaded loaded({"hangs_in_probe"});
        loaded.options.probeTimeout = std::chrono::milliseconds(2000);
        loaded.load();
        CPPUNIT_ASSERT_EQUAL(
            std::string("it did not come back within 2 s while it looked for its toolchain"),
            loaded.reason());
    }

    void lies() {
        refused("bad_manifest", "the name is not [a-z]");
        refused("endless_manifest", "longer than 256 KB");
        refused("bad_found", "not a JSON object");
    }

    void undefinedSymbol() { refused("undefined_symbol", "nobody_defines_this"); }
    void throwsInCreate() { refused("throws_in_create", "create threw"); }

    void notAPlugin() {
        Loaded loaded({});
        writeFile(loaded.folder / "executors/text.so", "no library at all");
        std::filesystem::create_directory(loaded.folder / "executors/folder.so");
        writeFile(loaded.folder / "executors/README", "is not looked at");
        loaded.load();
        CPPUNIT_ASSERT_EQUAL(size_t{1}, loaded.catalog.executors()->size());
        has(loaded.reason(), "cannot be loaded");
    }

    void writableByOthers() {
        Loaded loaded({"plain"});
        ::chmod((loaded.folder / "executors/plain.so").c_str(), 0666);
        loaded.load();
        has(loaded.reason(), "the file may be written by every user");
        has(loaded.only().facts().unavailable->hint,
            "chmod o-w " + (loaded.folder / "executors/plain.so"));

        Loaded open({"plain"});
        ::chmod((open.folder / "executors").c_str(), 0777);
        open.load();
        CPPUNIT_ASSERT_EQUAL(size_t{1}, open.catalog.executors()->size());
        has(open.reason(), "may be written by every user");
        CPPUNIT_ASSERT(!open.catalog.find("plain"));
    }

    void missingToolchain() {
        Loaded loaded({"no_toolchain"});
        loaded.load();
        CPPUNIT_ASSERT_EQUAL(std::string("version 3 was found, 4 or later is needed"),
                             loaded.reason());
        CPPUNIT_ASSERT_EQUAL(std::string("apt-get install fixture-4"),
                             loaded.only().facts().unavailable->hint);
        const auto found = loaded.catalog.find("no_toolchain");
        CPPUNIT_ASSERT(found && !found->executor->available());
        auto plan = found->executor->plan(nullptr);
        CPPUNIT_ASSERT(!plan);
        CPPUNIT_ASSERT_EQUAL(std::string("runtime_unavailable"), plan.failure().reason);
        CPPUNIT_ASSERT_EQUAL(std::string("apt-get install fixture-4"), plan.failure().hint);
        has(loaded.catalog.runtimesJson(),
            R"("available":false,"reason":"version 3 was found, 4 or later is needed","hint":"apt-get install fixture-4")");
    }

    void oneBrokenPluginHarmsNoOther() {
        Loaded loaded({"crashes_on_load", "plain", "other_major"});
        loaded.load();
        CPPUNIT_ASSERT_EQUAL(size_t{3}, loaded.catalog.executors()->size());
        CPPUNIT_ASSERT(loaded.catalog.find("plain")->executor->available());
        has(loaded.catalog.healthJson(), R"("plain":"available")");
        has(loaded.catalog.healthJson(), R"("crashes_on_load.so":"unavailable: it crashed)");
    }

private:
    static void has(const std::string& text, const std::string& part) {
        CPPUNIT_ASSERT_MESSAGE("\"" + part + "\" is not in: " + text,
                               text.find(part) != std::string::npos);
    }

    static void refused(const char* plugin, const std::string& because) {
        Loaded loaded({plugin});
        loaded.load();
        CPPUNIT_ASSERT_EQUAL(size_t{1}, loaded.catalog.executors()->size());
        CPPUNIT_ASSERT_MESSAGE(plugin, !loaded.only().available());
        has(loaded.reason(), because);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(BrokenPluginsTest);

}  // namespace cf::test
