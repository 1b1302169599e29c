// Control messages: what is encoded comes back, and what breaks a rule is refused, by the decoder
// and by a launcher.
#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <chrono>
#include <cstring>
#include <random>

#include "platform.hpp"
#include "sandbox/control_socket.hpp"
#include "sandbox/firewall.hpp"
#include "sandbox/messages.hpp"
#include "sandbox/netlink.hpp"
#include "sandbox/process_tree.hpp"
#include "sandbox/syscalls.hpp"
#include "sandbox/uid_slots.hpp"

namespace cf::sandbox::test {

class ControlTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ControlTest);
    CPPUNIT_TEST(testStartComesBack);
    CPPUNIT_TEST(testBadStartsAreRefused);
    CPPUNIT_TEST(testPaths);
    CPPUNIT_TEST(testInstanceNames);
    CPPUNIT_TEST(testUidSlots);
    CPPUNIT_TEST(testUidsOfOthersAreNoticed);
    CPPUNIT_TEST(testLauncherOutlivesGarbage);
    CPPUNIT_TEST(testKillReachesOnlyItsOwn);
    CPPUNIT_TEST(testAdoptionsThatNeedNothingAreMalformed);
    CPPUNIT_TEST(testAdoptionGivesNothingAway);
    CPPUNIT_TEST(testAdoptionLeavesTheMachinesNetworkAlone);
    CPPUNIT_TEST(testAWorkerThatThereAreNoDescriptorsFor);
    CPPUNIT_TEST_SUITE_END();

    static Packet packetOf(const std::string& bytes) {
        Packet packet;
        uint16_t kind;
        std::memcpy(&kind, bytes.data(), sizeof kind);
        packet.kind = static_cast<MessageKind>(kind);
        std::memcpy(&packet.task, bytes.data() + 8, sizeof packet.task);
        packet.items = bytes.substr(16);
        return packet;
    }

    static StartRequest good() {
        StartRequest request;
        request.kind = TaskKind::tool;
        request.task = 7;
        request.argv = {"/bin/true", "", "two words"};
        request.environment = {"A=b", "EMPTY="};
        request.mounts = {{"/data/x", "/build", MountKind::writable, true}};
        request.directory = "/build";
        request.limits.cpus = 1.5;
        request.limits.processes = 99;
        request.network.mode = Network::host;
        return request;
    }

    static std::string refusal(const StartRequest& request) {
        std::string why;
        return decodeStart(packetOf(encode(request)), why) ? std::string() : why;
    }

    void testStartComesBack() {
        std::string why;
        const auto back = decodeStart(packetOf(encode(good())), why);
        CPPUNIT_ASSERT_EQUAL(std::string(), why);
        CPPUNIT_ASSERT(back && back->kind == TaskKind::tool && back->task == 7 &&
                       back->argv == good().argv);
        CPPUNIT_ASSERT(back->environment == good().environment && back->directory == "/build");
        CPPUNIT_ASSERT(back->limits.cpus == 1.5 && back->limits.processes == 99 &&
                       back->network.mode == Network::host);
        CPPUNIT_ASSERT(back->mounts.size() == 1 && back->mounts[0].source == "/data/x" &&
                       back->mounts[0].target == "/build" &&
                       back->mounts[0].kind == MountKind::writable && back->mounts[0].optional);
    }

    void testBadStartsAreRefused() {
        const auto refused = [](auto change) {
            StartRequest request = good();
            change(request);
            return !refusal(request).empty();
        };
        CPPUNIT_ASSERT(!refused([](StartRequest&) {}));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.task = 0; }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.kind = static_cast<TaskKind>(9); }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.kind = TaskKind::worker; }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.argv.clear(); }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.argv[0] = "true"; }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.argv[1] = std::string("a\0b", 3); }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.argv.resize(2000); }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.environment[0] = "novalue"; }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.environment[0] = "=x"; }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.mounts[0].source = "relative"; }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.mounts[0].source = "/data/../etc"; }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.mounts[0].target = "/"; }));
        CPPUNIT_ASSERT(
            refused([](StartRequest& r) { r.mounts[0].kind = static_cast<MountKind>(3); }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.mounts.resize(200, r.mounts[0]); }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.directory = "build"; }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.network.mode = static_cast<Network>(3); }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.limits.memoryBytes = 0; }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.limits.memoryBytes = UINT64_MAX; }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.limits.processes = 0; }));
        CPPUNIT_ASSERT(refused([](StartRequest& r) { r.limits.openFiles = 1; }));
        std::string why;
        Packet cut = packetOf(encode(good()));
        cut.items.resize(cut.items.size() - 3);
        CPPUNIT_ASSERT(!decodeStart(cut, why));
    }

    void testPaths() {
        for (const char* path : {"/", "/a", "/a/b/", "/a/..b", "/a/b..", "/a/./b", "/processes"})
            CPPUNIT_ASSERT_MESSAGE(path, mountablePath(path));
        for (const char* path :
             {"", "a", "//a", "/..", "/a/..", "/a/../b", "/proc", "/proc/1", "/sys/fs", "/proc/"})
            CPPUNIT_ASSERT_MESSAGE(path, !mountablePath(path));
        CPPUNIT_ASSERT(!mountablePath(std::string("/a\0b", 4)));
        CPPUNIT_ASSERT(!mountablePath("/" + std::string(5000, 'a')));
    }

    void testInstanceNames() {
        for (const auto& [name, fine] : {std::pair{"abc123", true},
                                         {"", false},
                                         {"../x", false},
                                         {"A", false},
                                         {"a/b", false}}) {
            LauncherOptions options;
            options.instance = name;
            CPPUNIT_ASSERT_EQUAL(fine, decodeOptions(packetOf(encode(options))).has_value());
        }
    }

    void testUidSlots() {
        UidSlots slots(1000, 3);
        CPPUNIT_ASSERT_EQUAL(1000u, slots.take().value());
        CPPUNIT_ASSERT_EQUAL(1001u, slots.take().value());
        slots.giveBack(1000);
        CPPUNIT_ASSERT_EQUAL(1002u, slots.take().value());
        CPPUNIT_ASSERT_EQUAL(1000u, slots.take().value());
        CPPUNIT_ASSERT(!slots.take());
        slots.giveBack(999);
        slots.giveBack(1003);
        CPPUNIT_ASSERT(!slots.take());
        slots.giveBack(1001);
        CPPUNIT_ASSERT(!slots.takeThis(1000) && !slots.takeThis(1003) && slots.takeThis(1001));
        CPPUNIT_ASSERT(!UidSlots(0, 0).take());
    }

    void testUidsOfOthersAreNoticed() {
        const std::string passwd =
            "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n";
        const std::string subuid = "ann:100000:65536\n";
        CPPUNIT_ASSERT_EQUAL(std::string(), uidOwner(700000, 4096, passwd, subuid));
        CPPUNIT_ASSERT_EQUAL(std::string("the user ann of /etc/passwd"),
                             uidOwner(990, 20, passwd, subuid));
        CPPUNIT_ASSERT_EQUAL(std::string(), uidOwner(1001, 20, passwd, subuid));
        CPPUNIT_ASSERT_EQUAL(std::string("the range of ann in /etc/subuid"),
                             uidOwner(165535, 1, passwd, subuid));
        CPPUNIT_ASSERT_EQUAL(std::string(), uidOwner(165536, 1, passwd, subuid));
        CPPUNIT_ASSERT_EQUAL(std::string("the range of ann in /etc/subuid"),
                             uidOwner(99999, 2, passwd, subuid));
    }

    void testLauncherOutlivesGarbage() {
        const LauncherOptions options = Platform::defaults();
        auto process = spawnLauncher(options);
        CPPUNIT_ASSERT(process);
        const int fd = process->control.get();
        std::mt19937 random(4711);
        const std::string valid = encode(good());
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        for (int i = 0; i < 2000; ++i) {
            std::string bytes;
            if (i % 2 == 0) {
                bytes.resize(1 + random() % 300);
                for (char& c : bytes) c = static_cast<char>(random());
            } else {
                // Valid but for a few bytes: kinds, tags, sizes.
                bytes = valid;
                for (int flips = 0; flips < 3; ++flips)
                    bytes[random() % bytes.size()] = static_cast<char>(random());
            }
            // Descriptors that nobody asked for must not pile up in the launcher.
            alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
            iovec vector{bytes.data(), bytes.size()};
            msghdr message{};
            message.msg_iov = &vector;
            message.msg_iovlen = 1;
            message.msg_control = control;
            message.msg_controllen = sizeof control;
            cmsghdr* header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof(int));
            std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
            while (::sendmsg(fd, &message, MSG_NOSIGNAL) < 0 && errno == EAGAIN) {
                CPPUNIT_ASSERT_MESSAGE("the launcher reads no more",
                                       std::chrono::steady_clock::now() < deadline);
                char answer[4096];
                while (::recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0) {
                }
                ::usleep(1000);
            }
        }
        ControlSocket socket(std::move(process->control));
        StartRequest request;
        request.task = 0xabcdef;
        request.argv = {"/bin/true"};
        socket.send(encode(request));
        Packet packet;
        bool started = false;
        bool ended = false;
        CPPUNIT_ASSERT(waitFor([&] {
            while (socket.receive(packet) == ControlSocket::Received::packet) {
                started =
                    started || (packet.kind == MessageKind::started && packet.task == request.task);
                ended = ended || (packet.kind == MessageKind::ended && packet.task == request.task);
            }
            if (socket.hasQueued()) socket.flush();
            return ended;
        }));
        CPPUNIT_ASSERT(started);
        socket.close();
        ::waitpid(process->pid, nullptr, 0);
    }

    void testKillReachesOnlyItsOwn() {
        auto process = spawnLauncher(Platform::defaults());
        CPPUNIT_ASSERT(process);
        const pid_t bystander = ::fork();
        if (bystander == 0) {
            ::pause();
            ::_exit(0);
        }
        ControlSocket socket(std::move(process->control));
        const int pidfd = static_cast<int>(::syscall(434, bystander, 0));
        CPPUNIT_ASSERT(pidfd >= 0);
        std::vector<base::UniqueFd> fds;
        fds.emplace_back(pidfd);
        socket.send(encodeBare(MessageKind::kill, 4711), std::move(fds));
        // The answer to a later request says that the kill has been dealt with.
        socket.send(encodeAttach(1, 1, {.artifactDir = "/usr"}));
        Packet packet;
        CPPUNIT_ASSERT(
            waitFor([&] { return socket.receive(packet) == ControlSocket::Received::packet; }));
        CPPUNIT_ASSERT(packet.kind == MessageKind::attached);
        CPPUNIT_ASSERT_EQUAL(0, ::waitpid(bystander, nullptr, WNOHANG));
        ::kill(bystander, SIGKILL);
        ::waitpid(bystander, nullptr, 0);
        socket.close();
        ::waitpid(process->pid, nullptr, 0);
    }

    static AdoptRequest adoption(TaskKind kind) {
        AdoptRequest request;
        request.kind = kind;
        request.task = 77;
        request.pid = 12345;
        return request;
    }

    void testAdoptionsThatNeedNothingAreMalformed() {
        const auto refused = [](TaskKind kind, auto change) {
            AdoptRequest request = adoption(kind);
            change(request);
            std::string why;
            return !decodeAdopt(packetOf(encode(request)), why);
        };
        const Mount folder{"/data/x", "/build", MountKind::writable, false};
        CPPUNIT_ASSERT(!refused(TaskKind::probe, [](AdoptRequest&) {}));
        CPPUNIT_ASSERT(!refused(TaskKind::worker, [](AdoptRequest& r) { r.link = 5; }));
        CPPUNIT_ASSERT(!refused(TaskKind::tool, [&](AdoptRequest& r) { r.mounts = {folder}; }));
        // It runs in the machine's network and owns nothing.
        CPPUNIT_ASSERT(refused(TaskKind::probe, [](AdoptRequest& r) { r.link = 5; }));
        CPPUNIT_ASSERT(refused(TaskKind::probe, [&](AdoptRequest& r) { r.mounts = {folder}; }));
        CPPUNIT_ASSERT(refused(TaskKind::tool, [](AdoptRequest& r) { r.limits.memoryBytes = 0; }));
    }

    // A kernel process that was taken over speaks of a process that is gone, a user of its choice
    // and a folder of root's: at any time, and when a launcher follows a dead one.
    void testAdoptionGivesNothingAway() {
        if (Platform().lacks("own_user")) return;
        TemporaryFolder folder;
        const std::string file = (folder.path / "file").string();
        CPPUNIT_ASSERT_EQUAL(0, ::close(::open(file.c_str(), O_WRONLY | O_CREAT, 0600)));
        LauncherOptions options = Platform::defaults();
        options.kernelUid = options.kernelGid = 65534;
        auto process = spawnLauncher(options);
        CPPUNIT_ASSERT(process);
        ControlSocket socket(std::move(process->control));
        const auto await = [&](MessageKind kind) {
            Packet packet;
            CPPUNIT_ASSERT(waitFor([&] {
                return socket.receive(packet) == ControlSocket::Received::packet &&
                       packet.kind == kind;
            }));
        };
        const auto adopt = [&](uid_t uid) {
            const pid_t gone = ::fork();
            if (gone == 0) ::_exit(0);
            std::vector<base::UniqueFd> fds;
            fds.emplace_back(sys::pidfdOpen(gone));
            CPPUNIT_ASSERT_EQUAL(gone, ::waitpid(gone, nullptr, 0));
            AdoptRequest request = adoption(TaskKind::tool);
            request.task = 77 + uid;
            request.uid = uid;
            request.mounts = {{folder.path.string(), "/build", MountKind::writable, false}};
            socket.send(encode(request), std::move(fds));
        };
        adopt(0);
        // Of a task that may be, had the launcher died.
        adopt(options.uidBase);
        socket.send(encodeAttach(1, 1, {.artifactDir = "/usr"}));
        await(MessageKind::attached);
        CPPUNIT_ASSERT(waitFor([&] { return childrenOf(process->pid).size() == 1; }));
        CPPUNIT_ASSERT_EQUAL(0, ::kill(childrenOf(process->pid)[0], SIGKILL));
        await(MessageKind::restarted);
        adopt(0);
        // Only now is this one heard of, and it owes nothing: the folder is no tool's.
        adopt(options.uidBase);
        socket.send(encodeBare(MessageKind::resume, 0));
        await(MessageKind::ended);
        socket.close();
        ::waitpid(process->pid, nullptr, 0);
        for (const std::string& path : {folder.path.string(), file}) {
            struct stat status {};
            CPPUNIT_ASSERT_EQUAL(0, ::lstat(path.c_str(), &status));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, uid_t{0}, status.st_uid);
        }
    }

    // A network that stands for the machine's, for as long as it lives.
    class OtherMachine {
    public:
        OtherMachine() : home_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
            CPPUNIT_ASSERT(home_ && ::unshare(CLONE_NEWNET) == 0);
        }
        ~OtherMachine() { ::setns(home_.get(), CLONE_NEWNET); }

    private:
        base::UniqueFd home_;
    };

    // A worker in the machine's own network has no link to the router; were it said to have one,
    // its policy would be applied to the machine.
    void testAdoptionLeavesTheMachinesNetworkAlone() {
        LauncherOptions options = Platform::defaults();
        options.network.range = "10.203.16.0/20";
        if (Platform(options).lacks("outbound_network")) return;
        const OtherMachine machine;
        auto process = spawnLauncher(options);
        CPPUNIT_ASSERT(process);
        const AddressRange range{*base::parseAddress("10.203.16.0"), 20};
        Netlink links;
        const base::UniqueFd here(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
        CPPUNIT_ASSERT_EQUAL(0, links.addPair({"eth0", {2, 0, 0, 0, 0, 1}},
                                              {"peer0", {2, 0, 0, 0, 0, 2}}, here.get(), 1500));
        CPPUNIT_ASSERT_EQUAL(0, links.addAddress(links.indexOf("eth0"), range.sandbox(3), 32));

        ControlSocket socket(std::move(process->control));
        Packet packet;
        const auto await = [&](MessageKind kind) {
            CPPUNIT_ASSERT(waitFor([&] {
                return socket.receive(packet) == ControlSocket::Received::packet &&
                       packet.kind == kind;
            }));
        };
        StartRequest start;
        start.task = 5;
        start.argv = {"/bin/sleep", "1000"};
        start.network.mode = Network::host;
        socket.send(encode(start));
        await(MessageKind::started);
        AdoptRequest request = adoption(TaskKind::worker);
        request.task = start.task;
        request.pid = decodeStarted(packet).pid;
        request.uid = decodeStarted(packet).uid;
        std::vector<base::UniqueFd> fds;
        fds.push_back(std::move(packet.fds.at(3)));
        for (const pid_t child : childrenOf(process->pid))
            if (child != request.pid) CPPUNIT_ASSERT_EQUAL(0, ::kill(child, SIGKILL));
        await(MessageKind::restarted);
        request.link = 4;
        socket.send(encode(request), std::move(fds));
        socket.send(encodeBare(MessageKind::resume, 0));
        socket.send(encodeAttach(1, 1, {.artifactDir = "/usr"}));
        await(MessageKind::attached);
        CPPUNIT_ASSERT_EQUAL(EEXIST, links.addAddress(links.indexOf("eth0"), range.sandbox(3), 32));
        // It was adopted all the same.
        socket.send(encodeBare(MessageKind::kill, start.task));
        await(MessageKind::ended);
        CPPUNIT_ASSERT_EQUAL(start.task, packet.task);
        socket.close();
        ::waitpid(process->pid, nullptr, 0);
    }

    // Linux brings the launcher's answer without them. Who waits is told at once, and the worker,
    // which is there already, ends: otherwise its place would be taken until the platform ends,
    // by nobody's worker.
    void testAWorkerThatThereAreNoDescriptorsFor() {
        int pair[2];
        CPPUNIT_ASSERT_EQUAL(0, ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                             0, pair));
        ControlSocket launcher{base::UniqueFd(pair[0])};
        base::EventLoop loop;
        LauncherProcess process;
        process.control.reset(pair[1]);
        LauncherClient client(loop, std::move(process));
        std::string detail;
        client.startWorker(
            {.argv = {"/bin/true"}},
            [&](base::Result<LauncherClient::Worker> worker) {
                CPPUNIT_ASSERT(!worker);
                detail = worker.failure().detail;
                loop.stop();
            },
            [](const Ended&) {});
        Packet packet;
        CPPUNIT_ASSERT(launcher.receive(packet) == ControlSocket::Received::packet);
        const TaskId task = packet.task;
        std::vector<base::UniqueFd> fds;
        for (int i = 0; i < 4; ++i) fds.emplace_back(::dup(STDERR_FILENO));
        launcher.send(encode(task, StartedReply{1, 1, 0, false}), std::move(fds));
        const base::UniqueFd next(::dup(STDERR_FILENO));
        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        const rlimit few{static_cast<rlim_t>(next.get()) + 2, before.rlim_max};
        CPPUNIT_ASSERT_EQUAL(0, ::setrlimit(RLIMIT_NOFILE, &few));
        loop.after(std::chrono::seconds(10), [&] { loop.stop(); });
        loop.run();
        CPPUNIT_ASSERT_EQUAL(0, ::setrlimit(RLIMIT_NOFILE, &before));
        CPPUNIT_ASSERT_MESSAGE(detail, detail.find("RLIMIT_NOFILE") != std::string::npos);
        CPPUNIT_ASSERT(launcher.receive(packet) == ControlSocket::Received::packet);
        CPPUNIT_ASSERT(packet.kind == MessageKind::kill && packet.task == task);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ControlTest);

}  // namespace cf::sandbox::test
