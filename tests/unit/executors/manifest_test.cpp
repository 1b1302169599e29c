// Which manifests are taken, what they mean, and how the others are told what is wrong.
#include "executors/manifest.hpp"

#include <cppunit/extensions/HelperMacros.h>

namespace cf::test {

using namespace executors;

class ManifestTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ManifestTest);
    CPPUNIT_TEST(smallest);
    CPPUNIT_TEST(whole);
    CPPUNIT_TEST(refused);
    CPPUNIT_TEST(limits);
    CPPUNIT_TEST(ids);
    CPPUNIT_TEST(sourceNames);
    CPPUNIT_TEST_SUITE_END();

public:
    void smallest() {
        const auto manifest = parseManifest(with(""));
        CPPUNIT_ASSERT(manifest);
        const Runtime& runtime = manifest->runtimes.at(0);
        CPPUNIT_ASSERT_EQUAL(std::string("lua"), runtime.displayName);
        CPPUNIT_ASSERT(runtime.aliases.empty() && runtime.templates.empty() &&
                       !manifest->defaultMemoryMb && !manifest->properties);
    }

    void whole() {
        const auto manifest = parseManifest(
            R"({"display_name":"Lua","runtimes":[{"name":"lua","display_name":"Lua 5","aliases":[{"name":"luajit","source_file":"a/b.lua"},)"
            R"({"name":"l-2"}],"source_file":"main.lua","file_extensions":[".lua",".l"],"editor_mode":"lua","default_handler":"handler",)"
            R"("templates":[{"name":"hello","code":"return 1"},{"name":"x","title":"X","handler":"h","code":"y"}]}],)"
            R"("start_environment":["TZ"],"default_limits":{"memory_mb":64},"later":{},)"
            R"("properties":[{"name":"path"},{"name":"jit","values":["on","off"]},{"name":"seconds","minimum":1,"maximum":60}]})");
        CPPUNIT_ASSERT_MESSAGE(manifest ? "" : manifest.failure().detail,
                               static_cast<bool>(manifest));
        const Runtime& runtime = manifest->runtimes.at(0);
        CPPUNIT_ASSERT_EQUAL(std::string("a/b.lua"), runtime.aliases[0].sourceFile);
        CPPUNIT_ASSERT_EQUAL(std::string("main.lua"), runtime.aliases[1].sourceFile);
        CPPUNIT_ASSERT_EQUAL(std::string("hello"), runtime.templates[0].title);
        CPPUNIT_ASSERT_EQUAL(std::string("handler"), runtime.templates[0].handler);
        CPPUNIT_ASSERT_EQUAL(std::string("h"), runtime.templates[1].handler);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, runtime.fileExtensions.size());
        CPPUNIT_ASSERT_EQUAL(uint32_t{64}, *manifest->defaultMemoryMb);
        const auto& properties = manifest->properties.value();
        CPPUNIT_ASSERT(properties.at(0).name == "path" && properties[0].values.empty() &&
                       !properties[0].range);
        CPPUNIT_ASSERT_EQUAL(std::string("off"), properties.at(1).values.at(1));
        CPPUNIT_ASSERT(properties.at(2).range == std::pair(uint64_t{1}, uint64_t{60}));
        CPPUNIT_ASSERT_EQUAL(&runtime, manifest->find("luajit"));
        CPPUNIT_ASSERT_EQUAL(&runtime, manifest->find("lua"));
        CPPUNIT_ASSERT(manifest->find("LUA") == nullptr && manifest->find("") == nullptr);
    }

    void refused() {
        wrong("", "empty");
        wrong("{", "not valid JSON");
        wrong("[]", "not a JSON object");
        wrong(R"({"display_name":"x","display_name":"y"})", "/display_name");
        wrong(R"({"runtimes":[{"name":"lua","source_file":"m","default_handler":"h"}]})",
              "display_name is missing");
        wrong(R"({"display_name":"x"})", "names no runtime");
        wrong(R"({"display_name":"x","runtimes":{}})", "runtimes is not an array");
        wrong(R"({"display_name":"x","runtimes":[1]})", "not an object");
        wrong(R"({"display_name":"x","runtimes":[{"name":"lua","default_handler":"h"}]})",
              "source_file is missing");
        wrong(R"({"display_name":"x","runtimes":[{"name":"lua","source_file":"m"}]})",
              "default_handler is missing");
        wrong(
            R"({"display_name":"x","runtimes":[{"name":"Lua","source_file":"m","default_handler":"h"}]})",
            "the name is not");
        wrong(
            R"({"display_name":"x","runtimes":[{"name":"lua","source_file":"../m","default_handler":"h"}]})",
            "source_file");
        wrong(
            R"({"display_name":"x","runtimes":[{"name":"lua","source_file":"m","default_handler":7}]})",
            "default_handler is not a string");
        wrong(with(R"("aliases":[{"name":"lua"}])"), "\"lua\" appears twice");
        wrong(with(R"("aliases":["luajit"])"), "aliases holds something that is not an object");
        wrong(with(R"("aliases":[{"name":"a b"}])"), "the name is not");
        wrong(with(R"("aliases":[{"name":"a","source_file":"/etc/x"}])"), "source_file");
        wrong(with(R"("file_extensions":[1])"), "file_extensions");
        wrong(with(R"("templates":[{"name":"t"}])"), "code is missing");
        for (const char* property :
             {R"({})", R"({"name":""})", R"({"name":"a","minimum":1})",
              R"({"name":"a","minimum":2,"maximum":1})",
              R"({"name":"a","values":["x"],"minimum":1,"maximum":2})",
              R"({"name":"a","maximum":-1})", R"({"name":"a","values":"x"})", "1"})
            wrong(
                R"({"display_name":"x","runtimes":[{"name":"lua","source_file":"m","default_handler":"h"}],"properties":[)" +
                    std::string(property) + "]}",
                "propert");
        wrong(
            R"({"display_name":"x","default_limits":{"memory_mb":-1},"runtimes":[{"name":"lua","source_file":"m","default_handler":"h"}]})",
            "memory_mb");
        wrong(
            R"({"display_name":"x","default_limits":{"memory_mb":0},"runtimes":[{"name":"lua","source_file":"m","default_handler":"h"}]})",
            "memory_mb");
        wrong(
            R"({"display_name":"x","runtimes":[{"name":"a","source_file":"m","default_handler":"h"},)"
            R"({"name":"a","source_file":"m","default_handler":"h"}]})",
            "\"a\" appears twice");
    }

    void limits() {
        wrong(with(R"("editor_mode":")" + std::string(300, 'x') + "\""), "longer than 256 bytes");
        wrong(with("\"later\":\"" + std::string(300'000, 'x') + "\""), "longer than 256 KB");
        std::string many = "\"file_extensions\":[\".a\"";
        for (int i = 0; i < 200; ++i) many += ",\".a\"";
        wrong(with(many + "]"), "more than 100");
    }

    void ids() {
        for (const char* good : {"a", "lua", "lua5_4", "x9"})
            CPPUNIT_ASSERT_MESSAGE(good, isId(good, false));
        for (const char* bad : {"", "9a", "_a", "a-b", "A", "a b", "a.b", "\xC3\xA9"})
            CPPUNIT_ASSERT_MESSAGE(bad, !isId(bad, false));
        CPPUNIT_ASSERT(isId("a-b", true) && !isId("-b", true));
        CPPUNIT_ASSERT(isId(std::string(64, 'a'), false) && !isId(std::string(65, 'a'), false));
    }

    void sourceNames() {
        for (const char* good : {"main.lua", "a/b/c", ".hidden", "a..b", "\xC3\xA9.lua"})
            CPPUNIT_ASSERT_MESSAGE(good, isSourceName(good));
        for (const char* bad : {"", "/a", "a/", "a//b", "..", "a/../b", ".", "./a", "a\\b", "a\nb"})
            CPPUNIT_ASSERT_MESSAGE(bad, !isSourceName(bad));
        CPPUNIT_ASSERT(!isSourceName(std::string_view("a\0b", 3)) &&
                       !isSourceName(std::string(256, 'a')));
    }

private:
    static std::string with(const std::string& members) {
        return R"({"display_name":"x","runtimes":[{"name":"lua","source_file":"m.lua","default_handler":"h")" +
               (members.empty() ? "" : "," + members) + "}]}";
    }
    static void wrong(const std::string& json, const std::string& because) {
        const auto manifest = parseManifest(json);
        CPPUNIT_ASSERT_MESSAGE(json.substr(0, 200), !manifest);
        CPPUNIT_ASSERT_MESSAGE(manifest.failure().detail,
                               manifest.failure().detail.find(because) != std::string::npos);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ManifestTest);

}  // namespace cf::test
