// What a build may ask of the host: tools, mounts, checks, remarks, log, and how it is stopped.
#include <cppunit/extensions/HelperMacros.h>

#include <thread>

#include "loaded.hpp"

namespace cf::test {

using executors::Clock;

class JobTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JobTest);
    CPPUNIT_TEST(toolRuns);
    CPPUNIT_TEST(toolSeesTheBuildsFolders);
    CPPUNIT_TEST(mountsAsAskedFor);
    CPPUNIT_TEST(mountsRefused);
    CPPUNIT_TEST(toolsRefused);
    CPPUNIT_TEST(outputIsCut);
    CPPUNIT_TEST(slowToolIsStopped);
    CPPUNIT_TEST(buildRunsOutOfTime);
    CPPUNIT_TEST(cancel);
    CPPUNIT_TEST(check);
    CPPUNIT_TEST(sourceAtFault);
    CPPUNIT_TEST(log);
    CPPUNIT_TEST(floods);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        loaded_ = std::make_unique<Loaded>(std::initializer_list<const char*>{"mock"});
        loaded_->load();
        std::filesystem::create_directory(loaded_->folder / "source");
        std::filesystem::create_directory(loaded_->folder / "artifact");
        cancel_ = false;
        log_.clear();
        limit_ = std::chrono::seconds(60);
    }
    void tearDown() override { loaded_.reset(); }

    void toolRuns() {
        CPPUNIT_ASSERT(build("tool"));
        CPPUNIT_ASSERT_EQUAL(std::string("input value\n"), artifact("output"));
        CPPUNIT_ASSERT_EQUAL(std::string("oops\n"), artifact("errors"));
        CPPUNIT_ASSERT_EQUAL(std::string("3"), artifact("exit"));
        CPPUNIT_ASSERT(artifact("found").starts_with("{\"version\":\"5.4\""));
    }

    void toolSeesTheBuildsFolders() {
        CPPUNIT_ASSERT(build("tool"));
        const auto& mounts = tools_.last.mounts;
        CPPUNIT_ASSERT_EQUAL(size_t{2}, mounts.size());
        CPPUNIT_ASSERT(mounts[0].source == loaded_->folder / "source" &&
                       mounts[0].target == mounts[0].source);
        CPPUNIT_ASSERT(mounts[0].kind == sandbox::MountKind::readOnly);
        CPPUNIT_ASSERT(mounts[1].source == loaded_->folder / "artifact" &&
                       mounts[1].target == mounts[1].source);
        CPPUNIT_ASSERT(mounts[1].kind == sandbox::MountKind::writable);
        CPPUNIT_ASSERT_EQUAL(loaded_->folder / "source", tools_.last.directory);
        CPPUNIT_ASSERT_EQUAL(uint64_t{77} << 20, tools_.last.limits.memoryBytes);
        CPPUNIT_ASSERT(tools_.last.network.mode == sandbox::Network::none);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, tools_.last.environment.size());
    }

    void mountsAsAskedFor() {
        CPPUNIT_ASSERT(build("mount"));
        const auto& mounts = tools_.last.mounts;
        CPPUNIT_ASSERT_EQUAL(size_t{4}, mounts.size());
        CPPUNIT_ASSERT(mounts[1].target == "/opt/mock" && mounts[1].optional &&
                       mounts[1].kind == sandbox::MountKind::readOnly);
        CPPUNIT_ASSERT(mounts[2].target == "/cache" &&
                       mounts[2].kind == sandbox::MountKind::overlay);
        CPPUNIT_ASSERT(mounts[3].target == loaded_->folder / "source" &&
                       mounts[3].kind == sandbox::MountKind::writable);
    }

    void mountsRefused() {
        for (const char* handler : {"mount_outside", "mount_relative", "mount_up"}) {
            auto built = build(handler);
            CPPUNIT_ASSERT_MESSAGE(handler, !built);
            CPPUNIT_ASSERT_EQUAL(std::string("executor_error"), built.failure().reason);
            CPPUNIT_ASSERT_EQUAL(0, tools_.runs);
        }
    }

    void toolsRefused() {
        for (const char* handler : {"tool_relative", "tool_bad_variable"})
            CPPUNIT_ASSERT_MESSAGE(handler, !build(handler));
        CPPUNIT_ASSERT_EQUAL(0, tools_.runs);
    }

    void outputIsCut() {
        CPPUNIT_ASSERT(build("tool_flood"));
        const std::string output = artifact("output");
        CPPUNIT_ASSERT(output.size() > 4u << 20 && output.size() < (4u << 20) + 100);
        CPPUNIT_ASSERT(output.ends_with("[cut: a tool may write 4 MB to a stream]\n"));
        CPPUNIT_ASSERT(build("tool_brimful"));
        CPPUNIT_ASSERT_EQUAL(size_t{4u << 20}, artifact("output").size());
    }

    void slowToolIsStopped() {
        auto built = build("tool_slow");
        CPPUNIT_ASSERT_EQUAL(std::string("build_timeout"), built.failure().reason);
        CPPUNIT_ASSERT_EQUAL(std::string("sh took too long and was stopped"),
                             built.failure().detail);
    }

    void buildRunsOutOfTime() {
        limit_ = std::chrono::milliseconds(100);
        CPPUNIT_ASSERT_EQUAL(std::string("build_timeout"), build("tool_job_slow").failure().reason);
        auto waited = build("wait");
        CPPUNIT_ASSERT_EQUAL(std::string("build_timeout"), waited.failure().reason);
    }

    void cancel() {
        std::jthread canceller([this] {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            cancel_ = true;
        });
        auto built = build("tool_job_slow");
        CPPUNIT_ASSERT_EQUAL(std::string("build_cancelled"), built.failure().reason);
    }

    void check() {
        checker_.answer =
            R"([{"file":"main.mk","line":1,"column":2,"message":"bad","severity":"error","kind":"syntax"}])";
        CPPUNIT_ASSERT(build("check"));
        CPPUNIT_ASSERT_EQUAL(std::string("mock|main.mk|source text"), checker_.asked);
        CPPUNIT_ASSERT_EQUAL(checker_.answer, artifact("remarks"));
        for (const char* garbage : {"", "{}", "[1]", "[{}]", "[{\"message\":\"x\"}", "\xff"}) {
            checker_.answer = garbage;
            CPPUNIT_ASSERT_MESSAGE(garbage, !build("check"));
        }
    }

    void sourceAtFault() {
        auto built = build("diagnose");
        CPPUNIT_ASSERT_EQUAL(std::string("build_failed"), built.failure().reason);
        CPPUNIT_ASSERT_EQUAL(std::string("1 error"), built.failure().detail);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, remarks_.size());
        CPPUNIT_ASSERT_EQUAL(size_t{2}, built.failure().remarks.size());
        CPPUNIT_ASSERT_EQUAL(std::string("unexpected end"), remarks_[0].message);
        CPPUNIT_ASSERT(remarks_[0].line == 3 && remarks_[0].column == 7 && !remarks_[0].warning &&
                       remarks_[1].warning);
    }

    void log() {
        CPPUNIT_ASSERT(build("log"));
        CPPUNIT_ASSERT_EQUAL(std::string("one\\x0atwo \\x1b[31mred \xEF\xBF\xBD"), log_.at(0));
    }

    void floods() {
        CPPUNIT_ASSERT(build("flood_remarks"));
        CPPUNIT_ASSERT_EQUAL(size_t{200}, remarks_.size());
        CPPUNIT_ASSERT_EQUAL(size_t{4096}, remarks_[0].message.size());
        CPPUNIT_ASSERT(build("flood_log"));
        size_t bytes = 0;
        for (const auto& line : log_) bytes += line.size();
        CPPUNIT_ASSERT(bytes < (1u << 20) + 10'000);
        CPPUNIT_ASSERT_EQUAL(std::string("[cut: a build log holds 1 MB]"), log_.back());
    }

private:
    base::Result<void> build(const char* handler) {
        const executors::FunctionSpec f{.handler = handler, .files = {{"main.mk", "text"}}};
        executors::JobSpec job;
        job.sourceDir = loaded_->folder / "source";
        job.artifactDir = loaded_->folder / "artifact";
        job.limits.memoryBytes = uint64_t{77} << 20;
        job.deadline = Clock::now() + limit_;
        job.log = [this](std::string_view line) { log_.emplace_back(line); };
        tools_ = {};
        return loaded_->only().prepare(f, std::move(job), tools_, checker_, cancel_, remarks_);
    }
    std::string artifact(const char* name) const {
        return readFile(loaded_->folder / ("artifact/" + std::string(name)));
    }

    std::unique_ptr<Loaded> loaded_;
    PlainToolRunner tools_;
    FixedChecker checker_;
    std::atomic<bool> cancel_{false};
    std::chrono::milliseconds limit_{};
    std::vector<base::SourceRemark> remarks_;
    std::vector<std::string> log_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(JobTest);

}  // namespace cf::test
