// Who is let through.
#include "http/guards.hpp"

#include "support.hpp"

namespace cf::http {

class GuardsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(GuardsTest);
    CPPUNIT_TEST(testSha256);
    CPPUNIT_TEST(testHosts);
    CPPUNIT_TEST(testFunctionHosts);
    CPPUNIT_TEST(testAnyHost);
    CPPUNIT_TEST(testOrigins);
    CPPUNIT_TEST(testOriginsWithoutAHost);
    CPPUNIT_TEST(testOriginsOfReads);
    CPPUNIT_TEST(testContentTypes);
    CPPUNIT_TEST(testEncodings);
    CPPUNIT_TEST(testFunctionUrls);
    CPPUNIT_TEST(testTokens);
    CPPUNIT_TEST(testOpenPaths);
    CPPUNIT_TEST(testOrder);
    CPPUNIT_TEST_SUITE_END();

    std::vector<Header> headers_;
    const Request& request(std::string_view method, std::string_view path,
                           std::vector<Header> headers, std::string_view body = {}) {
        headers_ = std::move(headers);
        request_ = {};
        request_.method = method;
        request_.path = path;
        request_.headers = headers_;
        request_.body = body;
        return request_;
    }
    Request request_;

    static std::string said(const std::optional<Refusal>& refusal) {
        return refusal ? std::to_string(refusal->status) + " " + refusal->failure.reason
                       : "through";
    }
    static void through(const std::optional<Refusal>& refusal) {
        CPPUNIT_ASSERT_EQUAL(std::string("through"), said(refusal));
    }

public:
    void testSha256() {
        // FIPS 180-4's example.
        const Sha256 hash = sha256("abc");
        CPPUNIT_ASSERT_EQUAL(0xba, int{hash[0]});
        CPPUNIT_ASSERT_EQUAL(0x78, int{hash[1]});
        CPPUNIT_ASSERT_EQUAL(0xad, int{hash[31]});
        CPPUNIT_ASSERT(sha256("") != hash);
    }

