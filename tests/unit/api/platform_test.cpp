// Routing, the control pool, health, and the resources that only pass on.
#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <future>
#include <latch>
#include <semaphore>

#include "client.hpp"

namespace cf::api::test {

namespace {

class FakeRecords final : public RecordSource {
public:
    base::Result<std::string> invocation(std::string_view id) override {
        if (id != "01A") return base::Failure{.reason = "not_found", .detail = "no record"};
        return std::string(R"({"invocation_id":"01A"})");
    }
    base::Result<std::vector<std::string>> invocations(const std::string&, size_t limit,
                                                       const std::string& cursor,
                                                       std::string& next) override {
        next = cursor.empty() ? "01J00000000000000000000000" : "";
        return std::vector<std::string>(limit, "{}");
    }
    base::Result<std::vector<std::string>> logs(const functions::FunctionEntry& function,
                                                const LogQuery& query) override {
        return std::vector<std::string>{base::jsonString(
            function.function.name + " " + std::to_string(query.tail) + " " + query.invocationId)};
    }
};

}  // namespace

class PlatformTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(PlatformTest);
    CPPUNIT_TEST(pathsAndMethods);
    CPPUNIT_TEST(slots);
    CPPUNIT_TEST(records);
    CPPUNIT_TEST(withoutRecords);
    CPPUNIT_TEST(healthDocument);
    CPPUNIT_TEST(readiness);
    CPPUNIT_TEST(runtimesAndOpenapi);
    CPPUNIT_TEST(aFullQueueIsSaid);
    CPPUNIT_TEST(readingNeverWaitsForBuilds);
    CPPUNIT_TEST(savesNeverWaitForOthersBuilds);
    CPPUNIT_TEST(aDroppedReplyIsAnswered);
    CPPUNIT_TEST(aFaultIsA500);
    CPPUNIT_TEST(everyExchangeIsAnsweredAtTheEnd);
    CPPUNIT_TEST_SUITE_END();

