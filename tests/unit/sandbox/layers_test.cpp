// Layers: dependencies that several versions share appear read-only at /layers/<name>.
#include <cppunit/extensions/HelperMacros.h>
#include <unistd.h>

#include <fstream>

#include "platform.hpp"
#include "sandbox/files.hpp"
#include "sandbox/messages.hpp"

namespace cf::sandbox::test {

class LayersTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LayersTest);
    CPPUNIT_TEST(testNames);
    CPPUNIT_TEST(testAppearReadOnly);
    CPPUNIT_TEST(testPlaceIsNotWritable);
    CPPUNIT_TEST(testRefusesWhatIsNoFolder);
    CPPUNIT_TEST(testMessageKeepsThem);
    CPPUNIT_TEST_SUITE_END();

    static void say(Run& run, const char* line) {
        CPPUNIT_ASSERT(
            ::write(run.worker.socket.get(), line, std::char_traits<char>::length(line)) > 0);
    }

    void testNames() {
        CPPUNIT_ASSERT_EQUAL(std::string("abc"), layerName("/data/layers/abc"));
        for (const char* path : {"/data/layers/", "/data/.", "/data/..", "layers/a", "", "/proc/a"})
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, std::string(), layerName(path));
        CPPUNIT_ASSERT_EQUAL(std::string(), layerName("/data/" + std::string(256, 'a')));
    }

    void testAppearReadOnly() {
        TemporaryFolder artifact, layers;
        for (const char* name : {"one", "two"}) {
            std::filesystem::create_directory(layers.path / name);
            std::ofstream(layers.path / name / "file") << name << "\n";
            std::filesystem::permissions(layers.path / name, std::filesystem::perms(0777));
        }
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        auto run = platform.startWorker(
            shellWorker("read line <&3; cat /layers/*/file; ls /layers | wc -l; "
                        "for path in /layers/new /layers/one/new /layers/one/file; do "
                        "(echo x >$path) 2>/dev/null || echo read-only; done; "
                        "grep /layers/one /proc/self/mounts | cut -d' ' -f4 | cut -d, -f1-3"));
        platform.waitStarted(*run);
        CPPUNIT_ASSERT_EQUAL(
            std::string(),
            platform.attach(run->task, {.artifactDir = artifact.path.string(),
                                        .layers = {(layers.path / "one").string(),
                                                   (layers.path / "two").string()}}));
        say(*run, "go\n");
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(
            std::string("one\ntwo\n2\nread-only\nread-only\nread-only\nro,nosuid,nodev\n"),
            run->output);
        CPPUNIT_ASSERT_EQUAL(std::string("one\n"),
                             readFile((layers.path / "one" / "file").string()));
    }

    // Also without any layer, and whoever the worker is.
    void testPlaceIsNotWritable() {
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        auto run = platform.runScript(
            "mkdir /layers/x 2>/dev/null || echo no; touch /layers/y 2>/dev/null || echo no; "
            "ls -A /layers | wc -l");
        CPPUNIT_ASSERT_EQUAL(std::string("no\nno\n0\n"), run->output);
    }

    void testRefusesWhatIsNoFolder() {
        TemporaryFolder artifact, layers;
        std::ofstream(layers.path / "file") << "x";
        std::filesystem::create_directory_symlink("/root", layers.path / "link");
        std::filesystem::create_directory(layers.path / "fine");
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        const std::string top = layers.path.string();
        const std::vector<std::vector<std::string>> refused = {
            {top + "/file"}, {top + "/link"},     {top + "/none"},
            {"/proc/1"},     {"relative"},        {top + "/fine/.."},
            {top + "/fine/"}, {top + "/fine", "/usr/../" + top + "/fine"}, {top + "/fine", "/x/fine"},
            std::vector<std::string>(65, top + "/fine")};
        for (const auto& list : refused) {
            auto run = platform.startWorker(shellWorker("read line <&3; ls -A /function | wc -l"));
            platform.waitStarted(*run);
            const std::string answer = platform.attach(
                run->task, {.artifactDir = artifact.path.string(), .layers = list});
            CPPUNIT_ASSERT_MESSAGE(list[0], !answer.empty());
            platform.kill(*run);
            platform.waitEnded(*run);
        }
    }

    void testMessageKeepsThem() {
        Packet packet;
        packet.kind = MessageKind::attach;
        packet.task = 7;
        const Attachment attachment{
            .artifactDir = "/a",
            .layers = {"/l/one", "/l/two"},
            .network = {Network::outbound, {"example.com:443", "198.51.100.0/24"}}};
        packet.items = encodeAttach(7, 9, attachment).substr(16);
        std::string why;
        const auto back = decodeAttach(packet, why);
        CPPUNIT_ASSERT_MESSAGE(why, back.has_value());
        CPPUNIT_ASSERT(back->layers == attachment.layers);
        CPPUNIT_ASSERT(back->network == attachment.network);
        CPPUNIT_ASSERT_EQUAL(uint64_t(9), back->request);
        Attachment wrong = attachment;
        wrong.network.allow.assign(1, std::string(256, 'a'));
        packet.items = encodeAttach(7, 9, wrong).substr(16);
        CPPUNIT_ASSERT(!decodeAttach(packet, why));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(LayersTest);

}  // namespace cf::sandbox::test
