// Which route a path finds, what its parameters are, and what is said about the others.
#include "http/router.hpp"

#include "support.hpp"

namespace cf::http {

class RouterTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(RouterTest);
    CPPUNIT_TEST(testLiterals);
    CPPUNIT_TEST(testParameters);
    CPPUNIT_TEST(testRests);
    CPPUNIT_TEST(testPrecedence);
    CPPUNIT_TEST(testEscapes);
    CPPUNIT_TEST(testMethods);
    CPPUNIT_TEST(testHeadAndOptions);
    CPPUNIT_TEST(testEveryMethod);
    CPPUNIT_TEST(testWrongPatterns);
    CPPUNIT_TEST(testMatchIsReusable);
    CPPUNIT_TEST_SUITE_END();

    enum : RouteId {
        root = 1,
        list,
        create,
        one,
        change,
        invoke,
        versions,
        url,
        health,
        page,
        special
    };
    Router router_;
    RouteMatch match_;

    void find(std::string_view method, std::string_view path) {
        Request request;
        request.method = method;
        request.path = path;
        router_.match(request, match_);
    }
    void expect(RouteId id, std::string_view method, std::string_view path) {
        find(method, path);
        CPPUNIT_ASSERT_MESSAGE(std::string(path), match_.kind() == RouteMatch::Kind::route);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(path), id, match_.id());
    }
    void expectRefused(int status, const std::string& reason, std::string_view method,
                       std::string_view path) {
        find(method, path);
        CPPUNIT_ASSERT_MESSAGE(std::string(path), match_.kind() == RouteMatch::Kind::refused);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(std::string(path), status, match_.refusal().status);
        CPPUNIT_ASSERT_EQUAL(reason, match_.refusal().failure.reason);
    }

