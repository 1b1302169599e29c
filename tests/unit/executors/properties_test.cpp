// Which properties of executors are refused, and in which words.
#include "executors/properties.hpp"

#include <cppunit/extensions/HelperMacros.h>

namespace cf::test {

using namespace executors;

class PropertiesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(PropertiesTest);
    CPPUNIT_TEST(whatIsKnownIsTaken);
    CPPUNIT_TEST(unknownOnesAreNamed);
    CPPUNIT_TEST(wrongValuesAreNamedWithTheRange);
    CPPUNIT_TEST(anExecutorThatDoesNotSayHasAny);
    CPPUNIT_TEST(anExecutorThatCouldNotBeAskedMayBeMeant);
    CPPUNIT_TEST(executorsThatAreNotThereAreNamed);
    CPPUNIT_TEST_SUITE_END();

    std::vector<std::shared_ptr<const Executor>> executors_;

    void add(const std::string& id, std::optional<std::vector<Property>> properties) {
        Executor::Facts facts{.id = id};
        facts.manifest.properties = std::move(properties);
        // Its toolchain is missing: what it knows counts all the same.
        facts.unavailable = Unavailable{"no toolchain", ""};
        executors_.push_back(std::make_shared<Executor>(std::move(facts)));
    }
    std::string wrong(const std::string& key, const std::string& value) const {
        std::string all;
        for (const auto& one : findWrongProperties({{key, value}}, executors_))
            all += one.sentence + (one.maybe ? " (maybe)" : "");
        return all;
    }

public:
    void setUp() override {
        executors_.clear();
        add("lua", std::vector<Property>{{.name = "path"},
                                         {.name = "jit", .values = {"on", "off"}},
                                         {.name = "seconds", .range = {{1, 60}}}});
        add("none", std::vector<Property>{});
    }

    void whatIsKnownIsTaken() {
        for (const auto& [key, value] : {std::pair{"path", ""},
                                         {"path", "/x y"},
                                         {"jit", "on"},
                                         {"seconds", "1"},
                                         {"seconds", "60"}})
            CPPUNIT_ASSERT_EQUAL(std::string(), wrong(std::string("lua.") + key, value));
    }

    void unknownOnesAreNamed() {
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                "unknown property \"executor.lua.paht\"; executor lua has path, jit, seconds"),
            wrong("lua.paht", "/x"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("unknown property \"executor.none.path\"; executor none has none"),
            wrong("none.path", "/x"));
        CPPUNIT_ASSERT_EQUAL(std::string("unknown property \"executor.ruby.path\"; there is no "
                                         "executor \"ruby\", only lua, none"),
                             wrong("ruby.path", "/x"));
    }

    void wrongValuesAreNamedWithTheRange() {
        for (const char* value :
             {"", "abc", "0", "61", "-1", "1.5", "1s", " 1", "99999999999999999999"})
            CPPUNIT_ASSERT_EQUAL("executor.lua.seconds = \"" + std::string(value) +
                                     "\" is not accepted; it takes 1-60",
                                 wrong("lua.seconds", value));
        CPPUNIT_ASSERT_EQUAL(
            std::string("executor.lua.jit = \"true\" is not accepted; it takes on, off"),
            wrong("lua.jit", "true"));
        CPPUNIT_ASSERT_EQUAL(
            size_t{3},
            findWrongProperties({{"lua.jit", ""}, {"lua.x", ""}, {"x.y", ""}}, executors_).size());
    }

    void anExecutorThatDoesNotSayHasAny() {
        add("old", std::nullopt);
        CPPUNIT_ASSERT_EQUAL(std::string(), wrong("old.whatever", "x"));
    }

    void anExecutorThatCouldNotBeAskedMayBeMeant() {
        add("", std::nullopt);
        CPPUNIT_ASSERT(wrong("ruby.path", "/x").ends_with("only lua, none (maybe)"));
        CPPUNIT_ASSERT(!wrong("lua.paht", "/x").ends_with("(maybe)"));
    }

    void executorsThatAreNotThereAreNamed() {
        CPPUNIT_ASSERT(findMissingExecutors("workers.x", {"lua", "none"}, executors_).empty());
        const auto missing = findMissingExecutors("workers.x", {"go", "lua", "ruby"}, executors_);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, missing.size());
        CPPUNIT_ASSERT_EQUAL(std::string("workers.x is not accepted; there is no executor "
                                         "\"ruby\", only lua, none"),
                             missing[1].sentence);
        CPPUNIT_ASSERT(!missing[1].maybe);
        // One that is broken may be it: the others work on.
        add("", std::nullopt);
        CPPUNIT_ASSERT(findMissingExecutors("workers.x", {"ruby"}, executors_).at(0).maybe);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PropertiesTest);

}  // namespace cf::test
