// What the kernel makes of a probe's end, for every way it can end.
#include "executors/probe.hpp"

#include <cppunit/extensions/HelperMacros.h>
#include <signal.h>

namespace cf::test {

using namespace executors;

class ProbeTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ProbeTest);
    CPPUNIT_TEST(asksForWhatIsNeeded);
    CPPUNIT_TEST(endings);
    CPPUNIT_TEST(liesInTheReport);
    CPPUNIT_TEST(notStarted);
    CPPUNIT_TEST_SUITE_END();

    // Gives a made-up outcome.
    struct FakeRunner : ProcessRunner {
        base::Result<Outcome> run(const std::vector<std::string>& argv, std::string_view input,
                                  std::chrono::milliseconds timeout) override {
            for (const auto& one : argv) asked += one + " ";
            ((asked += input) += " ") += std::to_string(timeout.count());
            return outcome;
        }
        base::Result<Outcome> outcome = Outcome{.exitCode = 0};
        std::string asked{};
    };

    static constexpr const char* manifest =
        R"({"display_name":"x","runtimes":[{"name":"lua","source_file":"m","default_handler":"h"}]})";

public:
    void asksForWhatIsNeeded() {
        FakeRunner runner;
        runner.outcome->output = writeReport(
            {.id = "lua", .version = "1", .abi = "1.0", .manifestJson = manifest, .found = "{}"});
        const auto report = probePlugin(runner, {"/bin/x", "probe"},
                                        {"/copy.so", "/home", {{"lua.path", "/a \"b\""}}},
                                        std::chrono::seconds(10));
        CPPUNIT_ASSERT(!report.unavailable);
        CPPUNIT_ASSERT_EQUAL(
            std::string("/bin/x probe /copy.so /home {\"lua.path\":\"/a \\\"b\\\"\"} 10000"),
            runner.asked);
    }

    void endings() {
        const ProbeReport loaded{.id = "lua", .version = "1", .abi = "1.0"};
        ProbeReport described = loaded;
        described.manifestJson = manifest;
        CPPUNIT_ASSERT_EQUAL(
            std::string("it crashed (Segmentation fault) while it was being loaded"),
            reason({.signal = SIGSEGV}));
        CPPUNIT_ASSERT_EQUAL(std::string("it crashed (Aborted) while it described itself"),
                             reason({.signal = SIGABRT, .output = writeReport(loaded)}));
        CPPUNIT_ASSERT_EQUAL(std::string("it ended its process while it looked for its toolchain"),
                             reason({.exitCode = 0, .output = writeReport(described)}));
        CPPUNIT_ASSERT_EQUAL(
            std::string("it did not come back within 10 s while it looked for its toolchain"),
            reason({.signal = SIGKILL, .timedOut = true, .output = writeReport(described)}));
        described.unavailable = Unavailable{"no lua", ""};
        CPPUNIT_ASSERT_EQUAL(std::string("no lua"),
                             reason({.exitCode = 0, .output = writeReport(described)}));
    }

    void liesInTheReport() {
        ProbeReport report{
            .id = "lua", .version = "1", .abi = "1.0", .manifestJson = "{}", .found = "{}"};
        CPPUNIT_ASSERT(
            reason({.exitCode = 0, .output = writeReport(report)}).find("manifest is not valid") !=
            std::string::npos);
        report.manifestJson = manifest;
        for (const std::string& found : {std::string("[]"), std::string("x"),
                                         "{\"x\":\"" + std::string(100'000, 'x') + "\"}"}) {
            report.found = found;
            CPPUNIT_ASSERT_EQUAL(std::string("what its probe found is not a JSON object"),
                                 reason({.exitCode = 0, .output = writeReport(report)}));
        }
    }

    void notStarted() {
        FakeRunner runner;
        runner.outcome = base::Failure{.reason = "sandbox_failed", .detail = "no more processes"};
        const auto report = probePlugin(runner, {"/bin/x"}, {}, std::chrono::seconds(10));
        CPPUNIT_ASSERT_EQUAL(std::string("its probe could not be started: no more processes"),
                             report.unavailable->reason);
    }

private:
    static std::string reason(ProcessRunner::Outcome outcome) {
        FakeRunner runner;
        runner.outcome = std::move(outcome);
        const auto report = probePlugin(runner, {"/bin/x"}, {}, std::chrono::seconds(10));
        return report.unavailable ? report.unavailable->reason : "";
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ProbeTest);

}  // namespace cf::test