    void testHosts() {
        const GuardOptions options{.allowedHosts = {"functions.example.com", "[2001:db8::1]"}};
        for (const char* host : {"localhost", "localhost:8080", "LocalHost:1", "127.0.0.1",
                                 "127.0.0.1:80", "[::1]", "[::1]:8080", "functions.example.com",
                                 "Functions.Example.com:443", "[2001:DB8::1]:80"})
            through(checkHost(request("GET", "/", {{"Host", host}}), options));
        for (const char* host : {"", "evil.example", "evil.example:8080", "127.0.0.1.evil.example",
                                 "localhost.evil.example", "192.0.2.1", "127.0.0.2", "::1", "[::2]",
                                 "localhost.", "x:localhost", "[::1", "functions.example.com.evil"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                host, std::string("421 unknown_host"),
                said(checkHost(request("GET", "/", {{"Host", host}}), options)));
        // HTTP/1.0 alone comes so far without one.
        through(checkHost(request("GET", "/", {}), options));
    }

    void testFunctionHosts() {
        const GuardOptions options{.functionHosts = {"functions.example.com"}};
        const auto at = [&](const char* host, const char* method, const char* path) {
            return said(checkAll(request(method, path, {{"Host", host}}), options));
        };
        CPPUNIT_ASSERT_EQUAL(std::string("through"),
                             at("Functions.example.com:80", "GET", "/function/f/x"));
        CPPUNIT_ASSERT_EQUAL(std::string("through"), at("localhost", "GET", "/function/f/x"));
        CPPUNIT_ASSERT_EQUAL(std::string("through"), at("localhost", "GET", "/"));
        for (const char* path : {"/", "/page.js", "/function", "/api/health", "/api/v1/functions"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, std::string("404 not_found"),
                                         at("functions.example.com:8080", "GET", path));
        CPPUNIT_ASSERT_EQUAL(std::string("404 not_found"),
                             at("functions.example.com", "DELETE", "/api/v1/functions/f"));
        CPPUNIT_ASSERT_EQUAL(std::string("421 unknown_host"),
                             at("www.functions.example.com", "GET", "/function/f/x"));
    }

    void testAnyHost() {
        through(checkHost(request("GET", "/", {{"Host", "whatever"}}), {.anyHost = true}));
        CPPUNIT_ASSERT_EQUAL(std::string("421 unknown_host"),
                             said(checkHost(request("GET", "/", {{"Host", "whatever"}}),
                                            {.allowedHosts = {"x"}, .anyHost = true})));
    }

    void testOrigins() {
        const auto change = [&](std::vector<Header> headers) {
            headers.push_back({"Host", "localhost:8080"});
            return said(checkOrigin(request("POST", "/api/v1/functions", std::move(headers))));
        };
        CPPUNIT_ASSERT_EQUAL(std::string("through"), change({}));
        CPPUNIT_ASSERT_EQUAL(std::string("through"), change({{"Origin", "http://localhost:8080"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("through"), change({{"origin", "https://LOCALHOST:8080"},
                                                             {"Sec-Fetch-Site", "same-origin"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("through"), change({{"Sec-Fetch-Site", "none"}}));
        for (const char* origin :
             {"https://evil.example", "null", "", "http://localhost.evil.example",
              "http://localhost", "http://localhost:9090", "ftp://localhost:8080",
              "http://localhost:8080/", "localhost:8080", "http://a@localhost:8080"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(origin, std::string("403 foreign_origin"),
                                         change({{"Origin", origin}}));
        CPPUNIT_ASSERT_EQUAL(std::string("403 foreign_origin"),
                             change({{"Sec-Fetch-Site", "Cross-Site"}}));
        CPPUNIT_ASSERT_EQUAL(
            std::string("403 foreign_origin"),
            change({{"Origin", "http://localhost:8080"}, {"Origin", "http://evil.example"}}));
    }

    // A page's browser says whose page it is and whom it asks; nothing proves it is ours without.
    void testOriginsWithoutAHost() {
        const auto change = [&](std::vector<Header> headers) {
            return said(checkOrigin(request("POST", "/api/v1/functions", std::move(headers))));
        };
        CPPUNIT_ASSERT_EQUAL(std::string("through"), change({}));
        for (const char* origin : {"http://localhost:8080", "http://", "https://", "null", ""})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(origin, std::string("403 foreign_origin"),
                                         change({{"Origin", origin}}));
    }

    void testOriginsOfReads() {
        for (const char* method : {"GET", "HEAD", "OPTIONS"})
            through(checkOrigin(request(
                method, "/",
                {{"Host", "a"}, {"Origin", "http://b"}, {"Sec-Fetch-Site", "cross-site"}})));
    }

    void testEncodings() {
        const auto encoded = [&](const char* path, const char* coding, const char* body) {
            return checkContentType(request(
                "PUT", path, {{"Content-Type", "application/json"}, {"content-encoding", coding}},
                body));
        };
        const auto refused = encoded("/api/v1/functions/x", "gzip", "\x1f\x8b");
        CPPUNIT_ASSERT_EQUAL(std::string("415 unsupported_media_type"), said(refused));
        CPPUNIT_ASSERT(refused->failure.detail.find("\"gzip\"") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("Accept-Encoding: identity\r\n"), refused->headers);
        for (const char* plain : {"identity", " Identity ", ""})
            through(encoded("/api/v1/functions/x", plain, "{}"));
        // A function may understand what the platform does not.
        through(encoded("/function/x", "gzip", "\x1f\x8b"));
        through(encoded("/api/v1/functions/x", "gzip", ""));
        through(checkContentType(request(
            "PUT", "/api/v1/functions/x/archive",
            {{"Content-Type", "application/x-tar"}, {"Content-Encoding", "gzip"}}, "\x1f\x8b")));
    }

    void testContentTypes() {
        const auto typed = [&](const char* type) {
            return said(checkContentType(
                request("PUT", "/api/v1/functions/x", {{"content-type", type}}, "{}")));
        };
        for (const char* good : {"application/json", "application/json; charset=utf-8",
                                 "Application/JSON ;charset=UTF-8", "application/json;"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(good, std::string("through"), typed(good));
        for (const char* bad : {"text/plain", "", "application/x-www-form-urlencoded",
                                "multipart/form-data; boundary=x", "text/plain; application/json",
                                "application/jsonx", "application/json, text/plain", "json"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, std::string("415 unsupported_media_type"),
                                         typed(bad));
        CPPUNIT_ASSERT_EQUAL(
            std::string("415 unsupported_media_type"),
            said(checkContentType(request("POST", "/api/v1/functions/x/invoke", {}, "{}"))));
        CPPUNIT_ASSERT_EQUAL(
            std::string("415 unsupported_media_type"),
            said(checkContentType(request(
                "POST", "/", {{"Content-Type", "application/json"}, {"Content-Type", "text/plain"}},
                "{}"))));
        through(checkContentType(request("POST", "/api/v1/functions/x/invoke", {})));
        through(checkContentType(request("DELETE", "/api/v1/functions/x", {})));
        through(checkContentType(
            request("GET", "/api/v1/functions", {{"Content-Type", "text/plain"}}, "x")));
    }

    void testFunctionUrls() {
        const GuardOptions options{.token = sha256("secret")};
        const auto call = [&](std::string_view path, const char* host) {
            return said(checkAll(request("POST", path,
                                         {{"Host", host},
                                          {"Origin", "http://evil.example"},
                                          {"Content-Type", "text/plain"}},
                                         "x"),
                                 options));
        };
        CPPUNIT_ASSERT_EQUAL(std::string("through"), call("/function/hello/x", "localhost"));
        CPPUNIT_ASSERT_EQUAL(std::string("421 unknown_host"),
                             call("/function/hello", "evil.example"));
        CPPUNIT_ASSERT_EQUAL(std::string("403 foreign_origin"),
                             call("/functions/hello", "localhost"));
        CPPUNIT_ASSERT_EQUAL(std::string("403 foreign_origin"),
                             call("//function/hello", "localhost"));
    }

    void testTokens() {
        const GuardOptions options{.token = sha256("secret")};
        const auto with = [&](const char* value) {
            return checkToken(request("GET", "/api/v1/functions", {{"Authorization", value}}),
                              options);
        };
        through(with("Bearer secret"));
        through(with("bearer  secret"));
        through(checkToken(request("GET", "/api/v1/functions", {}), {}));
        for (const char* bad :
             {"", "Bearer", "Bearer ", "Bearer secretx", "Bearer secre", "Basic secret", "secret",
              "Bearer Secret", "Bearer secret secret"}) {
            const auto refusal = with(bad);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, std::string("401 unauthorized"), said(refusal));
            CPPUNIT_ASSERT(refusal->headers.starts_with("WWW-Authenticate: Bearer"));
            CPPUNIT_ASSERT_EQUAL(std::string::npos, refusal->failure.detail.find("secret"));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("401 unauthorized"),
                             said(checkToken(request("GET", "/metrics", {}), options)));
    }

    void testOpenPaths() {
        const GuardOptions options{.token = sha256("secret")};
        for (const char* path :
             {"/", "/index.html", "/assets/app.js", "/api/health/ready", "/function/f"})
            through(checkToken(request("GET", path, {}), options));
        for (const char* path : {"/api", "/api/health", "/api/v1/functions", "/api/health/ready/",
                                 "/metrics", "/%61pi/v1/functions", "/metrics/x"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, std::string("401 unauthorized"),
                                         said(checkToken(request("GET", path, {}), options)));
        CPPUNIT_ASSERT_EQUAL(std::string("401 unauthorized"),
                             said(checkToken(request("POST", "/index.html", {}), options)));
        CPPUNIT_ASSERT_EQUAL(std::string("401 unauthorized"),
                             said(checkToken(request("OPTIONS", "*", {}), options)));
    }

    void testOrder() {
        const GuardOptions options{.token = sha256("secret")};
        std::vector<Header> headers{
            {"Host", "evil"}, {"Origin", "http://b"}, {"Content-Type", "x"}};
        const auto next = [&] {
            return said(checkAll(request("POST", "/api/v1/functions", headers, "{}"), options));
        };
        CPPUNIT_ASSERT_EQUAL(std::string("421 unknown_host"), next());
        headers[0].value = "localhost";
        CPPUNIT_ASSERT_EQUAL(std::string("403 foreign_origin"), next());
        headers[1].value = "http://localhost";
        CPPUNIT_ASSERT_EQUAL(std::string("415 unsupported_media_type"), next());
        headers[2].value = "application/json";
        CPPUNIT_ASSERT_EQUAL(std::string("401 unauthorized"), next());
        headers.push_back({"Authorization", "Bearer secret"});
        CPPUNIT_ASSERT_EQUAL(std::string("through"), next());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GuardsTest);

}  // namespace cf::http
