// The table of functions that can be called: by id, by name, and whose a name is.
#include "api/live_functions.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <memory>
#include <string>

namespace cf::api::test {

class LiveFunctionsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LiveFunctionsTest);
    CPPUNIT_TEST(byIdAndByNameWithoutRegardToCase);
    CPPUNIT_TEST(aNameThatWasGivenAwayStaysWithItsNewFunction);
    CPPUNIT_TEST_SUITE_END();

    LiveFunctions live_;

    void put(const std::string& id, const std::string& name) {
        auto target = std::make_shared<workers::Target>();
        target->functionId = id;
        target->functionName = name;
        live_.put({.target = std::move(target)});
    }
    std::string idOf(std::string_view name) const {
        const LiveFunction* found = live_.find(name);
        return found == nullptr ? "none" : found->target->functionId;
    }

public:
    void byIdAndByNameWithoutRegardToCase() {
        put("1", "Sum");
        for (const char* key : {"1", "sum", "SUM"})
            CPPUNIT_ASSERT_EQUAL(std::string("1"), idOf(key));
        put("1", "Total");
        CPPUNIT_ASSERT_EQUAL(std::string("none"), idOf("sum"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), idOf("total"));
        live_.remove("1");
        for (const char* key : {"1", "total"}) CPPUNIT_ASSERT_EQUAL(std::string("none"), idOf(key));
        CPPUNIT_ASSERT_EQUAL(size_t{0}, live_.size());
    }

    // A function is created under a name that is free already, before the loop hears that the one
    // that had it was deleted, or was renamed.
    void aNameThatWasGivenAwayStaysWithItsNewFunction() {
        put("1", "sum");
        put("2", "Sum");
        live_.remove("1");
        CPPUNIT_ASSERT_EQUAL(std::string("2"), idOf("sum"));
        put("3", "sum");
        put("2", "total");
        CPPUNIT_ASSERT_EQUAL(std::string("3"), idOf("sum"));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), idOf("total"));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LiveFunctionsTest);

}  // namespace cf::api::test
