// What a build may ask of the host beyond tools: scratch folders, locks, layers, a network; and the
// limits that hold for all of a build.
#include <cppunit/extensions/HelperMacros.h>

#include "loaded.hpp"

namespace cf::test {

using executors::Clock;

// Keeps what is kept, and makes every layer below a folder.
class KeptInMemory final : public base::BuildDependencies {
public:
    std::optional<std::string> recallLock(std::string_view name, std::string_view madeFrom,
                                          bool anyAge) override {
        asked += std::string(name) + "|" + std::string(madeFrom) + (anyAge ? "|any " : " ");
        return anyAge ? old : recalled;
    }
    void keepLock(std::string_view name, std::string_view madeFrom,
                  std::string_view content) override {
        kept += std::string(name) + "|" + std::string(madeFrom) + "|" + std::string(content) + " ";
    }
    base::Result<Layer> layer(std::string_view key, bool buildOnly, const Fill& fill,
                              const std::function<bool()>&) override {
        const std::string at = folder + "/" + std::string(key);
        layers += std::string(key) + (buildOnly ? "|build_only " : " ");
        std::filesystem::create_directories(folder + "/filling");
        if (auto filled = fill(folder + "/filling"); !filled) return std::move(filled).failure();
        std::filesystem::rename(folder + "/filling", at);
        return Layer{at, "../../layers/" + std::string(key)};
    }
    std::string folder{}, asked{}, kept{}, layers{};
    std::optional<std::string> recalled{}, old{};
};

// Keeps every specification, and says of each tool that memory ran out where it is told to.
class RecordingToolRunner final : public executors::ToolRunner {
public:
    base::Result<Outcome> run(const sandbox::ToolSpec& spec, std::string_view input,
                              const Receive& receive, Clock::time_point deadline,
                              const std::atomic<bool>& cancel, const Excess& excess) override {
        specs.push_back(spec);
        auto outcome = plain_.run(spec, input, receive, deadline, cancel, excess);
        if (outcome && outOfMemory) {
            outcome->ended.outOfMemory = true;
            outcome->ended.exitCode = toolsGoOn ? 0 : 1;
        }
        return outcome;
    }
    std::vector<sandbox::ToolSpec> specs{};
    bool outOfMemory = false, toolsGoOn = false;

private:
    PlainToolRunner plain_;
};

class JobDependenciesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JobDependenciesTest);
    CPPUNIT_TEST(scratch);
    CPPUNIT_TEST(networkOnlyWhereItIsAskedFor);
    CPPUNIT_TEST(locks);
    CPPUNIT_TEST(oldLocks);
    CPPUNIT_TEST(layerIsFilledByTools);
    CPPUNIT_TEST(layerIsReadOnlyAfterwards);
    CPPUNIT_TEST(failedFill);
    CPPUNIT_TEST(layersRefused);
    CPPUNIT_TEST(aLayerForTheBuildAlone);
    CPPUNIT_TEST(withoutDependencies);
    CPPUNIT_TEST(outOfMemory);
    CPPUNIT_TEST(tooMuchDisk);
    CPPUNIT_TEST(writesTheManifest);
    CPPUNIT_TEST(pluginsOfTheFirstRelease);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        loaded_ = std::make_unique<Loaded>(std::initializer_list<const char*>{"mock"});
        loaded_->load();
        for (const char* folder : {"source", "artifact", "scratch", "scratch/own", "layers"})
            std::filesystem::create_directory(loaded_->folder / folder);
        dependencies_ = {};
        dependencies_.folder = loaded_->folder / "layers";
        tools_ = {};
        disk_ = 0;
        offered_ = true;
    }
    void tearDown() override { loaded_.reset(); }

    void scratch() {
        CPPUNIT_ASSERT_EQUAL(std::string(), build("needs_scratch"));
        CPPUNIT_ASSERT_EQUAL(std::string(loaded_->folder / "scratch"), artifact("scratch"));
        const auto& mounts = tools_.specs.at(0).mounts;
        CPPUNIT_ASSERT(kindOf(mounts, loaded_->folder / "scratch") == sandbox::MountKind::readOnly);
        CPPUNIT_ASSERT(kindOf(mounts, "/own") == sandbox::MountKind::writable);
    }

    void networkOnlyWhereItIsAskedFor() {
        CPPUNIT_ASSERT_EQUAL(std::string(), build("needs_nothing"));
        CPPUNIT_ASSERT(tools_.specs.at(0).network == sandbox::NetworkPolicy{});
        CPPUNIT_ASSERT_EQUAL(std::string(), build("needs_network"));
        CPPUNIT_ASSERT(tools_.specs.at(1).network.mode == sandbox::Network::outbound);
        CPPUNIT_ASSERT_EQUAL(std::string("registry.example"),
                             tools_.specs.at(1).network.allow.at(0));
    }

    void locks() {
        CPPUNIT_ASSERT_EQUAL(std::string(), build("needs_lock"));
        CPPUNIT_ASSERT_EQUAL(std::string("none"), artifact("recalled"));
        CPPUNIT_ASSERT_EQUAL(std::string("mock.lock|wanted|made "), dependencies_.kept);
        dependencies_.recalled = "from before";
        CPPUNIT_ASSERT_EQUAL(std::string(), build("needs_lock"));
        CPPUNIT_ASSERT_EQUAL(std::string("from before"), artifact("recalled"));
        CPPUNIT_ASSERT(log_.find("the lock other was not kept: it is larger than 16 MB") !=
                       std::string::npos);
    }

    void oldLocks() {
        dependencies_.old = "last year's";
        CPPUNIT_ASSERT_EQUAL(std::string(), build("needs_old_lock"));
        CPPUNIT_ASSERT_EQUAL(std::string("last year's"), artifact("recalled"));
        CPPUNIT_ASSERT_EQUAL(std::string("mock.lock|wanted|any "), dependencies_.asked);
    }

    void layerIsFilledByTools() {
        CPPUNIT_ASSERT_EQUAL(std::string(), build("needs_layer"));
        const std::string at = dependencies_.folder + "/needs_layer";
        CPPUNIT_ASSERT_EQUAL(at, artifact("layer"));
        CPPUNIT_ASSERT_EQUAL(std::string("../../layers/needs_layer"), artifact("link"));
        CPPUNIT_ASSERT_EQUAL(std::string("installed\n"), readFile(at + "/package"));
        const std::string filling = artifact("filled_at");
        CPPUNIT_ASSERT(kindOf(tools_.specs.at(0).mounts, filling) == sandbox::MountKind::writable);
        CPPUNIT_ASSERT(tools_.specs.at(0).network.mode == sandbox::Network::outbound);
        CPPUNIT_ASSERT(!kindOf(tools_.specs.at(1).mounts, filling));
        CPPUNIT_ASSERT(kindOf(tools_.specs.at(1).mounts, at) == sandbox::MountKind::readOnly);
        CPPUNIT_ASSERT(tools_.specs.at(1).network.mode == sandbox::Network::none);
    }

    void layerIsReadOnlyAfterwards() {
        CPPUNIT_ASSERT(build("needs_layer_kept").find("writable mount") != std::string::npos);
    }

    void failedFill() {
        CPPUNIT_ASSERT_EQUAL(std::string("build_failed: left-pad is gone (take another one)"),
                             build("needs_layer_failing"));
    }

    void layersRefused() {
        CPPUNIT_ASSERT(build("needs_layer_twice").find("second layer") != std::string::npos);
        CPPUNIT_ASSERT(build("needs_layer_nested").find("fills another") != std::string::npos);
    }

    void aLayerForTheBuildAlone() {
        CPPUNIT_ASSERT_EQUAL(std::string(), build("needs_layer_and_tools"));
        CPPUNIT_ASSERT_EQUAL(std::string("needs_layer_and_tools tools|build_only "),
                             dependencies_.layers);
    }

    void withoutDependencies() {
        offered_ = false;
        CPPUNIT_ASSERT(build("needs_layer").find("no place") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string(), build("needs_lock"));
        CPPUNIT_ASSERT_EQUAL(std::string("none"), artifact("recalled"));
    }

    void outOfMemory() {
        tools_.outOfMemory = true;
        CPPUNIT_ASSERT_EQUAL(
            std::string("build_memory_exceeded: the build ran out of memory (limit 77 MB) (raise "
                        "build.memory_mb in the properties file)"),
            build("needs_nothing"));
        // What the executor can do without does not fail its build.
        tools_.toolsGoOn = true;
        CPPUNIT_ASSERT_EQUAL(std::string(), build("needs_nothing"));
    }

    void tooMuchDisk() {
        disk_ = 4u << 20;
        for (const char* handler : {"needs_disk", "needs_disk_quickly"}) {
            const std::string said = build(handler);
            CPPUNIT_ASSERT_MESSAGE(
                said, said.starts_with("build_disk_exceeded: the build wrote more than 4 MB"));
        }
        disk_ = 64u << 20;
        CPPUNIT_ASSERT_EQUAL(std::string(), build("needs_disk_quickly"));
    }

    void writesTheManifest() {
        const executors::FunctionSpec function{.runtime = "mock", .handler = "h"};
        const auto manifest = loaded_->only().writeDependencies(function, {"a@1", "b"});
        CPPUNIT_ASSERT(manifest->name == "mock.needs" && manifest->content == "a@1\nb\n");
        const auto bad = loaded_->only().writeDependencies(function, {"bad"});
        CPPUNIT_ASSERT(bad.failure().reason == "invalid_function" &&
                       bad.failure().detail == "\"bad\" is no package");
        const executors::FunctionSpec nameless{.runtime = "mock", .handler = "nameless"};
        CPPUNIT_ASSERT(loaded_->only().writeDependencies(nameless, {"a"}).failure().reason ==
                       "executor_error");
        Loaded plain{"plain"};
        plain.load();
        const auto unknown = plain.only().writeDependencies(function, {"a"});
        CPPUNIT_ASSERT_EQUAL(std::string("invalid_function"), unknown.failure().reason);
    }

    void pluginsOfTheFirstRelease() {
        loaded_ = std::make_unique<Loaded>(std::initializer_list<const char*>{"first_release"});
        loaded_->load();
        CPPUNIT_ASSERT_EQUAL(std::string(), loaded_->reason());
        CPPUNIT_ASSERT_EQUAL(std::string("1.0"), loaded_->only().facts().abi);
        for (const char* folder : {"source", "artifact", "scratch"})
            std::filesystem::create_directory(loaded_->folder / folder);
        CPPUNIT_ASSERT_EQUAL(std::string(), build("any"));
        CPPUNIT_ASSERT(tools_.specs.at(0).network.mode == sandbox::Network::none);
        const executors::FunctionSpec function{.runtime = "first_release", .handler = "h"};
        CPPUNIT_ASSERT_EQUAL(std::string("invalid_function"),
                             loaded_->only().writeDependencies(function, {"a"}).failure().reason);
    }

