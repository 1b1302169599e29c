// The resources of functions and versions, as callers see them.
#include <cppunit/extensions/HelperMacros.h>

#include "client.hpp"

namespace cf::api::test {

class FunctionsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FunctionsTest);
    CPPUNIT_TEST(theDocument);
    CPPUNIT_TEST(documentsGoRound);
    CPPUNIT_TEST(createAnswers);
    CPPUNIT_TEST(refusals);
    CPPUNIT_TEST(buildErrorsNameTheirPlace);
    CPPUNIT_TEST(preconditions);
    CPPUNIT_TEST(respondAsync);
    CPPUNIT_TEST(putPatchDelete);
    CPPUNIT_TEST(listing);
    CPPUNIT_TEST(queries);
    CPPUNIT_TEST(versions);
    CPPUNIT_TEST_SUITE_END();

    Client client_;
    static constexpr const char* simple = "{'name':'hello','runtime':'toy','code':'one'}";
    static constexpr const char* all = "/api/v1/functions";
    static constexpr const char* hello = "/api/v1/functions/hello";

    void expect(const Answer& answer, int status, const std::string& reason = {}) {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, status, answer.status);
        if (reason.empty()) return;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, reason, answer.at("/reason"));
        CPPUNIT_ASSERT_EQUAL(std::string("application/problem+json"),
                             answer.headers.at("Content-Type"));
        CPPUNIT_ASSERT_EQUAL(std::to_string(status), answer.at("/status"));
    }

    void theDocument() {
        const Answer answer = client_.call("POST", all, simple);
        expect(answer, 201);
        std::string text = answer.body;
        text.replace(text.find(answer.at("/id")), answer.at("/id").size(), "id");
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                R"({"id":"id","name":"hello","runtime":"toy","handler":"handler","code":"one","files":null,"dependencies":[],)"
                R"("timeout":30,"init_timeout":10,"memory":128,"concurrency":1,"environment":{},"network":{"mode":"outbound","allow":[]},)"
                R"("http":{"enabled":false},"min_workers":0,"max_workers":0,"keep_alive":600,"description":"","labels":{},)"
                R"("project":"default","version":1,"live":[{"version":1,"weight":100}],"state":"ready",)"),
            text.substr(0, text.find("\"created_at\"")));
        CPPUNIT_ASSERT_EQUAL(std::string("anonymous"), answer.at("/created_by"));
    }

    void documentsGoRound() {
        const char* rich =
            "{'name':'rich','runtime':'typedtoy','files':{'a.tt':'x\\u00e4','b':{'base64':'AP8='}},"
            "'timeout':0.125,'memory':64,"
            "'environment':{'Z':'1','A':'\\u0001'},'network':{'mode':'none'},'labels':{'a':'b'},'"
            "description':'d',"
            "'http':{'enabled':true,'cors':{'origins':['*'],'methods':[],'headers':[],'credentials'"
            ":false,'max_age':9}}}";
        const Answer made = client_.call("POST", all, rich);
        expect(made, 201);
        const Answer read = client_.call("GET", "/api/v1/functions/RICH");
        CPPUNIT_ASSERT_EQUAL(made.body, read.body);
        const Answer again = client_.call("PUT", "/api/v1/functions/rich", read.body);
        expect(again, 200);
        CPPUNIT_ASSERT_EQUAL(read.body, again.body);
        CPPUNIT_ASSERT_EQUAL(read.headers.at("ETag"), again.headers.at("ETag"));
        CPPUNIT_ASSERT_EQUAL(std::string("AP8="), read.at("/files/b/base64"));
        CPPUNIT_ASSERT_EQUAL(std::string("0.125"), read.at("/timeout"));
    }

    void createAnswers() {
        const Answer answer = client_.call("POST", all, simple, {{"X-Request-Id", "mine-1"}});
        CPPUNIT_ASSERT_EQUAL(std::string("/api/v1/functions/") + answer.at("/id"),
                             answer.headers.at("Location"));
        CPPUNIT_ASSERT_EQUAL(std::string("\"1\""), answer.headers.at("ETag"));
        CPPUNIT_ASSERT_EQUAL(std::string("mine-1"), answer.headers.at("X-Request-Id"));
        CPPUNIT_ASSERT_EQUAL(std::string("application/json"), answer.headers.at("Content-Type"));
        expect(client_.call("GET", answer.headers.at("Location")), 200);
        expect(client_.call("POST", all, "{'name':'HELLO','runtime':'toy','code':'x'}"), 409,
               "name_taken");
    }

    void refusals() {
        for (const char* body : {"{", "", "nonsense", "{'a':1,}", "{'a':1}{'a':1}"})
            expect(client_.call("POST", all, body), 400, "malformed_json");
        expect(client_.call("POST", all, "{'name':'a','name':'b'}"), 400, "duplicate_key");
        expect(client_.call("POST", all, std::string(100, '[') + std::string(100, ']')), 400,
               "json_too_deep");
        expect(client_.call("POST", all, "[]"), 422, "invalid_function");
        const Answer answer = client_.call(
            "POST", all, "{'name':'a','runtime':'toy','code':'x','colour':'red','memory':1}");
        expect(answer, 422, "invalid_function");
        CPPUNIT_ASSERT_EQUAL(std::string("/colour"), answer.at("/errors/0/pointer"));
        CPPUNIT_ASSERT_EQUAL(std::string("/memory"), answer.at("/errors/1/pointer"));
        CPPUNIT_ASSERT_EQUAL(std::string("32-10240 MB"), answer.at("/limit"));
        CPPUNIT_ASSERT_EQUAL(std::string(all), answer.at("/instance"));
        expect(client_.call("GET", hello), 404, "not_found");
        expect(client_.call("GET", "/api/v1/functions/%2e%2e"), 404, "not_found");
        expect(client_.call("DELETE", hello), 404, "not_found");
    }

    void buildErrorsNameTheirPlace() {
        const Answer answer =
            client_.call("POST", all, "{'name':'hello','runtime':'toy','code':'BROKEN'}");
        expect(answer, 422, "build_failed");
        CPPUNIT_ASSERT_EQUAL(std::string("main.toy"), answer.at("/errors/0/file"));
        CPPUNIT_ASSERT_EQUAL(std::string("3"), answer.at("/errors/0/line"));
        CPPUNIT_ASSERT_EQUAL(std::string("7"), answer.at("/errors/0/column"));
        CPPUNIT_ASSERT_EQUAL(std::string("BROKEN is no word"), answer.at("/errors/0/message"));
        const Answer warned =
            client_.call("POST", all, "{'name':'warned','runtime':'toy','code':'WARN'}");
        expect(warned, 201);
        CPPUNIT_ASSERT_EQUAL(std::string("odd"), warned.at("/warnings/0/message"));
    }

    void preconditions() {
        const std::string etag = client_.call("POST", all, simple).headers.at("ETag");
        expect(client_.call("GET", hello, "", {{"If-None-Match", etag}}), 304);
        expect(client_.call("GET", hello, "", {{"If-None-Match", "W/" + etag + ", \"9\""}}), 304);
        expect(client_.call("GET", hello, "", {{"If-None-Match", "\"9\""}}), 200);
        expect(client_.call("PATCH", hello, "{'timeout':8}", {{"If-Match", etag}}), 200);
        expect(client_.call("PATCH", hello, "{'timeout':9}", {{"If-Match", etag}}), 412,
               "precondition_failed");
        expect(client_.call("PATCH", hello, "{'timeout':9}", {{"If-Match", "W/" + etag}}), 412,
               "precondition_failed");
        expect(client_.call("DELETE", hello, "", {{"If-Match", etag}}), 412, "precondition_failed");
        expect(client_.call("PATCH", hello, "{'timeout':10}", {{"If-Match", "*"}}), 200);
        const std::string now = client_.call("GET", hello).headers.at("ETag");
        expect(client_.call("PATCH", hello, "{'timeout':11}", {{"If-Match", "\"999\", " + now + ", \"998\""}}), 200);
        expect(client_.call("PATCH", hello, "{'timeout':12}", {{"If-Match", "\"999\", " + now}}), 412,
               "precondition_failed");
        expect(client_.call("PUT", hello, simple, {{"If-None-Match", "*"}}), 412,
               "precondition_failed");
        const char* other = "/api/v1/functions/other";
        expect(client_.call("PUT", other, "{'runtime':'toy','code':'x'}", {{"If-Match", "*"}}), 412,
               "precondition_failed");
        expect(client_.call("PUT", other, "{'runtime':'toy','code':'x'}", {{"If-None-Match", "*"}}),
               201);
    }

    void respondAsync() {
        const Answer answer =
            client_.call("POST", all, "{'name':'hello','runtime':'toy','code':'WAIT'}",
                         {{"prefer", "wait=5, respond-async"}});
        expect(answer, 202);
        CPPUNIT_ASSERT_EQUAL(std::string("building"), answer.at("/state"));
        CPPUNIT_ASSERT_EQUAL(std::string("[]"), answer.at("/live"));
        CPPUNIT_ASSERT(answer.headers.at("ETag").ends_with("-building\""));
        const std::string version = answer.headers.at("Location");
        CPPUNIT_ASSERT_EQUAL("/api/v1/functions/" + answer.at("/id") + "/versions/1", version);
        CPPUNIT_ASSERT_EQUAL(std::string("building"), client_.call("GET", version).at("/state"));
        client_.domain.builder.release();
        expect(client_.call("PATCH", hello, "{'description':'waits for the build'}"), 200);
        CPPUNIT_ASSERT_EQUAL(std::string("ready"), client_.call("GET", version).at("/state"));
    }

    void putPatchDelete() {
        expect(client_.call("PATCH", hello, simple), 404, "not_found");
        expect(client_.call("PUT", hello, "{'timeout':5}"), 404, "not_found");
        expect(client_.call("PUT", hello, "{'runtime':'toy','code':'one'}"), 201);
        const Answer same = client_.call("PUT", hello, "{'runtime':'toy','code':'one'}");
        expect(same, 200);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), same.at("/version"));
        CPPUNIT_ASSERT_EQUAL(std::string("2"),
                             client_.call("PATCH", hello, "{'code':'two'}").at("/version"));
        const Answer gone = client_.call("DELETE", hello);
        expect(gone, 204);
        CPPUNIT_ASSERT(gone.body.empty() && gone.headers.contains("X-Request-Id"));
        expect(client_.call("GET", hello), 404, "not_found");
    }

    void listing() {
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"functions":[],"next_cursor":null})"),
                             client_.call("GET", all).body);
        for (const char* name : {"b", "A", "c"})
            expect(client_.call("PUT", std::string(all) + "/" + name,
                                "{'runtime':'toy','code':'secret words'}"),
                   201);
        const Answer page = client_.call("GET", std::string(all) + "?limit=2");
        CPPUNIT_ASSERT_EQUAL(std::string("A"), page.at("/functions/0/name"));
        CPPUNIT_ASSERT(page.body.find("secret") == std::string::npos);
        const Answer rest =
            client_.call("GET", std::string(all) + "?limit=2&cursor=" + page.at("/next_cursor"));
        CPPUNIT_ASSERT_EQUAL(std::string("c"), rest.at("/functions/0/name"));
        CPPUNIT_ASSERT_EQUAL(std::string("null"), rest.at("/next_cursor"));
    }

    void queries() {
        for (const char* query :
             {"limit=0", "limit=x", "limit=-1", "limit=1001", "limit=", "cursor=%00", "cursor=%",
              "cursor=!", "cursor=A", "cursor=fn_1", "cursor=a+b", "cursor=%c3%a9",
              "q=%ff", "colour=red", "limit=1&limit=1", "runtime="})
            expect(client_.call("GET", std::string(all) + "?" + query), 400, "invalid_query");
        expect(client_.call("GET", std::string(all) + "?q=a+b%20c&"), 200);
        expect(client_.call("GET", std::string(all) + "?cursor="), 200);
        expect(client_.call("GET", std::string(all) + "?q=&runtime=toy"), 200);
        // Nothing is saved or deleted by what asks for something else as well.
        expect(client_.call("POST", std::string(all) + "?dry_run=true", simple), 400, "invalid_query");
        expect(client_.call("GET", hello), 404, "not_found");
        expect(client_.call("POST", all, simple), 201);
        for (const auto& [method, body] : {std::pair<const char*, const char*>{"PUT", "{'timeout':9}"},
                                           {"PATCH", "{'timeout':9}"},
                                           {"DELETE", ""}}) {
            const Answer refused = client_.call(method, std::string(hello) + "?version=1", body);
            expect(refused, 400, "invalid_query");
            CPPUNIT_ASSERT_EQUAL(std::string("this address takes no parameters"), refused.at("/hint"));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("1"), client_.call("GET", hello).at("/version"));
        CPPUNIT_ASSERT(client_.call("GET", hello).at("/timeout") != "9");
        for (const char* path : {"/api/health", "/api/openapi.yaml", "/api/v1/runtimes", "/api/v1/invocations/01A"})
            expect(client_.call("GET", std::string(path) + "?colour=red"), 400, "invalid_query");
    }

    void versions() {
        expect(client_.call("POST", all, simple), 201);
        expect(client_.call("PATCH", hello, "{'code':'BROKEN'}"), 422, "build_failed");
        expect(client_.call("PATCH", hello, "{'code':'three'}"), 200);
        const std::string path = std::string(hello) + "/versions";
        const Answer list = client_.call("GET", path);
        const char* states[] = {"ready", "failed", "ready"};
        for (int i = 0; i < 3; ++i) {
            const std::string at = "/versions/" + std::to_string(i);
            CPPUNIT_ASSERT_EQUAL(std::to_string(3 - i), list.at(at + "/version"));
            CPPUNIT_ASSERT_EQUAL(std::string(states[i]), list.at(at + "/state"));
            CPPUNIT_ASSERT_EQUAL(std::string(i == 0 ? "true" : "false"), list.at(at + "/live"));
            CPPUNIT_ASSERT_EQUAL(std::string("(absent)"), list.at(at + "/code"));
        }
        const Answer failed = client_.call("GET", path + "/2");
        CPPUNIT_ASSERT_EQUAL(std::string("BROKEN"), failed.at("/code"));
        CPPUNIT_ASSERT_EQUAL(std::string("build_failed"), failed.at("/error/reason"));
        CPPUNIT_ASSERT_EQUAL(std::string("error"), failed.at("/diagnostics/0/severity"));
        const Answer log = client_.call("GET", path + "/2/build-log");
        CPPUNIT_ASSERT_EQUAL(std::string("text/plain; charset=utf-8"),
                             log.headers.at("Content-Type"));
        CPPUNIT_ASSERT(log.body.find("BROKEN is no word") != std::string::npos);
        expect(client_.call("GET", path + "/2/build-log?follow=maybe"), 400, "invalid_query");
        for (const char* number : {"/4", "/0", "/x", "/-1", "/99999999999999999999"}) {
            expect(client_.call("GET", path + number), 404, "not_found");
            expect(client_.call("GET", path + number + "/build-log"), 404, "not_found");
        }
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FunctionsTest);

}  // namespace cf::api::test
