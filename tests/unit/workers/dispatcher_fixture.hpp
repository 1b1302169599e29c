// A Dispatcher over the fake launcher, and invocations whose outcome is kept. The test's thread is the loop thread.
#pragma once

#include <cppunit/extensions/HelperMacros.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fake_launcher.hpp"
#include "test_clock.hpp"
#include "workers/dispatcher.hpp"

namespace cf::workers::test {

using namespace std::chrono_literals;

struct Answer {
    bool done = false;
    Outcome::Kind kind = Outcome::Kind::failure;
    std::string document{};
    base::Failure failure{};
    bool cold = false;
    std::string log{};
    uint64_t memoryPeakBytes = 0;
    std::chrono::microseconds queued{};
};

// What a save or a check was told; nothing so far. Shared with who tells: that may happen when the
// test that asked has failed and its variables are gone.
template <typename T>
using Told = std::shared_ptr<std::optional<base::Result<T>>>;

class KeptInvocation final : public Invocation {
public:
    explicit KeptInvocation(std::shared_ptr<Answer> answer) : answer_(std::move(answer)) {}
    void finished(const Outcome& outcome) override {
        CPPUNIT_ASSERT_MESSAGE("an invocation was answered twice", !answer_->done);
        *answer_ = {true, outcome.kind, std::string(outcome.document), outcome.failure, outcome.cold, printed.text(),
                     outcome.memoryPeakBytes, outcome.queued};
    }

private:
    std::shared_ptr<Answer> answer_;
};

class DispatcherFixture : public CppUnit::TestFixture {
public:
    void setUp() override {
        loop = std::make_unique<base::EventLoop>();
        launcher = std::make_unique<FakeLauncher>(*loop);
        options = {};
        options.prewarmed = 1;
        options.cores = 2;
        crowd = 1;
        options.perCore = [this] { return crowd; };
        logged.clear();
        options.onLog = [this](const Target&, std::string_view id, Stream, std::string_view text) {
            logged.push_back(std::string(id.empty() ? "-" : "call") + ":" + std::string(text));
        };
    }
    void tearDown() override {
        // They speak for the test's own workers, and may name calls that others never had.
        launcher->onStart = {};
        launcher->onKill = {};
        if (dispatcher) dispatcher->shutDown();
        turn(20ms);
        loop->discardPosted();
        dispatcher.reset();
        launcher.reset();
        loop.reset();
    }

protected:
    void start() {
        dispatcher = std::make_unique<Dispatcher>(*loop, *launcher, options);
        dispatcher->addRuntime("lua", LaunchPlan{.checks = true}, 128);
    }
    std::shared_ptr<Target> target(uint64_t version = 1, const std::string& functionId = "fn_1") {
        auto t = std::make_shared<Target>();
        t->functionId = functionId;
        t->functionName = "one";
        t->version = version;
        t->runtime = "lua";
        t->artifactDir = "/artifact/" + std::to_string(version);
        t->handler = "handler";
        t->timeout = 200ms;
        t->initTimeout = 500ms;
        return t;
    }
    std::shared_ptr<Answer> call(TargetPtr t, std::string_view event = "{}", Invocation** its = nullptr) {
        auto answer = std::make_shared<Answer>();
        auto invocation = std::make_unique<KeptInvocation>(answer);
        invocation->target = std::move(t);
        invocation->event = event;
        invocation->received = Clock::now();
        if (its != nullptr) *its = invocation.get();
        dispatcher->invoke(std::move(invocation));
        return answer;
    }
    Told<void> stage(TargetPtr t) {
        const auto told = std::make_shared<std::optional<base::Result<void>>>();
        dispatcher->stage(std::move(t),
                          [told](base::Result<void> result) { *told = std::move(result); });
        return told;
    }
    Told<std::string> check(const std::string& source = "return") {
        const auto told = std::make_shared<std::optional<base::Result<std::string>>>();
        dispatcher->check("lua", "main.lua", source,
                          [told](base::Result<std::string> result) { *told = std::move(result); });
        return told;
    }
    // Turns the loop for a while.
    void turn(std::chrono::microseconds time) {
        loop->after(time, [this] { loop->stop(); });
        loop->run();
    }
    // Turns the loop until `condition` holds; the bound is only reached by what is broken. It is
    // shorter than the limits of 10 s that many tests set for what is not to run out of time: what
    // such a limit does is not taken for what was waited for.
    template <typename Condition>
    void until(Condition condition, const char* what) {
        const auto end = Clock::now() + 5s;
        while (!condition()) {
            CPPUNIT_ASSERT_MESSAGE(std::string("waited in vain: ") + what, Clock::now() < end);
            turn(1ms);
        }
    }
    Answer wait(const std::shared_ptr<Answer>& answer) {
        until([&] { return answer->done; }, "an answer");
        return *answer;
    }
    template <typename T>
    base::Result<T> wait(const Told<T>& told) {
        until([&] { return told->has_value(); }, "the end of a save or a check");
        return **told;
    }
    // A committed target whose workers answer nothing by themselves.
    TargetPtr silent() {
        launcher->onStart = [](FakeWorker& worker) { worker.autoAnswer = false; };
        start();
        const auto t = target();
        dispatcher->commit(t);
        return t;
    }
    // A committed target with one worker at most, from which nothing can be taken back.
    TargetPtr oneCore(std::chrono::milliseconds timeout = 10s) {
        launcher->onStart = [](FakeWorker& worker) { worker.version = 1; };
        options.cores = 1;
        options.prewarmed = 0;
        start();
        const auto t = target();
        t->timeout = timeout;
        t->maxWorkers = 1;
        dispatcher->commit(t);
        return t;
    }
    // The latest worker, once it has been given that many calls.
    FakeWorker& running(size_t calls = 1) {
        until([&] { return !bound().empty() && bound().back()->calls.size() >= calls; }, "a call to run");
        return *bound().back();
    }
    // Bound workers that live.
    std::vector<FakeWorker*> bound() {
        std::vector<FakeWorker*> out;
        for (const auto& worker : launcher->workers)
            if (worker->bound && worker->alive) out.push_back(worker.get());
        return out;
    }

    std::unique_ptr<base::EventLoop> loop;
    std::unique_ptr<FakeLauncher> launcher;
    std::unique_ptr<Dispatcher> dispatcher;
    Options options;
    double crowd = 1;  // processes that want each core of the machine as the pools see it
    std::vector<std::string> logged;
};

}  // namespace cf::workers::test