private:
    // Empty when it went well.
    std::string build(const char* handler) {
        const executors::FunctionSpec f{.handler = handler, .files = {{"main.mk", "text"}}};
        executors::JobSpec job;
        job.sourceDir = loaded_->folder / "source";
        job.artifactDir = loaded_->folder / "artifact";
        job.scratchDir = loaded_->folder / "scratch";
        job.limits.memoryBytes = uint64_t{77} << 20;
        job.diskBytes = disk_;
        job.network = {sandbox::Network::outbound, {"registry.example"}};
        job.dependencies = offered_ ? &dependencies_ : nullptr;
        job.deadline = Clock::now() + std::chrono::seconds(60);
        job.log = [this](std::string_view line) { (log_ += line) += '\n'; };
        std::vector<base::SourceRemark> remarks;
        const auto built =
            loaded_->only().prepare(f, std::move(job), tools_, checker_, never_, remarks);
        std::filesystem::remove(loaded_->folder / "artifact/big");
        if (built) return "";
        const auto& failure = built.failure();
        return failure.reason + ": " + failure.detail +
               (failure.hint.empty() ? "" : " (" + failure.hint + ")");
    }
    std::string artifact(const char* name) const {
        return readFile(loaded_->folder / ("artifact/" + std::string(name)));
    }
    static std::optional<sandbox::MountKind> kindOf(const std::vector<sandbox::Mount>& mounts,
                                                    const std::string& target) {
        for (const auto& mount : mounts)
            if (mount.target == target) return mount.kind;
        return std::nullopt;
    }

    std::unique_ptr<Loaded> loaded_;
    KeptInMemory dependencies_;
    RecordingToolRunner tools_;
    FixedChecker checker_;
    const std::atomic<bool> never_{false};
    uint64_t disk_ = 0;
    bool offered_ = true;
    std::string log_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(JobDependenciesTest);

}  // namespace cf::test
