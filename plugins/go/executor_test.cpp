// What the executor says without a toolchain or a host: handler checks, exits, the builder's records.
#include <cppunit/TestRunner.h>
#include <cppunit/TestResult.h>
#include <cppunit/TestResultCollector.h>
#include <cppunit/CompilerOutputter.h>
#include <cppunit/extensions/HelperMacros.h>
#include <cppunit/extensions/TestFactoryRegistry.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "builder_run.hpp"
#include "dependencies.hpp"
#include "exits.hpp"
#include "handler.hpp"
#include "toolchain.hpp"

using namespace go_executor;

namespace {

// The remarks of `checkFunction` on one handler and these file names, as one text.
std::string problems(std::string_view handler, const std::vector<std::string>& names) {
    std::vector<cf_file> files;
    for (const auto& name : names) files.push_back({cloudfunction::view(name), {nullptr, 0}});
    auto function = cloudfunction::prefixed<cf_function>();
    function.handler = cloudfunction::view(handler);
    function.files = files.data();
    function.file_count = files.size();
    function.file_stride = sizeof(cf_file);
    std::string text;
    for (const auto& remark : checkFunction(cloudfunction::FunctionInfo{function})) text += remark.message + "\n";
    return text;
}

std::string explained(int exitCode, int signal, std::string_view errors) {
    std::string message, hint;
    if (!explainExit({exitCode, signal, 128, errors}, message, hint)) return {};
    CPPUNIT_ASSERT(!hint.empty());
    return message;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

class GoExecutorTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(GoExecutorTest);
    CPPUNIT_TEST(testHandlers);
    CPPUNIT_TEST(testFiles);
    CPPUNIT_TEST(testExits);
    CPPUNIT_TEST(testRecords);
    CPPUNIT_TEST(testVersions);
    CPPUNIT_TEST(testReports);
    CPPUNIT_TEST(testManifestsOfAFunction);
    CPPUNIT_TEST(testWrittenManifest);
    CPPUNIT_TEST(testOperatorSettings);
    CPPUNIT_TEST_SUITE_END();

    void testHandlers() {
        for (const char* good : {"handler", "Handle2", "_x", "größe"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(good, std::string(), problems(good, {"main.go"}));
        for (const char* bad : {"", "2x", "a.b", "a-b", "func", "main", "init", "_", "../x"})
            CPPUNIT_ASSERT_MESSAGE(bad, !problems(bad, {"main.go"}).empty());
        CPPUNIT_ASSERT(!problems(std::string(200, 'x'), {"main.go"}).empty());
    }

    void testFiles() {
        CPPUNIT_ASSERT(contains(problems("handler", {"sub/main.go", "main_test.go", "go.mod"}), "no .go file"));
        CPPUNIT_ASSERT(contains(problems("handler", {"main.go", "cloudfunction__main.go"}), "generated"));
    }

    void testExits() {
        const std::string trace = "\n\ngoroutine 1 [running]:\nmain.f(...)\n\tmain.go:3 +0x1d\n";
        CPPUNIT_ASSERT(contains(explained(7, 0, "bye\n"), "exit code 7"));
        CPPUNIT_ASSERT(contains(explained(2, 0, "panic: lost" + trace), "a panic outside of the handler ended the program: lost"));
        CPPUNIT_ASSERT(contains(explained(-1, 9, "fatal error: concurrent map writes" + trace), "concurrent map writes"));
        const std::string init = "panic: lost\n\ngoroutine 1 [running]:\nstrings.Repeat({0x5095d3?, 0x0?}, 0x0?)\n\tstrings/strings.go:628 +0x56f\n"
                                 "main.init.func1(...)\n\tx.example/shop/main.go:12\nmain.init()\n\tx.example/shop/main.go:1 +0x5a\n";
        CPPUNIT_ASSERT_EQUAL(std::string("a panic outside of the handler ended the program: lost (main.go, line 12)"), explained(2, 0, init));
        const std::string generated = "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [select (no cases)]:\n"
                                      "main.cloudfunction__invoke(0x1)\n\tfunction/cloudfunction__main.go:8 +0x1d\nmain.main()\n\tm.go:1 +0x1\n";
        CPPUNIT_ASSERT(!contains(explained(2, 0, generated), ".go"));
        std::string deep = "main.g(0x1)\n\tmain.go:1 +0x1\ngoroutine 5 [idle]:\n";
        for (int i = 0; i < 20; ++i) deep += "main.deep(0x" + std::to_string(i) + ")\n\tmain.go:1 +0x1d\n";
        CPPUNIT_ASSERT(contains(explained(2, 0, deep), "recursion"));
        CPPUNIT_ASSERT_EQUAL(std::string(), explained(-1, 9, "panic: printed by the user\n"));
        CPPUNIT_ASSERT_EQUAL(std::string(), explained(-1, 11, ""));
    }

    void testRecords() {
        cloudfunction::Remark remark;
        CPPUNIT_ASSERT(readRemark("warning\ta\\\\b.go\t12\t3\tone\\ttwo\\nthree\tfour", remark));
        CPPUNIT_ASSERT(remark.warning && remark.line == 12 && remark.column == 3);
        CPPUNIT_ASSERT_EQUAL(std::string("a\\b.go"), remark.file);
        CPPUNIT_ASSERT_EQUAL(std::string("one\ttwo\nthree\tfour"), remark.message);
        for (const char* line : {"", "error", "error\tx\t1\t2", "other\tx\t1\t2\tm"}) CPPUNIT_ASSERT(!readRemark(line, remark));
    }

    void testVersions() {
        CPPUNIT_ASSERT_EQUAL(std::string("1.19.8"), versionIn("go version go1.19.8 linux/amd64"));
        CPPUNIT_ASSERT_EQUAL(std::string(), versionIn("go version devel +abc"));
        const Toolchain read = Toolchain::fromJson(Toolchain{"1.26.8", "/a \"b\"/go", "/a"}.toJson());
        CPPUNIT_ASSERT_EQUAL(std::string("/a \"b\"/go"), read.path);
        CPPUNIT_ASSERT(read.found() && !Toolchain::fromJson("").found());
        Toolchain toolchain{"1.19", "/go", "/go"};
        CPPUNIT_ASSERT_EQUAL(std::string("go1.19"), toolchain.language());
        toolchain.version = "1.19.8";
        CPPUNIT_ASSERT_EQUAL(std::string("go1.19"), toolchain.language());
        toolchain.version = "1.26rc1";
        CPPUNIT_ASSERT_EQUAL(std::string("go1.26rc1"), toolchain.language());
    }

    void testReports() {
        const Report report = readReport("state\tlocked\nimport\ta.b/c\nimport\ta.b/d\nnoise\nwarning\tx.go\t1\t2\tw\nlock\t-- go.mod --\\nm\\n\n");
        CPPUNIT_ASSERT_EQUAL(std::string("locked"), report.state);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, report.imports.size());
        CPPUNIT_ASSERT_EQUAL(std::string("-- go.mod --\nm\n"), report.lock);
        CPPUNIT_ASSERT(!report.failed() && !report.offline && !report.incomplete);
        CPPUNIT_ASSERT(readReport("offline\tyes\nerror\t\t0\t0\tm").offline);
        CPPUNIT_ASSERT(readReport("error\t\t0\t0\tm").failed());
    }

    void testManifestsOfAFunction() {
        const std::vector<std::pair<std::string, std::string>> all{
            {"main.go", "package main"}, {"lib/go.mod", "module lib"}, {"go.sum", "sums\n"}, {"go.mod", "module m\nrequire x.y/z v1.0.0\n"},
            {"vendor/x/go.mod", "module x"}, {"notgo.mod", ""}};
        std::vector<cf_file> files;
        for (const auto& [name, content] : all) files.push_back({cloudfunction::view(name), cloudfunction::view(content)});
        auto function = cloudfunction::prefixed<cf_function>();
        function.files = files.data();
        function.file_count = files.size();
        function.file_stride = sizeof(cf_file);
        const cloudfunction::FunctionInfo info{function};
        CPPUNIT_ASSERT_EQUAL(std::string("-- go.mod --\nmodule m\nrequire x.y/z v1.0.0\n-- go.sum --\nsums\n-- lib/go.mod --\nmodule lib"),
                             manifestsOf(info));
        CPPUNIT_ASSERT(Dependencies::possible(info));
        function.file_count = 3;
        CPPUNIT_ASSERT(!Dependencies::possible(cloudfunction::FunctionInfo{function}));
    }

    void testWrittenManifest() {
        const auto file = writeManifest({"github.com/google/uuid@v1.6.0", "golang.org/x/text/language"});
        CPPUNIT_ASSERT_EQUAL(std::string("go.mod"), file.name);
        CPPUNIT_ASSERT_EQUAL(std::string("// Made of \"dependencies\".\nmodule function\n\n"
                                         "require github.com/google/uuid v1.6.0\nrequire golang.org/x/text/language latest\n"),
                             file.content);
        for (const char* bad : {"", "uuid", "left pad", "github.com/a/b@", "github.com/a/b@v1 v2", "github.com//b", "/a.b/c", "a.b/c/", "../a.b/c",
                                "https://github.com/a/b", "a.b/c@none", "a.b/c\nrequire x.y/z", "a.b/-c", "fmt/x"})
            try {
                writeManifest({bad});
                CPPUNIT_FAIL(std::string("took ") + bad);
            } catch (const cloudfunction::Failed& refused) {
                CPPUNIT_ASSERT_EQUAL(static_cast<int>(CF_INVALID), static_cast<int>(refused.status));
                CPPUNIT_ASSERT(contains(refused.message, bad) && !refused.hint.empty());
            }
        CPPUNIT_ASSERT_THROW(writeManifest({"a.b/c@v1.0.0", "a.b/c"}), cloudfunction::Failed);
    }

    void testOperatorSettings() {
        ::setenv("NETRC", "/nonexistent", 1);
        ::setenv("HTTPS_PROXY", "http://user:\"secret\"@proxy", 1);
        ::unsetenv("GOPROXY");
        const OperatorSettings read = readOperatorSettings(R"({"GOPROXY":"https://corp,direct","GOPRIVATE":"","GOROOT":"/x","GOFLAGS":"-toolexec=x"})");
        const auto has = [&](const char* name, const char* value) {
            return std::find(read.environment.begin(), read.environment.end(), std::pair<std::string, std::string>{name, value}) != read.environment.end();
        };
        CPPUNIT_ASSERT(has("GOPROXY", "https://corp,direct") && has("HTTPS_PROXY", "http://user:\"secret\"@proxy"));
        for (const auto& [name, value] : read.environment)
            CPPUNIT_ASSERT_MESSAGE(name, name != "GOPRIVATE" && name != "GOROOT" && name != "GOFLAGS");
        OperatorSettings settings = read;
        settings.netrc = "machine a\n\tlogin \"b\"\n";
        const Toolchain chain{"1.26.8", "/go", "/root", settings};
        CPPUNIT_ASSERT(Toolchain::fromJson(chain.toJson()).settings == settings);
        CPPUNIT_ASSERT(OperatorSettings::fromJson("") == OperatorSettings{});
        ::setenv("NETRC", "/", 1);
        CPPUNIT_ASSERT_EQUAL(std::string(), readOperatorSettings("{}").netrc);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(GoExecutorTest);

int main() {
    CppUnit::TestResult result;
    CppUnit::TestResultCollector collector;
    result.addListener(&collector);
    CppUnit::TestRunner runner;
    runner.addTest(CppUnit::TestFactoryRegistry::getRegistry().makeTest());
    runner.run(result);
    CppUnit::CompilerOutputter(&collector, std::cerr).write();
    return collector.wasSuccessful() ? 0 : 1;
}
