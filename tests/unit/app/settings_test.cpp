// The properties file and the environment: what overrides what, and how mistakes are told.
#include <cppunit/extensions/HelperMacros.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "app/data_directory.hpp"
#include "app/descriptors.hpp"
#include "app/network_flows.hpp"
#include "app/settings.hpp"

namespace cf::app::test {

class SettingsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(SettingsTest);
    CPPUNIT_TEST(defaultsHoldWithoutAFile);
    CPPUNIT_TEST(theFileIsRead);
    CPPUNIT_TEST(theEnvironmentOverridesTheFile);
    CPPUNIT_TEST(theThreeShortNamesWork);
    CPPUNIT_TEST(anUnknownKeyIsNamedWithTheOneMeant);
    CPPUNIT_TEST(errorsComeInTheOrderOfTheirLines);
    CPPUNIT_TEST(aBadValueIsNamedWithItsRange);
    CPPUNIT_TEST(whereItListensAreAddresses);
    CPPUNIT_TEST(loopsAreAutoOrANumber);
    CPPUNIT_TEST(runtimesMayHaveTheirOwnNumberOfPrewarmedWorkers);
    CPPUNIT_TEST(aSandboxHasItsShareOfConnections);
    CPPUNIT_TEST(workersHaveTheirDescriptorsBeforeConnections);
    CPPUNIT_TEST(aLineWithoutAKeyIsRefused);
    CPPUNIT_TEST(everyMistakeIsToldAtOnce);
    CPPUNIT_TEST(anUnknownVariableIsRefused);
    CPPUNIT_TEST(twoVariablesOfOneKeyAreRefused);
    CPPUNIT_TEST(familiesOfKeysAreCollected);
    CPPUNIT_TEST(companionsHaveUrls);
    CPPUNIT_TEST(aTokenIsNeverShown);
    CPPUNIT_TEST(aTokenCanBeSent);
    CPPUNIT_TEST(aMissingFileIsAnError);
    CPPUNIT_TEST(whatIsNoFileIsAnError);
    CPPUNIT_TEST(aFileThatIsTooLargeIsAnError);
    CPPUNIT_TEST(mistakesHaveTheirLines);
    CPPUNIT_TEST(aKeyThatStandsTwiceIsRefused);
    CPPUNIT_TEST(aFolderOfExecutorsMustBeThere);
    CPPUNIT_TEST(aDataDirectoryHasOnePlatform);
    CPPUNIT_TEST(aDataDirectoryThatWasGivenAwayIsSoThroughout);
    CPPUNIT_TEST(nothingInADataDirectoryLeadsOutOfIt);
    CPPUNIT_TEST_SUITE_END();

    std::filesystem::path folder_;

    std::string file(const std::string& text) {
        const auto path = folder_ / "cloudfunction.properties";
        std::ofstream(path) << text;
        return path;
    }
    void set(const char* name, const char* value) { ::setenv(name, value, 1); }
    static bool holds(const SettingsResult& result, const std::string& text) {
        return std::any_of(result.errors.begin(), result.errors.end(), [&](const auto& e) { return e.find(text) != std::string::npos; });
    }

public:
    void setUp() override {
        for (char** variable = environ; *variable != nullptr;) {
            const std::string text = *variable;
            if (text.rfind("CLOUDFUNCTION_", 0) != 0) ++variable;
            else ::unsetenv(text.substr(0, text.find('=')).c_str());
        }
        char name[] = "/tmp/cloudfunction-settings-XXXXXX";
        folder_ = ::mkdtemp(name);
    }
    void tearDown() override {
        for (const char* name : {"CLOUDFUNCTION_PORT", "CLOUDFUNCTION_WORKDIR", "CLOUDFUNCTION_TIMEOUT", "CLOUDFUNCTION_QUEUE_SIZE",
                                 "CLOUDFUNCTION_NONSENSE", "CLOUDFUNCTION_EXECUTOR_LUA_PATH", "CLOUDFUNCTION_AUTH_TOKEN",
                                 "CLOUDFUNCTION_SERVER_PORT", "CLOUDFUNCTION_DATA_DIR"})
            ::unsetenv(name);
        std::filesystem::remove_all(folder_);
    }

