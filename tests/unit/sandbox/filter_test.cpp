// The filter of system calls and the fence around files, tried from inside by a program of our own
// (probe_calls.cpp).
#include <cppunit/extensions/HelperMacros.h>
#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "platform.hpp"
#include "sandbox/files.hpp"
#include "sandbox/landlock.hpp"
#include "sandbox/seccomp.hpp"

namespace cf::sandbox::test {

namespace {

using Answers = std::map<std::string, int>;

Answers answersOf(const Run& run) {
    Answers answers;
    std::istringstream stream(run.output);
    std::string name;
    for (int error = 0; stream >> name >> error;) answers[name] = error;
    return answers;
}

}  // namespace

class FilterTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FilterTest);
    CPPUNIT_TEST(testRefusesCalls);
    CPPUNIT_TEST(testRefusesCallsOfTools);
    CPPUNIT_TEST(testRefusesSockets);
    CPPUNIT_TEST(testForeignNumbersEndTheProcess);
    CPPUNIT_TEST(testLetsOrdinaryCallsPass);
    CPPUNIT_TEST(testFilterIsSmall);
    CPPUNIT_TEST(testFenceAroundFiles);
    CPPUNIT_TEST(testToolWritesWhereItMay);
    CPPUNIT_TEST(testProcShowsNothingOfTheMachine);
    CPPUNIT_TEST(testConfigurationOfTheMachineIsCovered);
    CPPUNIT_TEST_SUITE_END();

    // Where workers have no file system of their own, a program may lie anywhere that all can read.
    static void addProbe(std::vector<Mount>& mounts, std::vector<std::string>& argv) {
        argv = {SANDBOX_PROBE};
        mounts = {{SANDBOX_PROBE, SANDBOX_PROBE}};
    }

    static Answers asWorker(Platform& platform, Network network = Network::none,
                            const std::vector<std::string>& arguments = {}) {
        WorkerSpec spec;
        addProbe(spec.mounts, spec.argv);
        spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
        spec.network.mode = network;
        auto run = platform.startWorker(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(std::string(), run->errors);
        CPPUNIT_ASSERT_EQUAL(0, run->ended.exitCode);
        return answersOf(*run);
    }

    static void expect(const Answers& answers, const char* name, int error) {
        const auto found = answers.find(name);
        CPPUNIT_ASSERT_MESSAGE(name, found != answers.end());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(name, error, found->second);
    }

    static void expectRefused(const Answers& answers) {
        for (const char* name : {"ptrace",
                                 "process_vm_readv",
                                 "process_vm_writev",
                                 "pidfd_getfd",
                                 "kcmp",
                                 "io_uring_setup",
                                 "io_uring_enter",
                                 "io_uring_register",
                                 "keyctl",
                                 "add_key",
                                 "request_key",
                                 "bpf",
                                 "userfaultfd",
                                 "perf_event_open",
                                 "unshare",
                                 "setns",
                                 "mount",
                                 "umount2",
                                 "open_tree",
                                 "fsopen",
                                 "move_mount",
                                 "pivot_root",
                                 "chroot",
                                 "open_by_handle_at",
                                 "name_to_handle_at",
                                 "init_module",
                                 "kexec_load",
                                 "reboot",
                                 "swapon",
                                 "settimeofday",
                                 "clock_settime",
                                 "adjtimex",
                                 "sethostname",
                                 "syslog",
                                 "quotactl",
                                 "acct",
                                 "seccomp",
                                 "fanotify_init",
                                 "memfd_secret",
                                 "shmget",
                                 "semget",
                                 "msgget",
                                 "mq_open",
                                 "personality",
                                 "vmsplice",
                                 "mbind",
                                 "move_pages",
                                 "clone_user",
                                 "clone_mount",
                                 "clone_net",
                                 "clone_pid",
                                 "clone_uts",
                                 "clone_ipc",
                                 "clone_cgroup"})
            expect(answers, name, EPERM);
        for (const char* name : {"fcntl_notify", "fcntl_notify_high", "core_set_and_get"})
            expect(answers, name, EPERM);
        // Answered, and not done.
        for (const char* name : {"core_set", "core_set_plain", "core_changed"})
            expect(answers, name, 0);
        // Programs have another way on this answer.
        for (const char* name : {"io_setup", "inotify_init1"}) expect(answers, name, ENOSYS);
        // libc takes an older call on this answer.
        expect(answers, "clone3", ENOSYS);
        expect(answers, "unknown", ENOSYS);
    }

    void testRefusesCalls() {
        Platform platform;
        CPPUNIT_ASSERT(platform.hasLayer("seccomp"));
        expectRefused(asWorker(platform));
    }

    void testRefusesCallsOfTools() {
        Platform platform;
        ToolSpec spec;
        addProbe(spec.mounts, spec.argv);
        auto run = platform.startTool(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        expectRefused(answersOf(*run));
    }

    void testRefusesSockets() {
        Platform platform;
        for (const Network network : {Network::none, Network::host}) {
            const Answers answers = asWorker(platform, network);
            for (const char* name : {"unix", "unix_datagram", "alg", "vsock", "packet",
                                     "packet_datagram", "raw", "raw6", "ping", "mptcp", "sctp",
                                     "bluetooth", "can", "netfilter", "audit", "pair_inet"})
                expect(answers, name, EPERM);
            expect(answers, "route", 0);
            expect(answers, "pair", 0);
            // Without a namespace of its own, a worker without network gets no socket for it.
            const bool kept = network == Network::host || platform.hasLayer("network_namespace");
            for (const char* name : {"tcp", "udp"}) expect(answers, name, kept ? 0 : EPERM);
            if (!kept) expect(answers, "tcp6", EPERM);
        }
    }

    void testForeignNumbersEndTheProcess() {
        Platform platform;
        const Answers answers = asWorker(platform);
        if (!answers.contains("x32")) return;  // another processor
        expect(answers, "x32", SIGSYS);
        // A Linux without 32-bit programs ends it, too, in its own way.
        CPPUNIT_ASSERT(answers.at("ia32") == SIGSYS || answers.at("ia32") == SIGSEGV);
    }

    void testLetsOrdinaryCallsPass() {
        Platform platform;
        const Answers answers = asWorker(platform);
        for (const char* name : {"clone", "personality_get", "getpid", "fcntl_get", "core_get",
                                 "files_get", "files_set", "sync", "syncfs"})
            expect(answers, name, 0);
        // Where only a watchdog looks at memory, there is none that belongs to no mapping.
        const bool isCounted = platform.hasLayer("memory_limit");
        for (const char* name : {"memfd_create", "larger_pipe"})
            expect(answers, name, isCounted ? 0 : EPERM);
        for (const char* name : {"send_buffer", "receive_buffer"}) expect(answers, name, isCounted);
        expect(answers, "socket_option", 0);
    }

    void testFilterIsSmall() {
        std::string why;
        const SyscallFilter filter = SyscallFilter::compile({}, why);
        CPPUNIT_ASSERT_EQUAL(std::string(), why);
        CPPUNIT_ASSERT(filter);
        // Installing takes time that grows with it, at every start.
        CPPUNIT_ASSERT(filter.size() < 1500);
        std::fprintf(stderr, "  %zu instructions\n", filter.size());
    }

    void testFenceAroundFiles() {
        Platform platform;
        if (landlockVersion() < firstUsefulLandlock) {
            std::fprintf(stderr, "  skipped: Linux has no Landlock here\n");
            return;
        }
        CPPUNIT_ASSERT(platform.hasLayer("landlock"));
        // Its own files in /proc: users and mounts alone would let it write them.
        const Answers answers =
            asWorker(platform, Network::none,
                     {"w:/proc/self/comm", "w:/proc/self/oom_score_adj", "r:/proc/self/comm",
                      "w:/dev/null", "r:/dev/urandom", "r:/usr/bin/env"});
        expect(answers, "/proc/self/oom_score_adj", EACCES);
        // The later answer for the same path is the one for reading.
        expect(answers, "/proc/self/comm", 0);
        expect(answers, "/dev/null", 0);
        expect(answers, "/dev/urandom", 0);
        expect(answers, "/usr/bin/env", 0);
    }

    void testProcShowsNothingOfTheMachine() {
        Platform platform;
        if (platform.lacks("mount_namespace")) return;
        auto run = platform.runScript(
            "for f in kcore keys key-users kmsg kallsyms modules sched_debug timer_list "
            "interrupts softirqs cmdline config.gz diskstats partitions locks; "
            "do [ -e /proc/$f ] && head -c 10 /proc/$f; done 2>/dev/null; ls /proc/acpi /proc/scsi "
            "2>/dev/null | grep -v :; echo end");
        CPPUNIT_ASSERT_EQUAL(std::string("end\n"),
                             run->output.substr(run->output.find_first_not_of('\n')));
        run = platform.runScript("cat /proc/sys/kernel/random/boot_id");
        CPPUNIT_ASSERT_EQUAL(size_t{37}, run->output.size());
        CPPUNIT_ASSERT(run->output != readFile("/proc/sys/kernel/random/boot_id"));
    }

    // Where registries' tokens and an installed platform's properties are.
    void testConfigurationOfTheMachineIsCovered() {
        if (!exists("/usr/local/etc")) return;
        Platform platform;
        const std::string list = "ls -A /usr/local/etc && echo listed; ls -d /usr/local/bin/.";
        if (platform.hasLayer("mount_namespace")) {
            const auto run =
                platform.runScript(list + "; grep -c ' /usr/local/etc ' /proc/self/mountinfo");
            CPPUNIT_ASSERT_EQUAL(std::string("listed\n/usr/local/bin/.\n1\n"), run->output);
        } else if (platform.hasLayer("landlock")) {
            const auto run = platform.runScript(list);
            CPPUNIT_ASSERT_EQUAL(std::string("/usr/local/bin/.\n"), run->output);
            CPPUNIT_ASSERT(run->errors.find("Permission denied") != std::string::npos);
        }
    }

    void testToolWritesWhereItMay() {
        TemporaryFolder folder;
        const std::string place = folder.path / "work";
        std::filesystem::create_directory(place);
        Platform platform;
        ToolSpec spec;
        spec.argv = {"/bin/sh", "-c",
                     "mkdir a b && echo x >a/one && mv a/one b/two && cat b/two && ln b/two three "
                     "&& : >>three && rm b/two && rmdir a"};
        spec.environment = {{"PATH", "/usr/bin:/bin"}};
        spec.mounts = {{place, place, MountKind::writable}};
        spec.directory = place;
        auto run = platform.startTool(spec);
        platform.waitStarted(*run);
        platform.waitEnded(*run);
        CPPUNIT_ASSERT_EQUAL(std::string(), run->errors);
        CPPUNIT_ASSERT_EQUAL(std::string("x\n"), run->output);
        CPPUNIT_ASSERT_EQUAL(0, run->ended.exitCode);
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(FilterTest);

}  // namespace cf::sandbox::test
