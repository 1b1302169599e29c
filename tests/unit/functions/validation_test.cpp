// What a function document may hold: one row a rule.
#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

#include "fakes.hpp"
#include "functions/draft.hpp"
#include "functions/sources.hpp"

namespace cf::functions::test {

class ValidationTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ValidationTest);
    CPPUNIT_TEST(refusesEachWrongField);
    CPPUNIT_TEST(acceptsTheEdges);
    CPPUNIT_TEST(namesEverythingAtOnce);
    CPPUNIT_TEST(saysWhichFieldWasMeant);
    CPPUNIT_TEST(listsSoManyAndSaysHowManyMore);
    CPPUNIT_TEST(tellsLimitAndObserved);
    CPPUNIT_TEST(refusesUnsafeFileNames);
    CPPUNIT_TEST(boundsFilesWithTheirFolders);
    CPPUNIT_TEST(countsBeforeItReads);
    CPPUNIT_TEST(readsBinaryFiles);
    CPPUNIT_TEST(boundsCodeAndEnvironment);
    CPPUNIT_TEST(saysWhichRuntimesThereAre);
    CPPUNIT_TEST(refusesADocumentThatIsNoObject);
    CPPUNIT_TEST(base64IsStrict);
    CPPUNIT_TEST_SUITE_END();

    static base::Result<Draft> draft(std::string json) {
        return makeDraft(std::move(Domain::request(std::move(json)).patch), std::nullopt, {},
                         FakeCatalog{});
    }
    static std::vector<std::string> pointers(const base::Result<Draft>& result) {
        std::vector<std::string> found;
        if (result) return found;
        for (const auto& field : result.failure().fields) found.push_back(field.pointer);
        return found;
    }
    static std::string document(const std::string& member) {
        return "{'name':'ok','runtime':'toy','code':'x'" + (member.empty() ? "" : "," + member) +
               "}";
    }

    void refusesEachWrongField() {
        const std::pair<const char*, const char*> rows[] = {
            {"'timeout':0.05", "/timeout"},
            {"'timeout':900.1", "/timeout"},
            {"'timeout':'5'", "/timeout"},
            {"'timeout':true", "/timeout"},
            {"'init_timeout':0", "/init_timeout"},
            {"'memory':31", "/memory"},
            {"'memory':10241", "/memory"},
            {"'memory':128.5", "/memory"},
            {"'memory':1e300", "/memory"},
            {"'memory':-1", "/memory"},
            {"'concurrency':0", "/concurrency"},
            {"'min_workers':-1", "/min_workers"},
            {"'min_workers':3,'max_workers':2", "/min_workers"},
            {"'keep_alive':0", "/keep_alive"},
            {"'keep_alive':1.5", "/keep_alive"},
            {"'environment':[]", "/environment"},
            {"'environment':{'A':1}", "/environment/A"},
            {"'environment':{'1A':'x'}", "/environment/1A"},
            {"'environment':{'':'x'}", "/environment/"},
            {"'environment':{'A=B':'x'}", "/environment/A=B"},
            {"'environment':{'a/b':'x'}", "/environment/a~1b"},
            {"'environment':{'LD_PRELOAD':'x'}", "/environment/LD_PRELOAD"},
            {"'environment':{'A':'x\\u0000'}", "/environment/A"},
            {"'environment':{'T':{'secret':'NAME'}}", "/environment/T"},
            {"'network':{'mode':'all'}", "/network/mode"},
            {"'network':{'mode':'none','allow':['example.com:443']}", "/network/allow"},
            {"'network':{'allow':'example.com'}", "/network/allow"},
            {"'network':{'allow':['example.com',7]}", "/network/allow/1"},
            {"'network':{'allow':['https://example.com']}", "/network/allow/0"},
            {"'network':{'allow':['example.com:0']}", "/network/allow/0"},
            {"'network':{'allow':['10.0.0.1/8']}", "/network/allow/0"},
            {"'network':{'allow':['*.example.com']}", "/network/allow/0"},
            {"'network':{'ports':[]}", "/network/ports"},
            {"'network':'none'", "/network"},
            {"'http':{'enabled':'yes'}", "/http/enabled"},
            {"'http':{'on':true}", "/http/on"},
            {"'http':{'cors':{'origins':'*'}}", "/http/cors/origins"},
            {"'http':{'cors':{'origins':['a b']}}", "/http/cors/origins"},
            {"'http':{'cors':{'headers':['X\\r\\nY']}}", "/http/cors/headers"},
            {"'http':{'cors':{'credentials':true}}", "/http/cors/origins"},
            {"'http':{'cors':{'max_age':-1}}", "/http/cors/max_age"},
            {"'labels':['a']", "/labels"},
            {"'labels':{'a':1}", "/labels/a"},
            {"'description':5", "/description"},
            {"'handler':''", "/handler"},
            {"'handler':'../x'", "/handler"},
            {"'handler':'a b'", "/handler"},
            {"'dependencies':'a'", "/dependencies"},
            {"'dependencies':['a',1]", "/dependencies/1"},
            {"'dependencies':['a','']", "/dependencies/1"},
            {"'dependencies':['a\\nb']", "/dependencies/0"},
            {"'dependencies':['a','b','a']", "/dependencies/2"},
            {"'locks':{'a':'b'}", "/locks"},
            {"'locks':'x'", "/locks"},
            {"'locks':{'a':1}", "/locks/a"},
            {"'colour':'red'", "/colour"},
            {"'Timeout':5", "/Timeout"},
            {"'id':'fn_1'", "/id"},
            {"'version':1", "/version"},
            {"'files':{'a':'x'}", "/files"},
        };
        for (const auto& [member, pointer] : rows) {
            const auto result = draft(document(member));
            CPPUNIT_ASSERT_MESSAGE(member, !result);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(member, std::string("invalid_function"),
                                         result.failure().reason);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                member + why(result), std::vector<std::string>{pointer} == pointers(result), true);
        }
        for (const char* name : {"", " ", "../etc", "a/b", "a b", "-a", "a-", "_a", "a_", "a.b",
                                 "fn_abc", "FN_abc", "a\xC3\xA4"}) {
            const auto result =
                draft(std::string("{'name':'") + name + "','runtime':'toy','code':'x'}");
            CPPUNIT_ASSERT_MESSAGE(
                name, !result && pointers(result) == std::vector<std::string>{"/name"});
        }
    }

    void acceptsTheEdges() {
        for (const char* member :
             {"'timeout':0.1", "'timeout':900", "'memory':32", "'memory':10240", "'memory':128.0",
              "'timeout':null", "'environment':null", "'files':null",
              "'http':{'enabled':true,'cors':{'origins':['https://a.b'],'credentials':true}}",
              "'network':{'mode':'none','allow':[]}",
              "'network':{'allow':['example.com','example.com:443','198.51.100.7','10.0.0.0/8:5432']}", "'environment':{'_a1':''}",
              "'handler':null"}) {
            const auto result = draft(document(member));
            CPPUNIT_ASSERT_MESSAGE(std::string(member) + " " + why(result), bool(result));
        }
        const auto limits = draft(document("'timeout':0.1"));
        CPPUNIT_ASSERT_EQUAL(int64_t{100}, int64_t{limits->settings.timeout.count()});
        CPPUNIT_ASSERT(draft("{'name':'" + std::string(64, 'x') + "','runtime':'toy','code':'x'}"));
        CPPUNIT_ASSERT(
            !draft("{'name':'" + std::string(65, 'x') + "','runtime':'toy','code':'x'}"));
    }

    void namesEverythingAtOnce() {
        const auto result = draft("{'timeout':'long','memory':1,'colour':'red','handler':7}");
        auto found = pointers(result);
        std::sort(found.begin(), found.end());
        const std::vector<std::string> wanted{"/code", "/colour",  "/handler", "/memory",
                                              "/name", "/runtime", "/timeout"};
        CPPUNIT_ASSERT_MESSAGE(why(result), wanted == found);
    }

    void saysWhichFieldWasMeant() {
        const auto said = [](const std::string& members) {
            const auto result = draft(document(members));
            std::string all;
            for (const auto& field : result.failure().fields) all += field.detail + "\n";
            return all;
        };
        CPPUNIT_ASSERT_EQUAL(std::string("unknown field; did you mean \"timeout\"?\n"),
                             said("'timeot':5"));
        CPPUNIT_ASSERT_EQUAL(std::string("unknown field; known fields are mode, allow\n"),
                             said("'network':{'ports':[1]}"));
        CPPUNIT_ASSERT_EQUAL(std::string("unknown field; did you mean \"max_age\"?\n"),
                             said("'http':{'cors':{'maxage':1}}"));
        // Once is enough.
        const std::string two = said("'colour':1,'shape':2");
        CPPUNIT_ASSERT(two.starts_with("unknown field; known fields are name, description, "));
        CPPUNIT_ASSERT(two.ends_with(", labels\nunknown field\n"));
    }

    void listsSoManyAndSaysHowManyMore() {
        const auto fieldsOf = [](size_t count) {
            std::string members;
            for (size_t i = 0; i < count; ++i)
                members += (i == 0 ? "'u" : ",'u") + std::to_string(i) + "':1";
            return draft(document(members));
        };
        const auto all = fieldsOf(mostErrors);
        CPPUNIT_ASSERT(!all && all.failure().fields.size() == mostErrors);
        CPPUNIT_ASSERT_EQUAL(std::string("/u99"), all.failure().fields.back().pointer);
        const auto some = fieldsOf(20'000);
        CPPUNIT_ASSERT(!some && some.failure().fields.size() == mostErrors + 1);
        CPPUNIT_ASSERT(some.failure().detail.starts_with("20000 fields were refused"));
        CPPUNIT_ASSERT_EQUAL(std::string("19900 more were refused, which are not listed"),
                             some.failure().fields.back().detail);
        // Long names are cut wherever they stand.
        const std::string name(100'000, 'x');
        for (const std::string& member : {"'" + name + "':1", "'http':{'" + name + "':1}",
                                          "'http':{'cors':{'" + name + "':1}}",
                                          "'network':{'" + name + "':1}"}) {
            const auto result = draft(document(member));
            CPPUNIT_ASSERT(!result && pointers(result).size() == 1);
            CPPUNIT_ASSERT(pointers(result).front().size() < 120);
        }
    }

    void tellsLimitAndObserved() {
        const auto result = draft(document("'memory':20000"));
        CPPUNIT_ASSERT_EQUAL(std::string("32-10240 MB"), result.failure().limit);
        CPPUNIT_ASSERT_EQUAL(std::string("20000 MB"), result.failure().observed);
    }

    void refusesUnsafeFileNames() {
        for (const char* name :
             {"", ".", "..", "/a", "a/", "a//b", "./a", "a/../b", "../a", "a\\b", "a\nb"})
            CPPUNIT_ASSERT_MESSAGE(name, !whyUnsafeFileName(name, 4096).empty());
        CPPUNIT_ASSERT(!whyUnsafeFileName(std::string_view("a\0b", 3), 4096).empty());
        CPPUNIT_ASSERT(!whyUnsafeFileName(std::string(256, 'x'), 4096).empty());
        std::string deep;
        while (deep.size() < 4200) deep += "folder/";
        CPPUNIT_ASSERT(!whyUnsafeFileName(deep + "x", 4096).empty());
        for (const char* name : {"a", "a/b/c.d", "...", "..a", "\xC3\xA4"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(name, std::string(), whyUnsafeFileName(name, 4096));
        const auto longest = [](size_t bytes) {
            std::string name;
            while (name.size() < bytes) name += std::string(200, 'f') + "/";
            name.resize(bytes - 1);
            return "{'name':'n','runtime':'toy','files':{'" + name + "x':'1'}}";
        };
        CPPUNIT_ASSERT_EQUAL(std::string(), why(draft(longest(1024))));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, pointers(draft(longest(1025))).size());
        const auto twice = draft("{'name':'n','runtime':'toy','files':{'a.toy':'x','A.toy':'y'}}");
        CPPUNIT_ASSERT(!twice && pointers(twice).front() == "/files/A.toy");
        const auto both = draft("{'name':'n','runtime':'toy','files':{'a':'x','a/b':'y'}}");
        CPPUNIT_ASSERT(!both && pointers(both).front().starts_with("/files"));
    }

    void boundsFilesWithTheirFolders() {
        const auto refused = [](const std::string& files) {
            const auto patch =
                Domain::request("{'files':{" + files + "}}", {.files = 5}).patch;
            return patch.errors.empty() ? ""
                                        : patch.errors.front().pointer + " " + patch.limit + " " +
                                              patch.observed;
        };
        CPPUNIT_ASSERT_EQUAL(std::string(), refused("'a':'','b':'','c':'','d':'','e':''"));
        CPPUNIT_ASSERT_EQUAL(std::string(), refused("'a/b/c':'','a/b/d':'','a/e':''"));
        CPPUNIT_ASSERT_EQUAL(std::string("/files 5 files and folders 6 files and folders"),
                             refused("'a/b/c':'','a/b/d':'','A/e':''"));
        CPPUNIT_ASSERT_EQUAL(std::string("/files 5 files and folders 6 files and folders"),
                             refused("'a/b/c/d/e/f':''"));
        const auto deep = [](size_t parts) {
            std::string name = "f";
            for (size_t i = 1; i < parts; ++i) name = "a/" + name;
            return name;
        };
        CPPUNIT_ASSERT_EQUAL(std::string(), whyUnsafeFileName(deep(64), 4096));
        CPPUNIT_ASSERT_EQUAL(std::string("the file name has 65 parts, the limit is 64"),
                             whyUnsafeFileName(deep(65), 4096));
        const auto result =
            draft("{'name':'n','runtime':'toy','files':{'" + deep(1000) + "':'x'}}");
        CPPUNIT_ASSERT(!result && pointers(result).front().starts_with("/files/a~1a"));
    }

    // One error, not one an entry: what is too many is not looked at.
    void countsBeforeItReads() {
        for (const auto& [field, most, entry] :
             {std::tuple("files", 20'000u, "/"), {"labels", 64u, ""}, {"locks", 100u, "l"},
              {"environment", 65'536u, "="}}) {
            std::string members;
            for (unsigned i = 0; i <= most; ++i)
                members += (i == 0 ? "'" : ",'") + (entry + std::to_string(i)) + "':0";
            const auto patch =
                Domain::request("{'" + std::string(field) + "':{" + members + "}}").patch;
            CPPUNIT_ASSERT_EQUAL_MESSAGE(field, size_t{1}, patch.errors.size());
            CPPUNIT_ASSERT_EQUAL("/" + std::string(field), patch.errors.front().pointer);
            CPPUNIT_ASSERT(patch.limit.starts_with(std::to_string(most) + " "));
        }
    }

    void readsBinaryFiles() {
        const auto result =
            draft("{'name':'n','runtime':'toy','files':{'b':{'base64':'AP8='},'a':'text'}}");
        CPPUNIT_ASSERT_MESSAGE(why(result), bool(result));
        CPPUNIT_ASSERT_EQUAL(std::string("a"), result->sources->at(0).name);
        CPPUNIT_ASSERT(std::string("\0\xFF", 2) == result->sources->at(1).content);
        CPPUNIT_ASSERT(!draft("{'name':'n','runtime':'toy','files':{'b':{'base64':'AP8'}}}"));
        CPPUNIT_ASSERT(!draft("{'name':'n','runtime':'toy','files':{'b':5}}"));
    }

    void boundsCodeAndEnvironment() {
        const std::string large(70'000, 'x');
        CPPUNIT_ASSERT(pointers(draft(document("'environment':{'A':'" + large + "'}"))).front() ==
                       "/environment");
        CPPUNIT_ASSERT(draft(document("'environment':{'A':'" + large.substr(0, 60'000) + "'}")));
        const std::string code(11u << 20, 'x');
        CPPUNIT_ASSERT(
            pointers(draft("{'name':'n','runtime':'toy','code':'" + code + "'}")).front() ==
            "/code");
        CPPUNIT_ASSERT(
            pointers(draft("{'name':'n','runtime':'toy','files':{'a':'" + code + "'}}")).front() ==
            "/files");
    }

    void saysWhichRuntimesThereAre() {
        const auto unknown = draft("{'name':'n','runtime':'cobol','code':'x'}");
        CPPUNIT_ASSERT(pointers(unknown).front() == "/runtime");
        CPPUNIT_ASSERT(unknown.failure().fields.front().detail.find("gone, toy") !=
                       std::string::npos);
        const auto gone = draft("{'name':'n','runtime':'gone','code':'x'}");
        CPPUNIT_ASSERT_EQUAL(std::string("runtime_unavailable"), gone.failure().reason);
        CPPUNIT_ASSERT_EQUAL(std::string("install gone"), gone.failure().hint);
    }

    void refusesADocumentThatIsNoObject() {
        for (const char* text : {"[]", "1", "null", "\"text\""}) {
            auto document = base::JsonDocument::parse(text);
            CPPUNIT_ASSERT_MESSAGE(text, !readPatch(document->root(), {}));
        }
    }

    void base64IsStrict() {
        for (const std::string& bytes : {std::string(), std::string("f"), std::string("fo"),
                                         std::string("foo"), std::string("\0\xFF\x10z", 4)})
            CPPUNIT_ASSERT(decodeBase64(encodeBase64(bytes)) == bytes);
        CPPUNIT_ASSERT_EQUAL(std::string("Zm9vYg=="), encodeBase64("foob"));
        for (const char* text : {"Zg", "Zg=", "Z===", "Zg==Zg==", "Zm9 ", "Zm9v\n"})
            CPPUNIT_ASSERT_MESSAGE(text, !decodeBase64(text));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ValidationTest);

}  // namespace cf::functions::test
