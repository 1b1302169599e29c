// Which control groups are used where: real ones are the other tests' business; here a folder plays
// a machine that has cgroup v2 alone.
#include "sandbox/cgroup.hpp"

#include <cppunit/extensions/HelperMacros.h>
#include <unistd.h>

#include <fstream>
#include <memory>

#include "platform.hpp"
#include "sandbox/files.hpp"

namespace cf::sandbox::test {

class CgroupTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CgroupTest);
    CPPUNIT_TEST(testPureV2LimitsByItsFiles);
    CPPUNIT_TEST(testPureV2GoesUpWhenOthersAreInside);
    CPPUNIT_TEST(testNothingMounted);
    CPPUNIT_TEST(testSuccessorWaitsForItsPredecessor);
    CPPUNIT_TEST_SUITE_END();

    // A folder with the files that Linux would put there.
    static void makeGroup(const std::filesystem::path& path, const char* enabled,
                          const char* processes) {
        std::filesystem::create_directories(path);
        std::ofstream(path / "cgroup.subtree_control") << enabled;
        std::ofstream(path / "cgroup.procs") << processes;
        for (const char* name : {"cgroup.kill", "memory.max", "memory.swap.max", "memory.oom.group",
                                 "pids.max", "cpu.max", "cpu.weight"})
            std::ofstream(path / name) << "";
        std::ofstream(path / "memory.events") << "low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\n";
        std::ofstream(path / "memory.peak") << "4096\n";
    }
    static std::string mountinfo(const TemporaryFolder& machine) {
        return "30 23 0:26 / " + machine.path.string() +
               " rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
               "31 23 0:27 / /sys/fs/pstore rw - pstore pstore rw\n";
    }

    void testPureV2LimitsByItsFiles() {
        TemporaryFolder machine;
        const auto own = machine.path / "system.slice" / "cloudfunction.service";
        makeGroup(own, "memory pids cpu\n", "4711\n");
        makeGroup(own / "cloudfunction-abc", "memory pids cpu\n", "");
        makeGroup(own / "cloudfunction-abc" / "1f", "", "");
        const auto tree = CgroupTree::find("abc", {4711}, mountinfo(machine),
                                           "0::/system.slice/cloudfunction.service\n");
        CPPUNIT_ASSERT_EQUAL(std::string("cgroup v2"), tree.description());
        CPPUNIT_ASSERT(tree.memory() && tree.processes() && tree.cpu() && tree.treeKill() &&
                       tree.swap());
        Limits limits;
        limits.memoryBytes = 1 << 26;
        limits.processes = 20;
        limits.cpus = 1.5;
        const auto group = tree.create(0x1f, limits);
        CPPUNIT_ASSERT(group);
        const std::string folder = (own / "cloudfunction-abc" / "1f").string();
        CPPUNIT_ASSERT_EQUAL(std::string("67108864"), readFile(folder + "/memory.max"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), readFile(folder + "/memory.swap.max"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), readFile(folder + "/memory.oom.group"));
        CPPUNIT_ASSERT_EQUAL(std::string("21"), readFile(folder + "/pids.max"));
        CPPUNIT_ASSERT_EQUAL(std::string("150000 100000"), readFile(folder + "/cpu.max"));
        const auto weight = [&](uint32_t parts) {
            tree.share(0x1f, parts);
            return readFile(folder + "/cpu.weight");
        };
        CPPUNIT_ASSERT_EQUAL(std::string("8"), weight(12));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), weight(300));
        CPPUNIT_ASSERT_EQUAL(std::string("100"), weight(1));
        CPPUNIT_ASSERT(group->joinV1().empty() && group->birthplace() >= 0);
        CPPUNIT_ASSERT(!group->ranOutOfMemory());
        CPPUNIT_ASSERT_EQUAL(uint64_t{4096}, group->peak());
        std::ofstream(folder + "/memory.events") << "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n";
        CPPUNIT_ASSERT(group->ranOutOfMemory());
        std::ofstream(folder + "/cpu.stat") << "usage_usec 5\n";
        CPPUNIT_ASSERT(tree.processorTime() && group->openProcessorTime());
        CPPUNIT_ASSERT(group->kill());
        CPPUNIT_ASSERT_EQUAL(std::string("1"), readFile(folder + "/cgroup.kill"));
    }

    void testPureV2GoesUpWhenOthersAreInside() {
        TemporaryFolder machine;
        const auto slice = machine.path / "user.slice";
        makeGroup(slice, "memory pids cpu\n", "");
        // A terminal's scope: a shell is in it, too, so it can have no controllers for children.
        std::filesystem::create_directories(slice / "scope");
        std::ofstream(slice / "scope" / "cgroup.procs") << "4711\n5000\n";
        makeGroup(slice / "cloudfunction-abc", "memory pids cpu\n", "");
        const auto tree =
            CgroupTree::find("abc", {4711}, mountinfo(machine), "0::/user.slice/scope\n");
        CPPUNIT_ASSERT(tree.memory() && tree.processes() && tree.cpu());
        CPPUNIT_ASSERT(!exists((slice / "scope" / "cloudfunction-abc").string()));
        CPPUNIT_ASSERT(!exists((slice / "scope" / "cloudfunction-platform-abc").string()));
    }

    void testNothingMounted() {
        const auto tree =
            CgroupTree::find("abc", {}, "31 23 0:27 / /sys rw - sysfs sysfs rw\n", "0::/\n");
        CPPUNIT_ASSERT(!tree.any() && !tree.memory() && !tree.treeKill());
        CPPUNIT_ASSERT(tree.description().find("no cgroup file system") != std::string::npos);
        CPPUNIT_ASSERT(tree.create(1, {}));
    }

    void testSuccessorWaitsForItsPredecessor() {
        TemporaryFolder machine;
        const auto parent = machine.path / "cloudfunction-abc";
        makeGroup(machine.path, "memory pids cpu\n", "");
        makeGroup(parent, "memory pids cpu\n", "");
        const auto find = [&] {
            return CgroupTree::find("abc", {4711}, mountinfo(machine), "0::/\n");
        };
        auto predecessor = std::make_unique<CgroupTree>(find());
        CPPUNIT_ASSERT(predecessor->claim());
        auto successor = find();
        CPPUNIT_ASSERT_MESSAGE("while it clears up", !successor.claim());
        std::filesystem::rename(parent, machine.path / "removed");
        makeGroup(parent, "memory pids cpu\n", "");
        predecessor.reset();
        CPPUNIT_ASSERT(find().claim());
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(CgroupTest);

}  // namespace cf::sandbox::test
