// Programs that threads wait for: how they end, and that none outlives its waiting.
#include "app/child_processes.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <csignal>

#include "platform.hpp"
#include "sandbox/process_tree.hpp"

namespace cf::test {

using app::ChildProcesses;
using namespace std::chrono_literals;

class ChildProcessesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ChildProcessesTest);
    CPPUNIT_TEST(inputAndOutput);
    CPPUNIT_TEST(theDeadlineEndsIt);
    CPPUNIT_TEST(whatStartsTooLateIsEnded);
    CPPUNIT_TEST_SUITE_END();

    std::unique_ptr<sandbox::test::Platform> platform_;

    ChildProcesses children(std::chrono::milliseconds startPatience = 10s) {
        sandbox::LauncherClient* launcher = nullptr;
        platform_->onLoop([&](sandbox::LauncherClient& client) { launcher = &client; });
        return {platform_->loop(), *launcher, startPatience};
    }

    static base::Result<executors::ToolRunner::Outcome> run(ChildProcesses& children, const char* script,
                                                            std::chrono::milliseconds time = 20s, std::string* output = nullptr) {
        sandbox::ToolSpec spec;
        spec.argv = {"/bin/sh", "-c", script};
        spec.environment = {{"PATH", "/usr/bin:/bin"}};
        const std::atomic<bool> never{false};
        return children.run(spec, "given", [&](executors::ToolRunner::Stream, std::string_view text) {
            if (output != nullptr) *output += text;
        }, executors::Clock::now() + time, never);
    }

public:
    void setUp() override { platform_ = std::make_unique<sandbox::test::Platform>(); }
    void tearDown() override { platform_.reset(); }

    void inputAndOutput() {
        auto programs = children();
        std::string output;
        const auto outcome = run(programs, "cat; exit 3", 20s, &output);
        CPPUNIT_ASSERT_EQUAL(3, outcome->ended.exitCode);
        CPPUNIT_ASSERT_EQUAL(std::string("given"), output);
    }

    void theDeadlineEndsIt() {
        auto programs = children();
        CPPUNIT_ASSERT(run(programs, "sleep 1000", 100ms)->timedOut);
    }

    void whatStartsTooLateIsEnded() {
        auto hasty = children(100ms);
        const pid_t launcher = platform_->launcher();
        ::kill(launcher, SIGSTOP);
        const auto outcome = run(hasty, "sleep 1000");
        ::kill(launcher, SIGCONT);
        CPPUNIT_ASSERT(!outcome);
        CPPUNIT_ASSERT_EQUAL(std::string("sandbox_failed"), outcome.failure().reason);
        // The launcher starts in turn: once this one is over, the other has started.
        auto patient = children();
        CPPUNIT_ASSERT(run(patient, "true"));
        CPPUNIT_ASSERT(sandbox::test::waitFor(
            [&] { return sandbox::childrenOf(platform_->supervisor()).size() == 1; }));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ChildProcessesTest);

}  // namespace cf::test
