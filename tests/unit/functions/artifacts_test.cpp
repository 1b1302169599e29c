// The content-addressed cache of artifacts on disk.
#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <thread>

#include "base/unique_fd.hpp"
#include "fakes.hpp"

namespace cf::functions::test {

namespace {

class Lines final : public BuildListener {
public:
    void log(std::string_view line) override { text += std::string(line) + "\n"; }
    void remark(const base::SourceRemark&) override {}
    std::string text;
};

}  // namespace

class ArtifactsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ArtifactsTest);
    CPPUNIT_TEST(hashes);
    CPPUNIT_TEST(keysTellEverythingApart);
    CPPUNIT_TEST(artifactsAreReadOnly);
    CPPUNIT_TEST(equalSourcesBuildOnce);
    CPPUNIT_TEST(alsoAtTheSameTime);
    CPPUNIT_TEST(remarksAreKeptWithTheArtifact);
    CPPUNIT_TEST(aFailedBuildLeavesNothing);
    CPPUNIT_TEST(leftoversAreRemoved);
    CPPUNIT_TEST(unusedOnesAreCollected);
    CPPUNIT_TEST_SUITE_END();

    TemporaryFolder folder_;
    FakeBuilder builder_;
    std::string name_ = "hello";
    Settings settings_{};
    VersionSpec spec_{.runtime = "toy", .runtimeAlias = "toy", .handler = "handler"};

    std::unique_ptr<Artifacts> open() { return std::move(*Artifacts::open(folder_.path.string())); }
    base::Result<Artifacts::Made> make(Artifacts& artifacts,
                                       const std::vector<SourceFile>& sources) {
        Lines lines;
        return artifacts.make(
            hashSources(sources), "toy 1",
            {.functionName = name_, .settings = settings_, .spec = spec_, .sources = sources},
            builder_, lines);
    }
    static std::vector<SourceFile> sources(const std::string& text) {
        return {{"lib/a.toy", text}, {"main.toy", "x"}};
    }

    std::string key(const std::string& text) const {
        return artifactKey(spec_, hashSources(sources(text)), "toy 1");
    }

    void hashes() {
        // FIPS 180-2, appendix B.1.
        CPPUNIT_ASSERT_EQUAL(
            std::string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            sha256("abc"));
        CPPUNIT_ASSERT(hashSources({{"a", "bc"}}) != hashSources({{"ab", "c"}}));
        CPPUNIT_ASSERT(hashSources({{"a", "b"}, {"c", "d"}}) != hashSources({{"a", "b1:c1:d"}}));
    }

    void keysTellEverythingApart() {
        const std::string key = artifactKey(spec_, "s", "id");
        VersionSpec other = spec_;
        other.handler = "other";
        CPPUNIT_ASSERT(key != artifactKey(other, "s", "id"));
        other = spec_;
        other.fromCode = true;
        CPPUNIT_ASSERT(key != artifactKey(other, "s", "id"));
        CPPUNIT_ASSERT(key != artifactKey(spec_, "t", "id") &&
                       key != artifactKey(spec_, "s", "id 2"));
        other = spec_;
        other.environment = {{"A", "1"}};
        CPPUNIT_ASSERT_EQUAL(key, artifactKey(other, "s", "id"));
    }

    void artifactsAreReadOnly() {
        const auto artifacts = open();
        const auto files = sources("text");
        CPPUNIT_ASSERT(make(*artifacts, files));
        const std::string folder = artifacts->directory(artifactKey(spec_, hashSources(files), "toy 1"));
        for (const auto& [path, mode] :
             {std::pair<std::string, unsigned>{"", 0555}, {"/lib", 0555}, {"/lib/a.toy", 0444}}) {
            struct stat info {};
            CPPUNIT_ASSERT_EQUAL(0, ::stat((folder + path).c_str(), &info));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, mode, unsigned(info.st_mode & 07777));
        }
        CPPUNIT_ASSERT(std::filesystem::is_empty(folder_.path / "build"));
    }

    void equalSourcesBuildOnce() {
        const auto artifacts = open();
        CPPUNIT_ASSERT(!make(*artifacts, sources("a"))->reused);
        CPPUNIT_ASSERT(make(*artifacts, sources("a"))->reused);
        CPPUNIT_ASSERT(!make(*artifacts, sources("b"))->reused);
        CPPUNIT_ASSERT(make(*open(), sources("a"))->reused);
        CPPUNIT_ASSERT_EQUAL(2, builder_.builds.load());
    }

    void alsoAtTheSameTime() {
        const auto artifacts = open();
        std::vector<std::thread> threads;
        std::atomic<int> good{0};
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&] { good += bool(make(*artifacts, sources("WAIT"))); });
        builder_.untilWaiting();
        builder_.release();
        for (auto& thread : threads) thread.join();
        CPPUNIT_ASSERT_EQUAL(4, good.load());
        CPPUNIT_ASSERT_EQUAL(1, builder_.builds.load());
    }

    void remarksAreKeptWithTheArtifact() {
        const auto artifacts = open();
        CPPUNIT_ASSERT(make(*artifacts, sources("WARN")));
        const auto again = make(*artifacts, sources("WARN"));
        CPPUNIT_ASSERT(again->reused && again->remarks.size() == 1 &&
                       again->remarks[0].message == "odd");
    }

    void aFailedBuildLeavesNothing() {
        const auto artifacts = open();
        CPPUNIT_ASSERT(!make(*artifacts, sources("BROKEN")));
        CPPUNIT_ASSERT(std::filesystem::is_empty(folder_.path / "artifacts"));
        CPPUNIT_ASSERT(std::filesystem::is_empty(folder_.path / "build"));
    }

    void leftoversAreRemoved() {
        std::filesystem::create_directories(folder_.path / "build/01X/source/deep");
        std::filesystem::permissions(folder_.path / "build/01X/source",
                                     std::filesystem::perms::owner_read);
        // Deeper than descriptors are allowed, longer than a path may be.
        base::UniqueFd here(::open((folder_.path / "build").c_str(), O_RDONLY | O_DIRECTORY));
        const std::string name(100, 'd');
        for (int i = 0; i < 3000; ++i) {
            CPPUNIT_ASSERT_EQUAL(0, ::mkdirat(here.get(), name.c_str(), 0755));
            CPPUNIT_ASSERT_EQUAL(0, ::mkdirat(here.get(), "beside", 0555));
            here.reset(::openat(here.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
        }
        open();
        CPPUNIT_ASSERT(std::filesystem::is_empty(folder_.path / "build"));
    }

    void unusedOnesAreCollected() {
        const auto artifacts = open();
        CPPUNIT_ASSERT(make(*artifacts, sources("a")) && make(*artifacts, sources("b")));
        const std::string a = key("a"), b = key("b");
        CPPUNIT_ASSERT(artifacts->collect({a}, std::chrono::minutes(20)).empty());
        CPPUNIT_ASSERT(artifacts->contains(b));
        const auto removed = artifacts->collect({a}, std::chrono::milliseconds(0));
        CPPUNIT_ASSERT(removed.size() == 1 && removed[0].key == b && removed[0].runtime == "toy");
        CPPUNIT_ASSERT(artifacts->contains(a) && !artifacts->contains(b));
        CPPUNIT_ASSERT(!std::filesystem::exists(artifacts->directory(b) + ".json"));
        for (const char* text : {"BROKEN 1", "BROKEN 2"})
            CPPUNIT_ASSERT(!make(*artifacts, sources(text)));
        artifacts->collect({}, std::chrono::minutes(20));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, artifacts->remembered());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ArtifactsTest);

}  // namespace cf::functions::test