    void pathsAndMethods() {
        Client client;
        for (const char* path : {"/api/v1/nothing", "/api/nothing", "/api/v1/functions/",
                                 "/api/v1/functions/a/", "/api/v1/functions/a/b", "/"}) {
            const Answer answer = client.call("GET", path);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, 404, answer.status);
            CPPUNIT_ASSERT_MESSAGE(path, answer.at("/detail").find("no such path") == 0);
        }
        const Answer refused = client.call("DELETE", "/api/v1/functions");
        CPPUNIT_ASSERT_EQUAL(405, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("method_not_allowed"), refused.at("/reason"));
        CPPUNIT_ASSERT_EQUAL(std::string("GET, HEAD, POST, OPTIONS"), refused.headers.at("Allow"));
        const Answer options = client.call("OPTIONS", "/api/v1/functions/x");
        CPPUNIT_ASSERT_EQUAL(204, options.status);
        CPPUNIT_ASSERT_EQUAL(std::string("GET, HEAD, PUT, PATCH, DELETE, OPTIONS"),
                             options.headers.at("Allow"));
        CPPUNIT_ASSERT_EQUAL(200, client.call("HEAD", "/api/v1/functions").status);
        CPPUNIT_ASSERT_EQUAL(405, client.call("GET", "/api/v1/functions/x/invoke").status);
    }

    void slots() {
        std::vector<std::string> seen;
        Client client([&](Dependencies& dependencies) {
            const auto note = [&seen](std::shared_ptr<http::Exchange> exchange,
                                      const std::string& text) {
                seen.push_back(text);
                exchange->respond(200, "", {text});
            };
            dependencies.invoke = [note](std::shared_ptr<http::Exchange> exchange,
                                         std::string_view id) {
                note(exchange, "invoke " + std::string(id));
            };
            dependencies.functionUrl = [note](std::shared_ptr<http::Exchange> exchange,
                                              std::string_view name, std::string_view rest) {
                note(exchange, "url " + std::string(name) + " " + std::string(rest));
            };
            dependencies.page = [note](std::shared_ptr<http::Exchange> exchange) {
                note(exchange, "page");
            };
        });
        CPPUNIT_ASSERT_EQUAL(std::string("invoke a-b"),
                             client.call("POST", "/api/v1/functions/a%2Db/invoke").body);
        CPPUNIT_ASSERT_EQUAL(std::string("url f "), client.call("PUT", "/function/f").body);
        CPPUNIT_ASSERT_EQUAL(std::string("url f /a%20b/"),
                             client.call("DELETE", "/function/f/a%20b/?x=1").body);
        CPPUNIT_ASSERT_EQUAL(std::string("page"), client.call("GET", "/index.html").body);
        CPPUNIT_ASSERT_EQUAL(404, client.call("POST", "/index.html").status);
        CPPUNIT_ASSERT_EQUAL(404, client.call("GET", "/api/x").status);
    }

    void records() {
        FakeRecords records;
        Client client([&](Dependencies& dependencies) { dependencies.records = &records; });
        client.call("PUT", "/api/v1/functions/f", "{'runtime':'toy','code':'x'}");
        CPPUNIT_ASSERT_EQUAL(std::string("01A"),
                             client.call("GET", "/api/v1/invocations/01A").at("/invocation_id"));
        CPPUNIT_ASSERT_EQUAL(404, client.call("GET", "/api/v1/invocations/01B").status);
        const std::string path = "/api/v1/functions/f/invocations";
        const Answer first = client.call("GET", path + "?limit=2&cursor=");
        CPPUNIT_ASSERT_EQUAL(std::string("[{},{}]"), first.at("/invocations"));
        CPPUNIT_ASSERT_EQUAL(
            std::string(R"({"invocations":[{}],"next_cursor":null})"),
            client.call("GET", path + "?limit=1&cursor=" + first.at("/next_cursor")).body);
        for (const char* cursor : {"zzz", "!", "~", "01J0000000000000000000000",
                                   "01j00000000000000000000000", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ"}) {
            const Answer refused = client.call("GET", path + "?cursor=" + cursor);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(cursor, 400, refused.status);
            CPPUNIT_ASSERT(refused.at("/detail").find("\"cursor\"") != std::string::npos);
        }
        CPPUNIT_ASSERT_EQUAL(
            std::string(R"({"lines":["f 7 01A"]})"),
            client.call("GET", "/api/v1/functions/f/logs?tail=7&invocation_id=01A").body);
        for (const char* query : {"follow=true", "invocation_id=", "tail=7&request_id="})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                query, 400,
                client.call("GET", std::string("/api/v1/functions/f/logs?") + query).status);
        // What cannot be had is not offered.
        CPPUNIT_ASSERT_EQUAL(std::string("known parameters are tail, invocation_id, request_id"),
                             client.call("GET", "/api/v1/functions/f/logs?foo=1").at("/hint"));
        CPPUNIT_ASSERT_EQUAL(404, client.call("GET", "/api/v1/functions/g/logs").status);
    }

    void withoutRecords() {
        Client client;
        CPPUNIT_ASSERT_EQUAL(404, client.call("GET", "/api/v1/invocations/01A").status);
    }

    void healthDocument() {
        Health health{.phase = Health::Phase::running, .version = "1.2.3"};
        health.companions = {{"crawler", "unreachable"}};
        health.executors = {{.id = "toy",
                             .available = false,
                             .version = "1",
                             .detail = "no compiler",
                             .hint = "install it"}};
        health.layers = {{"seccomp", true, "on"}, {"cgroup", false, "no delegation"}};
        Client client(
            [&](Dependencies& dependencies) { dependencies.health = [&] { return health; }; });
        Answer answer = client.call("GET", "/api/health");
        CPPUNIT_ASSERT_EQUAL(std::string("ok"), answer.at("/status"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"cloudfunction":"running","crawler":"unreachable"})"),
                             answer.at("/services"));
        CPPUNIT_ASSERT_EQUAL(std::string("unavailable"), answer.at("/executors/toy/status"));
        CPPUNIT_ASSERT_EQUAL(std::string("reduced"), answer.at("/sandbox/status"));
        CPPUNIT_ASSERT_EQUAL(std::string("no delegation"), answer.at("/sandbox/layers/1/detail"));
        CPPUNIT_ASSERT_EQUAL(std::string("1.2.3"), answer.at("/version"));
        CPPUNIT_ASSERT_EQUAL(std::string("no-store"), answer.headers.at("Cache-Control"));
        health.problems = {"the disk is nearly full"};
        CPPUNIT_ASSERT_EQUAL(std::string("degraded"),
                             client.call("GET", "/api/health").at("/status"));
    }

    void readiness() {
        std::atomic<Health::Phase> phase{Health::Phase::starting};
        Client client(
            [&](Dependencies& dependencies) { dependencies.phase = [&] { return phase.load(); }; });
        CPPUNIT_ASSERT_EQUAL(503, client.call("GET", "/api/health/ready").status);
        phase = Health::Phase::running;
        CPPUNIT_ASSERT_EQUAL(200, client.call("GET", "/api/health/ready").status);
        phase = Health::Phase::draining;
        CPPUNIT_ASSERT_EQUAL(std::string("draining"),
                             client.call("GET", "/api/health/ready").at("/reason"));
    }

    void runtimesAndOpenapi() {
        Client client([&](Dependencies& dependencies) {
            dependencies.runtimesDocument = [] { return std::string(R"([{"name":"toy"}])"); };
            dependencies.openapi = "openapi: 3.1.0\n";
        });
        CPPUNIT_ASSERT_EQUAL(std::string("toy"),
                             client.call("GET", "/api/v1/runtimes").at("/runtimes/0/name"));
        const Answer openapi = client.call("GET", "/api/openapi.yaml");
        CPPUNIT_ASSERT_EQUAL(std::string("openapi: 3.1.0\n"), openapi.body);
        CPPUNIT_ASSERT_EQUAL(std::string("application/yaml"), openapi.headers.at("Content-Type"));
    }

    void aFullQueueIsSaid() {
        std::counting_semaphore<> running(0);
        std::latch go(1);
        {
            Client client(
                [&](Dependencies& dependencies) {
                    dependencies.runtimesDocument = [&] {
                        running.release();
                        go.wait();
                        return std::string("[]");
                    };
                },
                {.threads = 1, .readers = 2, .queue = 1});
            const auto first = client.send("GET", "/api/v1/runtimes");
            running.acquire();
            const auto second = client.send("GET", "/api/v1/runtimes");
            running.acquire();
            const auto waiting = client.send("GET", "/api/health");
            const Answer refused = client.call("GET", "/api/health");
            CPPUNIT_ASSERT_EQUAL(503, refused.status);
            CPPUNIT_ASSERT_EQUAL(std::string("control_busy"), refused.at("/reason"));
            CPPUNIT_ASSERT(refused.headers.contains("Retry-After"));
            // What never waits is answered all the same.
            CPPUNIT_ASSERT_EQUAL(std::string("starting"),
                                 client.call("GET", "/api/health/ready").at("/reason"));
            go.count_down();
            CPPUNIT_ASSERT_EQUAL(200, first->wait().status);
            CPPUNIT_ASSERT_EQUAL(200, second->wait().status);
            waiting->wait();
        }
    }

    void readingNeverWaitsForBuilds() {
        Client client({}, {.threads = 2, .readers = 1, .queue = 8});
        std::vector<std::shared_ptr<FakeExchange>> saves;
        for (int i = 0; i < 4; ++i)
            saves.push_back(
                client.send("PUT", "/api/v1/functions/f" + std::to_string(i),
                            "{'runtime':'toy','code':'WAIT " + std::to_string(i) + "'}"));
        client.domain.builder.untilWaiting(2);
        CPPUNIT_ASSERT_EQUAL(200, client.call("GET", "/api/health").status);
        client.domain.builder.release();
        for (const auto& save : saves) CPPUNIT_ASSERT_EQUAL(201, save->wait().status);
    }

    void savesNeverWaitForOthersBuilds() {
        // One thread for saves, and more hanging builds than may run.
        Client client({}, {.threads = 1, .readers = 1, .queue = 32});
        for (const char* name : {"settings", "gone"})
            CPPUNIT_ASSERT_EQUAL(201, client
                                          .call("PUT", std::string("/api/v1/functions/") + name,
                                                "{'runtime':'toy','code':'quick'}")
                                          .status);
        std::vector<std::shared_ptr<FakeExchange>> hanging;
        for (int i = 0; i < 8; ++i)
            hanging.push_back(
                client.send("PUT", "/api/v1/functions/f" + std::to_string(i),
                            "{'runtime':'toy','code':'WAIT " + std::to_string(i) + "'}"));
        client.domain.builder.untilWaiting(4);
        const Answer made = client.call("POST", "/api/v1/functions",
                                        "{'name':'new','runtime':'toy','code':'new'}",
                                        {{"Prefer", "respond-async"}});
        CPPUNIT_ASSERT_EQUAL(202, made.status);
        CPPUNIT_ASSERT_EQUAL(std::string("respond-async"), made.headers.at("Preference-Applied"));
        CPPUNIT_ASSERT_EQUAL(std::string("building"),
                             client.call("GET", made.headers.at("Location")).at("/state"));
        CPPUNIT_ASSERT_EQUAL(
            200, client.call("PATCH", "/api/v1/functions/settings", "{'timeout':5}").status);
        CPPUNIT_ASSERT_EQUAL(204, client.call("DELETE", "/api/v1/functions/gone").status);
        // The same creation again: where the first one can be watched.
        const Answer again = client.call("POST", "/api/v1/functions",
                                         "{'name':'new','runtime':'toy','code':'new'}");
        CPPUNIT_ASSERT_EQUAL(409, again.status);
        CPPUNIT_ASSERT_EQUAL(std::string("name_taken"), again.at("/reason"));
        CPPUNIT_ASSERT_MESSAGE(
            again.body, again.at("/detail").find("is being built") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(made.headers.at("Location"), again.headers.at("Location"));
        CPPUNIT_ASSERT_EQUAL(made.headers.at("Link"), again.headers.at("Link"));
        client.domain.builder.release();
        for (const auto& save : hanging) CPPUNIT_ASSERT_EQUAL(201, save->wait().status);
    }

    void aDroppedReplyIsAnswered() {
        base::EventLoop loop;
        std::thread thread([&] { loop.run(); });
        std::shared_ptr<FakeExchange> fault, twice, late;
        Reply kept(loop, nullptr, nullptr);
        {
            ControlPool pool;
            const auto ask = [&](ControlPool::Resource resource) {
                auto exchange = std::make_shared<FakeExchange>("GET", "/x", "", Headers{});
                pool.answer(loop, exchange, Lane::save, std::move(resource));
                return exchange;
            };
            fault = ask([] { return Response{.later = [](const Reply&) {}}; });
            CPPUNIT_ASSERT_EQUAL(std::string("internal_error"), fault->wait().at("/reason"));
            twice = ask([] {
                return Response{.later = [](const Reply& reply) {
                    reply({.status = 204});
                    reply({.status = 500});
                    throw std::runtime_error("behind the answer");
                }};
            });
            CPPUNIT_ASSERT_EQUAL(204, twice->wait().status);
            std::promise<void> begun;
            late = ask([&] {
                return Response{.later = [&](const Reply& reply) {
                    kept = reply;
                    begun.set_value();
                }};
            });
            begun.get_future().wait();
        }
        // The pool is gone, and so is whoever would have answered.
        kept = Reply(loop, nullptr, nullptr);
        CPPUNIT_ASSERT_EQUAL(std::string("draining"), late->wait().at("/reason"));
        loop.stop();
        thread.join();
    }

    void aFaultIsA500() {
        Client client([&](Dependencies& dependencies) {
            dependencies.runtimesDocument = []() -> std::string {
                throw std::runtime_error("a fault");
            };
        });
        const Answer answer = client.call("GET", "/api/v1/runtimes");
        CPPUNIT_ASSERT_EQUAL(500, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("internal_error"), answer.at("/reason"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE("nothing of the fault is told", std::string::npos,
                                     answer.body.find("a fault"));
    }

    void everyExchangeIsAnsweredAtTheEnd() {
        std::vector<std::shared_ptr<FakeExchange>> waiting;
        std::latch running(1), go(1);
        std::thread releaser;
        {
            Client client(
                [&](Dependencies& dependencies) {
                    dependencies.runtimesDocument = [&] {
                        running.count_down();
                        go.wait();
                        return std::string("[]");
                    };
                },
                {.threads = 1, .readers = 1, .queue = 8});
            waiting.push_back(client.send("GET", "/api/v1/runtimes"));
            running.wait();
            for (int i = 0; i < 3; ++i) waiting.push_back(client.send("GET", "/api/v1/functions"));
            // Behind these three on the loop, so they wait in the pool by now.
            CPPUNIT_ASSERT_EQUAL(405, client.call("DELETE", "/api/health").status);
            releaser = std::thread([&] {
                std::this_thread::sleep_for(std::chrono::milliseconds(50));
                go.count_down();
            });
            client.stopPool();
            // The loop goes on for a while, and so do clients.
            for (const char* method : {"GET", "POST"}) {
                const Answer late = client.call(method, "/api/v1/functions", "{}");
                CPPUNIT_ASSERT_EQUAL(503, late.status);
                CPPUNIT_ASSERT_EQUAL(std::string("draining"), late.at("/reason"));
            }
        }
        releaser.join();
        CPPUNIT_ASSERT_EQUAL(200, waiting[0]->wait().status);
        for (size_t i = 1; i < waiting.size(); ++i)
            CPPUNIT_ASSERT_EQUAL(503, waiting[i]->wait().status);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(PlatformTest);

}  // namespace cf::api::test
