// What comes back from a plugin's operations, good and bad.
#include <cppunit/extensions/HelperMacros.h>
#include <signal.h>

#include "loaded.hpp"

namespace cf::test {

using executors::FunctionSpec;

class ExecutorTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ExecutorTest);
    CPPUNIT_TEST(validate);
    CPPUNIT_TEST(genericPlan);
    CPPUNIT_TEST(plansOfFunctions);
    CPPUNIT_TEST(unusablePlans);
    CPPUNIT_TEST(describeExit);
    CPPUNIT_TEST(exceptions);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        loaded_ = std::make_unique<Loaded>(std::initializer_list<const char*>{"mock", "throws"});
        loaded_->load();
        CPPUNIT_ASSERT_EQUAL(std::string(), loaded_->reason(0));
        CPPUNIT_ASSERT_EQUAL(std::string(), loaded_->reason(1));
    }
    void tearDown() override { loaded_.reset(); }

    void validate() {
        FunctionSpec f{.handler = "good", .files = {{"main.mk", "text"}}};
        CPPUNIT_ASSERT(mock().validate(f)->empty());
        f.handler = "warn";
        auto remarks = mock().validate(f);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, remarks->size());
        CPPUNIT_ASSERT_EQUAL(std::string("main.mk"), remarks->at(0).file);
        CPPUNIT_ASSERT(remarks->at(0).warning && remarks->at(0).line == 1 &&
                       remarks->at(0).column == 2);
        f.handler = "refuse";
        remarks = mock().validate(f);
        CPPUNIT_ASSERT(!remarks->at(0).warning);
        CPPUNIT_ASSERT_EQUAL(std::string("there is no such handler"), remarks->at(0).message);
        f.handler = "fail";
        auto failed = mock().validate(f);
        CPPUNIT_ASSERT(!failed);
        CPPUNIT_ASSERT_EQUAL(std::string("executor_error"), failed.failure().reason);
        CPPUNIT_ASSERT_EQUAL(std::string("mend it"), failed.failure().hint);
    }

    void genericPlan() {
        auto plan = mock().plan(nullptr);
        CPPUNIT_ASSERT(plan->worker.argv == (std::vector<std::string>{"/usr/bin/mock", "-x"}));
        CPPUNIT_ASSERT(plan->worker.environment == (sandbox::Environment{{"MODE", "fast"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("/opt/mock"), plan->worker.mounts.at(0).target);
        CPPUNIT_ASSERT(plan->worker.mounts.at(0).optional);
        CPPUNIT_ASSERT_EQUAL(100u, plan->concurrency);
        CPPUNIT_ASSERT(plan->checks && !plan->notPrewarmed && !plan->worker.execStub);
    }

    void plansOfFunctions() {
        FunctionSpec f{.environment = {{"TZ", "UTC"}}};
        CPPUNIT_ASSERT(mock().plan(&f)->notPrewarmed);
        f.handler = "exec";
        auto plan = mock().plan(&f);
        CPPUNIT_ASSERT(plan->worker.execStub);
        CPPUNIT_ASSERT_EQUAL(std::string("bin/program"), plan->worker.argv.at(0));
    }

    void unusablePlans() {
        unusable("nothing", "executor_error", "it names no program");
        unusable("relative", "executor_error", "not an absolute path");
        unusable("up", "executor_error", "not a path inside the artifact");
        unusable("writable", "executor_error", "read-only");
        unusable("huge", "executor_error", "too long");
        unusable("fail", "runtime_unavailable", "the interpreter is gone");
    }

    void describeExit() {
        sandbox::Ended ended;
        ended.signal = SIGSEGV;
        auto words = mock().describeExit(ended, 128, std::string(10'000, 'x') + "end");
        CPPUNIT_ASSERT(words);
        CPPUNIT_ASSERT_EQUAL(std::string("native code crashed"), words->message);
        CPPUNIT_ASSERT(words->hint.starts_with("it last wrote: xxx") && words->hint.size() == 1023);
        ended.signal = SIGKILL;
        CPPUNIT_ASSERT(!mock().describeExit(ended, 128, ""));
    }

    void exceptions() {
        const FunctionSpec f{.handler = "h"};
        auto validated = throws().validate(f);
        CPPUNIT_ASSERT(!validated);
        CPPUNIT_ASSERT_EQUAL(std::string("the executor throws failed to check the function: it "
                                         "threw an exception: validate threw"),
                             validated.failure().detail);
        CPPUNIT_ASSERT(!throws().plan(&f));
        CPPUNIT_ASSERT(!throws().describeExit({}, 128, ""));
        throws().discard("key");
        PlainToolRunner tools;
        FixedChecker checker;
        std::atomic<bool> cancel{false};
        std::vector<base::SourceRemark> remarks;
        auto built =
            throws().prepare(f, {.deadline = executors::Clock::now() + std::chrono::seconds(9)},
                             tools, checker, cancel, remarks);
        CPPUNIT_ASSERT(!built);
        CPPUNIT_ASSERT_EQUAL(std::string("executor_error"), built.failure().reason);
    }

private:
    const executors::Executor& mock() const { return *loaded_->catalog.byId("mock"); }
    const executors::Executor& throws() const { return *loaded_->catalog.byId("throws"); }

    void unusable(const char* handler, const char* reason, const std::string& because) const {
        const FunctionSpec f{.handler = handler};
        auto plan = mock().plan(&f);
        CPPUNIT_ASSERT_MESSAGE(handler, !plan);
        CPPUNIT_ASSERT_EQUAL(std::string(reason), plan.failure().reason);
        CPPUNIT_ASSERT_MESSAGE(plan.failure().detail,
                               plan.failure().detail.find(because) != std::string::npos);
    }

    std::unique_ptr<Loaded> loaded_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ExecutorTest);

}  // namespace cf::test