public:
    void setUp() override {
        router_.add("GET", "/", root);
        router_.add("GET", "/api/v1/functions", list);
        router_.add("POST", "/api/v1/functions", create);
        router_.add("GET", "/api/v1/functions/{id}", one);
        router_.add("PUT", "/api/v1/functions/{id}", change);
        router_.add("POST", "/api/v1/functions/{id}/invoke", invoke);
        router_.add("GET", "/api/v1/functions/{id}/versions/{n}", versions);
        router_.add("GET", "/api/v1/functions/special", special);
        router_.add("*", "/function/{name}{rest...}", url);
        router_.add("GET", "/api/health", health);
    }

    void testLiterals() {
        expect(root, "GET", "/");
        expect(list, "GET", "/api/v1/functions");
        expect(create, "POST", "/api/v1/functions");
        expect(health, "GET", "/api/health");
        for (const char* path : {"/api", "/api/", "/api/v1/functions/", "/api/v1/function",
                                 "/API/health", "/api/health/", "//", "//api/health", "/x"})
            expectRefused(404, "not_found", "GET", path);
    }

    void testParameters() {
        expect(one, "GET", "/api/v1/functions/fn_01");
        CPPUNIT_ASSERT_EQUAL(std::string("fn_01"), std::string(match_["id"]));
        CPPUNIT_ASSERT_EQUAL(std::string(), std::string(match_["n"]));
        expect(invoke, "POST", "/api/v1/functions/a/invoke");
        expect(versions, "GET", "/api/v1/functions/a/versions/12");
        CPPUNIT_ASSERT_EQUAL(std::string("a"), std::string(match_["id"]));
        CPPUNIT_ASSERT_EQUAL(std::string("12"), std::string(match_["n"]));
        expectRefused(404, "not_found", "GET", "/api/v1/functions//versions/1");
        expectRefused(404, "not_found", "GET", "/api/v1/functions/a/versions/");
        expectRefused(404, "not_found", "GET", "/api/v1/functions/a/versions");
    }

    void testRests() {
        for (const char* rest : {"", "/", "/a", "/a/b?", "//", "/%2F%00"}) {
            const std::string path = "/function/f" + std::string(rest);
            expect(url, "GET", path);
            CPPUNIT_ASSERT_EQUAL(std::string("f"), std::string(match_["name"]));
        }
        const std::string path = "/function/f/a%2Fb/c";
        expect(url, "PATCH", path);
        CPPUNIT_ASSERT_EQUAL(std::string("/a%2Fb/c"), std::string(match_["rest"]));
        expectRefused(404, "not_found", "GET", "/function/");
        expectRefused(404, "not_found", "GET", "/function");
    }

    void testPrecedence() {
        expect(special, "GET", "/api/v1/functions/special");
        expectRefused(405, "method_not_allowed", "PUT", "/api/v1/functions/special");
        expect(invoke, "POST", "/api/v1/functions/special/invoke");
        CPPUNIT_ASSERT_EQUAL(std::string("special"), std::string(match_["id"]));
        router_.add("GET", "{rest...}", page);
        expect(page, "GET", "/assets/app.js");
        CPPUNIT_ASSERT_EQUAL(std::string("/assets/app.js"), std::string(match_["rest"]));
        expect(root, "GET", "/");
        expect(health, "GET", "/api/health");
    }

    void testEscapes() {
        expect(one, "GET", "/api/v1/functions/%61%20b");
        CPPUNIT_ASSERT_EQUAL(std::string("a b"), std::string(match_["id"]));
        for (const char* id : {"%", "%2", "%zz", "a%2Fb", "a%2fb", "%00", "a%"})
            expectRefused(400, "malformed_path", "GET", "/api/v1/functions/" + std::string(id));
        // What a guard sees is what the router sees.
        expectRefused(404, "not_found", "GET", "/%61pi/health");
        expectRefused(404, "not_found", "GET", "/api/../api/health");
        expectRefused(404, "not_found", "GET", "/api/v1/functions/a/%69nvoke");
    }

    void testMethods() {
        expectRefused(405, "method_not_allowed", "DELETE", "/api/v1/functions");
        CPPUNIT_ASSERT_EQUAL(std::string("Allow: GET, HEAD, POST, OPTIONS\r\n"),
                             match_.refusal().headers);
        expectRefused(405, "method_not_allowed", "GET", "/api/v1/functions/a/invoke");
        CPPUNIT_ASSERT_EQUAL(std::string("Allow: POST, OPTIONS\r\n"), match_.refusal().headers);
        CPPUNIT_ASSERT_EQUAL(std::string("possible are POST, OPTIONS"),
                             match_.refusal().failure.hint);
        expectRefused(405, "method_not_allowed", "HEAD", "/api/v1/functions/a/invoke");
    }

    void testHeadAndOptions() {
        expect(list, "HEAD", "/api/v1/functions");
        find("OPTIONS", "/api/v1/functions/x");
        CPPUNIT_ASSERT(match_.kind() == RouteMatch::Kind::options);
        CPPUNIT_ASSERT_EQUAL(std::string("Allow: GET, HEAD, PUT, OPTIONS\r\n"), match_.headers());
        find("OPTIONS", "*");
        CPPUNIT_ASSERT(match_.kind() == RouteMatch::Kind::options);
        CPPUNIT_ASSERT_EQUAL(std::string("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"),
                             match_.headers());
        expectRefused(404, "not_found", "OPTIONS", "/nothing");
    }

    void testEveryMethod() {
        for (const char* method : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
            expect(url, method, "/function/f/x");
    }

    void testWrongPatterns() {
        for (const char* pattern :
             {"api", "/a/{x...}", "/api/v1/functions/{other}", "/a{b}", "/api/health"})
            CPPUNIT_ASSERT_THROW_MESSAGE(pattern, router_.add("GET", pattern, 99),
                                         std::invalid_argument);
        CPPUNIT_ASSERT_THROW(router_.add("FETCH", "/y", 99), std::invalid_argument);
        CPPUNIT_ASSERT_THROW(router_.add("GET", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", 99),
                             std::invalid_argument);
    }

    void testMatchIsReusable() {
        expect(one, "GET", "/api/v1/functions/%62");
        expectRefused(404, "not_found", "GET", "/x");
        expect(list, "GET", "/api/v1/functions");
        CPPUNIT_ASSERT_EQUAL(std::string(), std::string(match_["id"]));
        expect(one, "GET", "/api/v1/functions/c");
        CPPUNIT_ASSERT_EQUAL(std::string("c"), std::string(match_["id"]));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(RouterTest);

}  // namespace cf::http
