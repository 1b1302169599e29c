// Saves from archives, with a stand-in for the unpacking.
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <mutex>

#include "client.hpp"

namespace cf::api::test {

class ArchivesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ArchivesTest);
    CPPUNIT_TEST(createsAndReplaces);
    CPPUNIT_TEST(inJson);
    CPPUNIT_TEST(refusedArchives);
    CPPUNIT_TEST(whatIsRefusedAnywayIsNotUnpacked);
    CPPUNIT_TEST(preconditions);
    CPPUNIT_TEST(respondAsync);
    CPPUNIT_TEST(withoutUnpacking);
    CPPUNIT_TEST(nobodyWaitsForTheArchivesOfOthers);
    CPPUNIT_TEST_SUITE_END();

    std::atomic<int> unpacked_{0};
    // An archive here is the text of its one file; one that begins with '!' is refused.
    Client client_{[this](Dependencies& dependencies) {
        dependencies.unpack = [this](std::string_view bytes, const Dependencies::Unpacked& then) {
            ++unpacked_;
            if (bytes.starts_with('!'))
                return then(base::Failure{.reason = "invalid_archive", .detail = "no archive"});
            then(std::vector<functions::SourceFile>{{"a.toy", std::string(bytes)}});
        };
    }};
    static constexpr const char* archive = "/api/v1/functions/f/archive";
    static constexpr const char* function = "/api/v1/functions/f";

    void expect(const Answer& answer, int status, const std::string& reason = {}) {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, status, answer.status);
        if (!reason.empty()) CPPUNIT_ASSERT_EQUAL(reason, answer.at("/reason"));
    }

    void createsAndReplaces() {
        const Answer made = client_.call(
            "PUT", std::string(archive) + "?runtime=toy&handler=h&memory=64&timeout=2.5&description=a%20b",
            "one");
        expect(made, 201);
        CPPUNIT_ASSERT_EQUAL(std::string("(absent)"), made.at("/files"));
        for (const auto& [pointer, value] : std::initializer_list<std::pair<const char*, const char*>>{
                 {"/name", "f"}, {"/runtime", "toy"}, {"/handler", "h"}, {"/memory", "64"},
                 {"/timeout", "2.5"}, {"/description", "a b"}, {"/version", "1"}})
            CPPUNIT_ASSERT_EQUAL(std::string(value), made.at(pointer));
        CPPUNIT_ASSERT_EQUAL(std::string("one"), client_.call("GET", function).at("/files/a.toy"));
        const Answer next = client_.call("PUT", archive, "two");
        expect(next, 200);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), next.at("/version"));
        CPPUNIT_ASSERT_EQUAL(std::string("h"), next.at("/handler"));
        const Answer shown = client_.call("GET", function);
        CPPUNIT_ASSERT_EQUAL(std::string("two"), shown.at("/files/a.toy"));
        const Answer brief = client_.call("GET", std::string(function) + "?files=false");
        CPPUNIT_ASSERT_EQUAL(std::string("(absent)"), brief.at("/files"));
        CPPUNIT_ASSERT_EQUAL(std::string("(absent)"), brief.at("/code"));
        CPPUNIT_ASSERT_EQUAL(shown.at("/environment"), brief.at("/environment"));
        expect(client_.call("PUT", function, brief.body), 200);
        CPPUNIT_ASSERT_EQUAL(shown.body, client_.call("GET", function).body);
        expect(client_.call("GET", archive), 405);
    }

    void inJson() {
        const Answer made = client_.call("POST", "/api/v1/functions",
                                         "{'name':'f','runtime':'toy','archive':'b25l'}");
        expect(made, 201);
        CPPUNIT_ASSERT_EQUAL(std::string("(absent)"), made.at("/files"));
        CPPUNIT_ASSERT_EQUAL(std::string("one"), client_.call("GET", function).at("/files/a.toy"));
        expect(client_.call("PATCH", function, "{'archive':'dHdv'}"), 200);
        CPPUNIT_ASSERT_EQUAL(std::string("two"), client_.call("GET", function).at("/files/a.toy"));
        // null is no archive and changes nothing.
        expect(client_.call("PATCH", function, "{'archive':null}"), 200);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), client_.call("GET", function).at("/version"));
    }

    void refusedArchives() {
        expect(client_.call("PUT", std::string(archive) + "?runtime=toy", "!"), 422,
               "invalid_archive");
        expect(client_.call("GET", function), 404);
        expect(client_.call("POST", "/api/v1/functions",
                            "{'name':'f','runtime':'toy','archive':'IQ=='}"),
               422, "invalid_archive");
        expect(client_.call("GET", function), 404);
    }

    void whatIsRefusedAnywayIsNotUnpacked() {
        const std::string create = std::string(archive) + "?runtime=toy&";
        expect(client_.call("PUT", create + "memory=1", "one"), 422, "invalid_function");
        expect(client_.call("PUT", create + "memory=x", "one"), 400, "invalid_query");
        expect(client_.call("PUT", create + "memory=1.2.3", "one"), 400, "invalid_query");
        expect(client_.call("PUT", create + "colour=red", "one"), 400, "invalid_query");
        for (const char* body : {"{'name':'f','runtime':'toy','code':'x','archive':'b25l'}",
                                 "{'name':'f','runtime':'toy','files':{'a':''},'archive':'b25l'}",
                                 "{'name':'f','runtime':'toy','archive':'one'}",
                                 "{'name':'f','runtime':'toy','archive':7}"})
            expect(client_.call("POST", "/api/v1/functions", body), 422, "invalid_function");
        CPPUNIT_ASSERT_EQUAL(0, unpacked_.load());
    }

    void preconditions() {
        const Answer made = client_.call("PUT", std::string(archive) + "?runtime=toy", "one");
        expect(client_.call("PUT", archive, "two", {{"If-Match", made.headers.at("ETag")}}), 200);
        expect(client_.call("PUT", archive, "three", {{"If-Match", made.headers.at("ETag")}}), 412,
               "precondition_failed");
        expect(client_.call("PUT", archive, "three", {{"If-None-Match", "*"}}), 412,
               "precondition_failed");
        CPPUNIT_ASSERT_EQUAL(std::string("two"), client_.call("GET", function).at("/files/a.toy"));
    }

    void respondAsync() {
        const Answer answer = client_.call("PUT", std::string(archive) + "?runtime=toy", "WAIT",
                                           {{"Prefer", "respond-async"}});
        expect(answer, 202);
        const std::string& version = answer.headers.at("Location");
        CPPUNIT_ASSERT_EQUAL("<" + version + "/build-log>; rel=\"monitor\"",
                             answer.headers.at("Link"));
        CPPUNIT_ASSERT_EQUAL(std::string("building"), client_.call("GET", version).at("/state"));
        client_.domain.builder.release();
    }

    void withoutUnpacking() {
        Client client;
        const Answer answer =
            client.call("PUT", std::string(archive) + "?runtime=toy", "one");
        expect(answer, 422, "invalid_archive");
    }

    // Archives whose unpacking takes as long as it may, and more of them than there are threads.
    void nobodyWaitsForTheArchivesOfOthers() {
        std::mutex mutex;
        std::vector<std::pair<std::string, Dependencies::Unpacked>> hanging;
        const auto unpack = [&](std::string_view bytes, Dependencies::Unpacked then) {
            const std::lock_guard lock(mutex);
            hanging.emplace_back(bytes, std::move(then));
        };
        Client client([&](Dependencies& dependencies) { dependencies.unpack = unpack; },
                      {.threads = 1, .readers = 1, .queue = 32});
        std::vector<std::shared_ptr<FakeExchange>> uploads;
        for (int i = 0; i < 8; ++i) {
            const std::string name = "f" + std::to_string(i);
            uploads.push_back(client.send(
                "PUT", "/api/v1/functions/" + name + "/archive?runtime=toy", "archive of " + name));
        }
        expect(client.call("PUT", function, "{'runtime':'toy','code':'quick'}"), 201);
        expect(client.call("PATCH", function, "{'timeout':5}"), 200);
        const Answer page = client.call("GET", "/api/v1/functions");
        expect(page, 200);
        CPPUNIT_ASSERT_EQUAL(std::string("f"), page.at("/functions/0/name"));
        CPPUNIT_ASSERT_EQUAL(std::string("(absent)"), page.at("/functions/1/name"));
        expect(client.call("DELETE", function), 204);
        CPPUNIT_ASSERT_EQUAL(size_t{8}, hanging.size());
        for (auto& [bytes, then] : hanging)
            then(std::vector<functions::SourceFile>{{"a.toy", bytes}});
        hanging.clear();
        for (const auto& upload : uploads) expect(upload->wait(), 201);
        CPPUNIT_ASSERT_EQUAL(std::string("archive of f7"),
                             client.call("GET", "/api/v1/functions/f7").at("/files/a.toy"));
    }
};
CPPUNIT_TEST_SUITE_REGISTRATION(ArchivesTest);

}  // namespace cf::api::test
