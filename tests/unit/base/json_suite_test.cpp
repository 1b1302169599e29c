// The parsing tests of JSONTestSuite (github.com/nst/JSONTestSuite): y_ files are accepted, n_
// files refused, i_ files either, and none of them harms. What is passed on as it came may hold numbers
// of any size and escaped halves of characters.
#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "base/json.hpp"
#include "base/json_fault.hpp"

namespace cf::base {

namespace {

std::filesystem::path folder() {
    return std::filesystem::path(CORPORA) / "JSONTestSuite";
}

// Valid JSON in which a key appears twice; the control plane refuses that on purpose.
const std::set<std::string> duplicates{"y_object_duplicated_key.json",
                                       "y_object_duplicated_key_and_value.json"};

// i_ files in which bytes are wrong, not escapes.
const std::set<std::string> wrongBytes{"i_string_UTF8_surrogate_U+D800.json"};

bool isAllowedInPassing(const std::string& name) {
    if (name[0] != 'i') return name[0] == 'y';
    return name.starts_with("i_number_") ||
           (name.find("surrogate") != std::string::npos && !wrongBytes.contains(name));
}

}  // namespace

class JsonSuiteTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JsonSuiteTest);
    CPPUNIT_TEST(testSuite);
    CPPUNIT_TEST_SUITE_END();

public:
    void testSuite() {
        size_t seen = 0;
        std::string wrong;
        for (const auto& entry : std::filesystem::directory_iterator(folder())) {
            const std::string name = entry.path().filename().string();
            if (entry.path().extension() != ".json") continue;
            ++seen;
            std::ifstream file(entry.path(), std::ios::binary);
            const std::string text{std::istreambuf_iterator<char>(file), {}};
            const auto document = JsonDocument::parse(text);
            std::string padded = text + std::string(jsonPadding, ' ');
            JsonValidator validator;
            const auto bytes = std::string_view(padded).substr(0, text.size());
            const bool valid(validator.parse(bytes)), passed(validator.check(bytes));
            const bool accepted(document);
            if (name[0] == 'y' && !valid) wrong += name + " is refused by the validator\n";
            if (name[0] == 'n' && valid) wrong += name + " is accepted by the validator\n";
            if (passed != isAllowedInPassing(name))
                wrong += name + (passed ? " is passed on\n" : " is not passed on\n");
            if (name[0] == 'y' && accepted == duplicates.contains(name))
                wrong += name + (accepted ? " is accepted\n" : " is refused\n");
            if (name[0] == 'n' && accepted) wrong += name + " is accepted\n";
            // What RFC 8259 allows has no fault; what it does not allow has a place.
            if (name[0] != 'i' && (name[0] == 'y') != findJsonFault(text).empty())
                wrong += name + ": " + findJsonFault(text) + "\n";
            if (!accepted && document.failure().detail.empty())
                wrong += name + " is refused without a word\n";
        }
        CPPUNIT_ASSERT_MESSAGE("only " + std::to_string(seen) + " files were found", seen > 300);
        CPPUNIT_ASSERT_MESSAGE(wrong, wrong.empty());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(JsonSuiteTest);

}  // namespace cf::base
