// The order of the stages: guards, then authentication, then the handler.
#include "http/stages.hpp"

#include "support.hpp"

namespace cf::http {

class StagesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(StagesTest);
    CPPUNIT_TEST(testOrder);
    CPPUNIT_TEST(testDocument);
    CPPUNIT_TEST_SUITE_END();

    static Stages::Check check(std::string& seen, char mark, std::string_view refusedPath) {
        return [&seen, mark, refusedPath](const Request& request) -> std::optional<Refusal> {
            seen += mark;
            if (request.path != refusedPath) return {};
            return Refusal{.status = 403,
                           .failure = {.reason = "no", .detail = std::string(1, mark)},
                           .headers = "X-Why: because\r\n"};
        };
    }

public:
    void testOrder() {
        std::string seen;
        Stages stages(echo, {});
        stages.authenticate(check(seen, 'a', "/token"));
        stages.guard(check(seen, 'g', "/first"));
        stages.guard(check(seen, 'h', "/second"));
        RunningServer server(stages);
        const auto ask = [&](const std::string& path) {
            seen.clear();
            return server.ask("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        };
        CPPUNIT_ASSERT_EQUAL(200, statusOf(ask("/x")));
        CPPUNIT_ASSERT_EQUAL(std::string("gha"), seen);
        const std::string refused = ask("/first");
        CPPUNIT_ASSERT_EQUAL(403, statusOf(refused));
        CPPUNIT_ASSERT(refused.find("X-Why: because\r\n") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("g"), seen);
        ask("/second");
        CPPUNIT_ASSERT_EQUAL(std::string("gh"), seen);
        CPPUNIT_ASSERT_EQUAL(403, statusOf(ask("/token")));
    }

    void testDocument() {
        std::string seen;
        Stages stages(echo, [](const Refusal& refusal, const Request& request) {
            return refusal.failure.reason + std::string(request.path);
        });
        stages.guard(check(seen, 'g', "/p"));
        RunningServer server(stages);
        CPPUNIT_ASSERT_EQUAL(std::string("no/p"),
                             bodyOf(server.ask("GET /p HTTP/1.1\r\nHost: a\r\n\r\n")));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(StagesTest);

}  // namespace cf::http
