// The workers' front: which functions there are, where their invocations go, and how one version
// follows another without a failed request. One Dispatcher belongs to one event loop; every method
// is called on that loop's thread.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "workers/checker.hpp"
#include "workers/context.hpp"
#include "workers/invocation.hpp"
#include "workers/prewarmed_pool.hpp"
#include "workers/version_pool.hpp"

namespace cf::workers {

class Dispatcher final : public WorkerSource {
public:
    Dispatcher(base::EventLoop& loop, sandbox::WorkerLauncher& launcher, Options options);
    ~Dispatcher() override;

    // Keeps prewarmed workers for a runtime from now on; a second call replaces the plan.
    void addRuntime(const std::string& runtime, LaunchPlan plan, uint32_t memoryMb);
    // Parses a source in a warm worker; see Checker.
    void check(const std::string& runtime, std::string file, std::string source,
               Checker::Callback callback);

    // Loads workers of a version that is not live yet, as many as the present one has busy, at
    // least one. On success the version waits for commit(); on failure nothing is left.
    void stage(TargetPtr target, VersionPool::LoadedCallback callback);
    // The staged (or a never staged) version takes all new invocations; the one before runs dry.
    void commit(TargetPtr target);
    // A staged version will not be committed.
    void unstage(const std::string& functionId);
    // New settings of the live version.
    void update(TargetPtr target);
    // No new invocations; running ones finish.
    void remove(const std::string& functionId);

    // Where an invocation enters; its target is of a committed version. Answers through
    // Invocation::finished, possibly before this returns.
    void invoke(InvocationPtr invocation);

    // The caller of an unanswered invocation is gone. One that waits is answered for and forgotten,
    // one that runs goes on.
    void withdraw(Invocation& invocation);
    // The caller of an unanswered invocation is gone and wants it ended. It is answered all the
    // same.
    void cancel(Invocation& invocation);

    struct Counts {
        uint32_t workers = 0;  // alive or starting
        uint32_t prewarmed = 0;
        uint32_t busy = 0;
        uint32_t queued = 0;
    };
    Counts counts() const;
    // Kills every worker, busy or not. Calls, loads and checks that are not done fail.
    void shutDown();
    bool idle() const;

private:
    struct Runtime {
        std::unique_ptr<PrewarmedPool> prewarmed;
        std::unique_ptr<Checker> checker;
    };
    struct Function {
        std::unique_ptr<VersionPool> live;
        std::unique_ptr<VersionPool> staged;
    };

    std::unique_ptr<Worker> provide(VersionPool& pool) override;
    bool takesBack(const VersionPool& pool, const Worker& worker) override;
    void workerIdle() override { servePlacesSoon(); }
    void poolEmpty(VersionPool& pool) override;
    void passOn(InvocationPtr invocation) override;
    void drain(std::unique_ptr<VersionPool> pool);
    static Clock::duration restOf(const VersionPool& pool, size_t has);
    bool couldMakeRoom(const VersionPool& asker, const Place* warm, uint64_t bytes) const;
    static size_t keptBy(const VersionPool& pool, bool reserves);
    Worker* longestIdle(const VersionPool* asker, bool reserves) const;
    bool makeRoom(const VersionPool* asker);
    VersionPool* mostDeserving(const VersionPool* but, bool withOutsized) const;
    void servePlacesSoon();
    void servePlaces();
    void forget(const VersionPool& pool);
    void sweep();

    Context context_;
    std::unordered_map<std::string, Runtime> runtimes_;
    std::unordered_map<std::string, Function> functions_;
    std::vector<std::unique_ptr<VersionPool>> draining_;
    base::TimerId sweep_ = 0;
    bool stopping_ = false;
    std::unordered_set<VersionPool*> inhabited_;  // have workers
    std::vector<VersionPool*> starving_;          // asked for a place and got none
    std::unordered_set<const VersionPool*>
        outsized_;          // of these: no room even if all the idle left
    bool serving_ = false;  // places are being given out
    bool serveQueued_ = false;
    size_t takenBack_ = 0;  // places on their way from those who have many
    Clock::time_point takenBackAt_{};
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cf::workers