    void defaultsHoldWithoutAFile() {
        const auto result = readSettings("");
        CPPUNIT_ASSERT(result.errors.empty());
        CPPUNIT_ASSERT_EQUAL(uint16_t{8080}, result.settings.port);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, result.settings.addresses.size());
        CPPUNIT_ASSERT_EQUAL(std::string("127.0.0.1"), result.settings.addresses[0]);
        CPPUNIT_ASSERT(result.settings.timeout == std::chrono::seconds(30));
        CPPUNIT_ASSERT_EQUAL((std::filesystem::current_path() / "functions").string(), result.settings.dataDir);
    }

    void theFileIsRead() {
        const auto result = readSettings(file("server.port = 9000\nserver.address = 127.0.0.1, ::1\ninvoke.timeout = 1.5\n# queue.size = 3\n"));
        CPPUNIT_ASSERT(result.errors.empty());
        CPPUNIT_ASSERT_EQUAL(uint16_t{9000}, result.settings.port);
        CPPUNIT_ASSERT_EQUAL(std::string("::1"), result.settings.addresses.at(1));
        CPPUNIT_ASSERT(result.settings.timeout == std::chrono::milliseconds(1500));
        CPPUNIT_ASSERT_EQUAL(1000u, result.settings.queueSize);
    }

    void theEnvironmentOverridesTheFile() {
        set("CLOUDFUNCTION_QUEUE_SIZE", "7");
        CPPUNIT_ASSERT_EQUAL(7u, readSettings(file("queue.size = 3\n")).settings.queueSize);
    }

    void theThreeShortNamesWork() {
        set("CLOUDFUNCTION_PORT", "9001");
        set("CLOUDFUNCTION_WORKDIR", "/tmp/elsewhere/");
        set("CLOUDFUNCTION_TIMEOUT", "2");
        const auto result = readSettings("");
        CPPUNIT_ASSERT_EQUAL(uint16_t{9001}, result.settings.port);
        CPPUNIT_ASSERT_EQUAL(std::string("/tmp/elsewhere"), result.settings.dataDir);
        CPPUNIT_ASSERT(result.settings.timeout == std::chrono::seconds(2));
    }

    void anUnknownKeyIsNamedWithTheOneMeant() {
        const auto result = readSettings(file("server.prot = 9000\n"));
        CPPUNIT_ASSERT(holds(result, "unknown property \"server.prot\""));
        CPPUNIT_ASSERT(holds(result, "did you mean \"server.port\"?"));
    }

    void errorsComeInTheOrderOfTheirLines() {
        set("CLOUDFUNCTION_LOG_LEVEL", "loud");
        const auto result = readSettings(file("logs.files = 0\nserver.prot = 1\nserver.port = x\nlogs.files = 2\n= 1\nauth.mode = maybe\n"));
        CPPUNIT_ASSERT_EQUAL(size_t{7}, result.errors.size());
        for (size_t i = 0; i < 6; ++i) CPPUNIT_ASSERT_MESSAGE(result.errors[i], result.errors[i].find(", line " + std::to_string(i + 1) + ": ") != std::string::npos);
        CPPUNIT_ASSERT(result.errors[6].starts_with("CLOUDFUNCTION_LOG_LEVEL: "));
    }

    void aBadValueIsNamedWithItsRange() {
        for (const char* value : {"65536", "-1", "80x", "", "8 0"}) {
            const auto result = readSettings(file(std::string("server.port = ") + value + "\n"));
            CPPUNIT_ASSERT_MESSAGE(value, holds(result, "server.port = \"" + std::string(value) + "\" is not accepted; it takes 0-65535"));
        }
        CPPUNIT_ASSERT(holds(readSettings(file("auth.mode = maybe\n")), "it takes auto, token, none"));
        CPPUNIT_ASSERT(holds(readSettings(file("invoke.timeout = nan\n")), "it takes 0.1-900 seconds"));
    }

    void whereItListensAreAddresses() {
        for (const char* value : {"0.0.0.0", "::1", "localhost, 192.0.2.1,::1"})
            CPPUNIT_ASSERT_MESSAGE(value, readSettings(file(std::string("server.address = ") + value + "\n")).errors.empty());
        for (const char* value : {"", ",", "nonsense", "127.0.0.1, nonsense", "127.0.0.1:8080", "10.0.0.0/8", "[::1]"})
            CPPUNIT_ASSERT_MESSAGE(value, holds(readSettings(file(std::string("server.address = ") + value + "\n")), "it takes IP addresses or localhost, separated by commas"));
    }

    void loopsAreAutoOrANumber() {
        CPPUNIT_ASSERT_EQUAL(0u, readSettings("").settings.loops);
        CPPUNIT_ASSERT_EQUAL(64u, readSettings(file("server.loops = 64\n")).settings.loops);
        for (const char* value : {"0", "65", "-1", "many", ""})
            CPPUNIT_ASSERT_MESSAGE(value, holds(readSettings(file(std::string("server.loops = ") + value + "\n")), "it takes auto, or 1-64"));
    }

    void runtimesMayHaveTheirOwnNumberOfPrewarmedWorkers() {
        const auto two = readSettings(file("workers.prewarmed = 3, go:50 , node:0\n"));
        CPPUNIT_ASSERT(two.errors.empty());
        CPPUNIT_ASSERT_EQUAL(uint32_t{3}, two.settings.prewarmed);
        CPPUNIT_ASSERT((two.settings.prewarmedOf == std::map<std::string, uint32_t>{{"go", 50}, {"node", 0}}));
        CPPUNIT_ASSERT(readSettings(file("workers.prewarmed = 7\n")).settings.prewarmedOf.empty());
        for (const char* wrong : {"", "x", "1001", "go:5", "2, go", "2, :5", "2, go:", "2, go:1001", "2, go:-1", "2, go:5, go:6", "2, 3"})
            CPPUNIT_ASSERT_MESSAGE(wrong, holds(readSettings(file(std::string("workers.prewarmed = ") + wrong + "\n")),
                                                "line 1: workers.prewarmed = \"" + std::string(wrong) + "\" is not accepted; it takes 0-1000, then runtimes"));
    }

    void aSandboxHasItsShareOfConnections() {
        const auto share = [&](const std::string& text) { return flowsOfSandbox(readSettings(file(text)).settings, folder_); };
        CPPUNIT_ASSERT_EQUAL(126u, share(""));  // of half of 65536, for 256 workers and 4 builds
        std::filesystem::create_directories(folder_ / "proc/sys/net/netfilter");
        std::ofstream(folder_ / "proc/sys/net/netfilter/nf_conntrack_max") << "262144\n";
        CPPUNIT_ASSERT_EQUAL(504u, share(""));
        CPPUNIT_ASSERT_EQUAL(1024u, share("workers.max = 10\n"));
        CPPUNIT_ASSERT_EQUAL(16u, share("workers.max = 100000\n"));
        CPPUNIT_ASSERT_EQUAL(20u, share("workers.max = 60\nsandbox.network.flows = 1280\n"));
        for (const char* value : {"0", "1023", "many", ""})
            CPPUNIT_ASSERT_MESSAGE(value, holds(readSettings(file(std::string("sandbox.network.flows = ") + value + "\n")), "auto, or 1024-16777216"));
    }

    void workersHaveTheirDescriptorsBeforeConnections() {
        Settings settings;
        settings.maxConnections = 10'000;
        settings.maxWorkers = 100;
        const size_t wanted = descriptorsWanted(settings);
        CPPUNIT_ASSERT_EQUAL(uint32_t{10'000}, connectionsWithin(settings, wanted));
        CPPUNIT_ASSERT_EQUAL(uint32_t{10'000}, connectionsWithin(settings, 2 * wanted));
        CPPUNIT_ASSERT_EQUAL(uint32_t{1'000}, connectionsWithin(settings, wanted - 9'000));
        CPPUNIT_ASSERT_EQUAL(uint32_t{75}, connectionsWithin(settings, 300));
        CPPUNIT_ASSERT_EQUAL(uint32_t{1}, connectionsWithin(settings, 3));
        settings.maxConnections = 10;
        CPPUNIT_ASSERT_EQUAL(uint32_t{10}, connectionsWithin(settings, 300));
    }

    void aLineWithoutAKeyIsRefused() {
        CPPUNIT_ASSERT(holds(readSettings(file("= x\n")), "nothing in front of its \"=\""));
        CPPUNIT_ASSERT(holds(readSettings(file(".server.port = 1\n")), "unknown property \".server.port\""));
        CPPUNIT_ASSERT(holds(readSettings(file("server = 1\n")), "unknown property \"server\""));
    }

    void everyMistakeIsToldAtOnce() {
        CPPUNIT_ASSERT_EQUAL(size_t{3}, readSettings(file("server.port = x\nqueue.size = y\nwho.knows = z\n")).errors.size());
    }

    void anUnknownVariableIsRefused() {
        set("CLOUDFUNCTION_NONSENSE", "1");
        CPPUNIT_ASSERT(holds(readSettings(""), "CLOUDFUNCTION_NONSENSE names no property"));
    }

    void twoVariablesOfOneKeyAreRefused() {
        set("CLOUDFUNCTION_PORT", "9001");
        set("CLOUDFUNCTION_SERVER_PORT", "9002");
        set("CLOUDFUNCTION_DATA_DIR", "/tmp/one");
        set("CLOUDFUNCTION_WORKDIR", "/tmp/two");
        const auto result = readSettings(file("server.port = 9003\n"));
        CPPUNIT_ASSERT_EQUAL(size_t{2}, result.errors.size());
        CPPUNIT_ASSERT(holds(result, "CLOUDFUNCTION_PORT and CLOUDFUNCTION_SERVER_PORT both set server.port, to different values"));
        CPPUNIT_ASSERT(holds(result, "CLOUDFUNCTION_DATA_DIR and CLOUDFUNCTION_WORKDIR both set data.dir, to different values"));
        set("CLOUDFUNCTION_SERVER_PORT", "9001");
        set("CLOUDFUNCTION_WORKDIR", "/tmp/one");
        CPPUNIT_ASSERT(readSettings(file("server.port = 9003\n")).errors.empty());
    }

    void familiesOfKeysAreCollected() {
        set("CLOUDFUNCTION_EXECUTOR_LUA_PATH", "/opt/lua");
        const auto result = readSettings(file("health.services.crawler = http://localhost:1/\nexecutor.lua.jit = on\n"));
        CPPUNIT_ASSERT(result.errors.empty());
        CPPUNIT_ASSERT_EQUAL(std::string("http://localhost:1/"), result.settings.companions.at("crawler"));
        CPPUNIT_ASSERT_EQUAL(std::string("on"), result.settings.executorProperties.at("lua.jit"));
        CPPUNIT_ASSERT_EQUAL(std::string("/opt/lua"), result.settings.executorProperties.at("lua.path"));
        CPPUNIT_ASSERT(result.settings.executorSources.at("lua.jit").ends_with("cloudfunction.properties, line 2"));
        CPPUNIT_ASSERT_EQUAL(std::string("CLOUDFUNCTION_EXECUTOR_LUA_PATH"), result.settings.executorSources.at("lua.path"));
        CPPUNIT_ASSERT(holds(readSettings(file("health.services.cloudfunction = http://localhost:1/\n")), "line 1: health.services.cloudfunction is not accepted"));
    }

    void companionsHaveUrls() {
        for (const char* url : {"http://a", "http://[::1]:9000/health?x=1", "HTTP://a.example/"})
            CPPUNIT_ASSERT_MESSAGE(url, readSettings(file(std::string("health.services.crawler = ") + url + "\n")).errors.empty());
        for (const char* url : {"", "ftp://x", "https://x", "http://", "http:///health", "http://[::", "http://a:99999/", "http://a:0/", "http://a:b/", "http://a/b c",
                                "http://me:secret@a/", "//a", "a"}) {
            const auto result = readSettings(file(std::string("health.services.crawler = ") + url + "\n"));
            CPPUNIT_ASSERT_MESSAGE(url, holds(result, "line 1: health.services.crawler = \"" + std::string(url) + "\" is not accepted; it takes an http:// URL"));
        }
    }

    void aTokenIsNeverShown() {
        const auto good = readSettings(file("auth.token = 0123456789abcdef\n"));
        CPPUNIT_ASSERT(good.errors.empty());
        for (const auto& [key, value] : good.effective) CPPUNIT_ASSERT(value.find("0123456789") == std::string::npos);
        const auto bad = readSettings(file("auth.token = secret\n"));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, bad.errors.size());
        CPPUNIT_ASSERT(bad.errors[0].find("secret") == std::string::npos);
    }

    void aTokenCanBeSent() {
        for (const char* given : {"0123456789abcdef", "0123456789abcdef\n", " 0123456789abcdef\t\r\n"}) {
            set("CLOUDFUNCTION_AUTH_TOKEN", given);
            const auto result = readSettings("");
            CPPUNIT_ASSERT(result.errors.empty());
            CPPUNIT_ASSERT_EQUAL(std::string("0123456789abcdef"), result.settings.authToken);
        }
        for (const char* given : {"01234567\n89abcdef", "0123456789\x01" "abcdef", "0123456789abcde\x7f", "                    ", "0123456789abcde\n", "\n"}) {
            set("CLOUDFUNCTION_AUTH_TOKEN", given);
            CPPUNIT_ASSERT_MESSAGE(given, holds(readSettings(""), "CLOUDFUNCTION_AUTH_TOKEN: auth.token = \"...\" is not accepted; it takes empty, or 16 characters"));
        }
        set("CLOUDFUNCTION_AUTH_TOKEN", "replace-me-with-a-long-random-text\n");
        CPPUNIT_ASSERT(holds(readSettings(""), "CLOUDFUNCTION_AUTH_TOKEN: auth.token is the placeholder of deploy/k8s-manifests.yaml"));
        set("CLOUDFUNCTION_AUTH_TOKEN", "");
        CPPUNIT_ASSERT(readSettings("").errors.empty());
    }

    void aMissingFileIsAnError() { CPPUNIT_ASSERT(holds(readSettings("/nonexistent/x.properties"), "cannot read the properties file")); }

    void whatIsNoFileIsAnError() {
        const std::string pipe = folder_ / "pipe";
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(pipe.c_str(), 0600));
        for (const auto& [path, why] : {std::pair<std::string, std::string>{folder_, "it is a folder, not a file"},
                                        {"/dev/zero", "it is not a file but a pipe, socket or device"},
                                        {pipe, "it is not a file but a pipe, socket or device"}}) {
            const auto result = readSettings(path);
            CPPUNIT_ASSERT_EQUAL(size_t{1}, result.errors.size());
            CPPUNIT_ASSERT_EQUAL("cannot read the properties file " + path + ": " + why, result.errors[0]);
        }
    }

    void aFileThatIsTooLargeIsAnError() {
        const auto path = file("server.port = 1\n");
        std::filesystem::resize_file(path, 1u << 30);
        CPPUNIT_ASSERT(holds(readSettings(path), "it is larger than 1 MB"));
        // One that does not say its size is read up to the limit.
        CPPUNIT_ASSERT(holds(readSettings("/proc/self/status"), "/proc/self/status, line 1: unknown property \"Name\""));
    }

    void mistakesHaveTheirLines() {
        const auto path = file("# a comment\n\n   ! another\nserver.address = 127.0.0.1, \\\n   ::1\r\n\tserver.prot = 1\nqueue.size = x");
        const auto result = readSettings(path);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, result.settings.addresses.size());
        CPPUNIT_ASSERT(holds(result, path + ", line 6: unknown property \"server.prot\""));
        CPPUNIT_ASSERT(holds(result, path + ", line 7: queue.size = \"x\""));
    }

    void aKeyThatStandsTwiceIsRefused() {
        const auto path = file("queue.size = 3\n\nqueue.size = 3\nexecutor.lua.path = /a\n executor.lua.path: /b\n");
        const auto result = readSettings(path);
        CPPUNIT_ASSERT_EQUAL(size_t{2}, result.errors.size());
        CPPUNIT_ASSERT_EQUAL(path + ", line 3: \"queue.size\" stands in line 1 already", result.errors[0]);
        CPPUNIT_ASSERT_EQUAL(path + ", line 5: \"executor.lua.path\" stands in line 4 already", result.errors[1]);
        set("CLOUDFUNCTION_QUEUE_SIZE", "7");
        CPPUNIT_ASSERT(readSettings(file("queue.size = 3\n")).errors.empty());
    }

    void aFolderOfExecutorsMustBeThere() {
        const auto path = file("executors.dir = /nonexistent\n");
        CPPUNIT_ASSERT(holds(readSettings(path), path + ", line 1: executors.dir = \"/nonexistent\" is not accepted; there is no such folder"));
        CPPUNIT_ASSERT(holds(readSettings(file("executors.dir = " + path + "\n")), "there is no such folder"));
        std::filesystem::create_symlink("loop", folder_ / "loop");
        CPPUNIT_ASSERT(holds(readSettings(file("executors.dir = " + (folder_ / "loop").string() + "\n")), "it cannot be looked at: Too many levels of symbolic links"));
        CPPUNIT_ASSERT(readSettings(file("executors.dir = " + folder_.string() + "\n")).errors.empty());
        CPPUNIT_ASSERT(readSettings(file("executors.dir =\n")).errors.empty());
    }

    void aDataDirectoryHasOnePlatform() {
        const auto first = DataDirectory::open(folder_ / "data");
        CPPUNIT_ASSERT(static_cast<bool>(first));
        const auto second = DataDirectory::open(folder_ / "data");
        CPPUNIT_ASSERT(!second);
        CPPUNIT_ASSERT(second.failure().detail.find("is in use by another platform (process " + std::to_string(::getpid()) + ")") != std::string::npos);
        CPPUNIT_ASSERT(static_cast<bool>(DataDirectory::open(folder_ / "other")));
    }

    // It may be opened by root and have been a taken-over kernel process's.
    void aDataDirectoryThatWasGivenAwayIsSoThroughout() {
        if (::geteuid() != 0) return;
        const std::string data = folder_ / "given";
        std::filesystem::create_directories(data);
        CPPUNIT_ASSERT_EQUAL(0, ::chown(data.c_str(), 65534, 65534));
        CPPUNIT_ASSERT(static_cast<bool>(DataDirectory::open(data)));
        for (const std::string& path : {data + "/.cloudfunction", data + "/.cloudfunction/lock"}) {
            struct stat status {};
            CPPUNIT_ASSERT_EQUAL(0, ::stat(path.c_str(), &status));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, uid_t{65534}, status.st_uid);
        }
    }

    void nothingInADataDirectoryLeadsOutOfIt() {
        namespace fs = std::filesystem;
        const fs::path data = folder_ / "data", own = data / ".cloudfunction", victim = folder_ / "victim";
        fs::create_directories(own);
        fs::create_directories(victim);
        fs::permissions(victim, fs::perms(0755));
        std::ofstream(victim / "file") << "precious";
        const auto isRefused = [&] {
            const auto opened = DataDirectory::open(data);
            return !opened && opened.failure().detail.find(".cloudfunction") != std::string::npos;
        };
        fs::create_symlink(victim / "file", own / "lock");
        CPPUNIT_ASSERT(isRefused());
        fs::remove(own / "lock");
        fs::create_hard_link(victim / "file", own / "lock");
        CPPUNIT_ASSERT(isRefused());
        fs::remove(own / "lock");
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo((own / "lock").c_str(), 0600));
        CPPUNIT_ASSERT(isRefused());
        fs::remove_all(own);
        fs::create_directory_symlink(victim, own);
        CPPUNIT_ASSERT(isRefused());
        CPPUNIT_ASSERT_EQUAL(uintmax_t{8}, fs::file_size(victim / "file"));
        CPPUNIT_ASSERT(fs::perms(0755) == fs::status(victim).permissions());
        CPPUNIT_ASSERT(!fs::exists(victim / "lock"));
        // The way there is the operator's, who may have put it elsewhere.
        fs::remove(own);
        fs::create_directory_symlink(data, folder_ / "way");
        CPPUNIT_ASSERT(static_cast<bool>(DataDirectory::open(folder_ / "way")));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(SettingsTest);

}  // namespace cf::app::test
