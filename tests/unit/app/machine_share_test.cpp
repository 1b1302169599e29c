// What control groups leave the platform of the machine, in trees of /proc and /sys as Linux shows
// them.
#include "app/machine_share.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace cf::app::test {

namespace {
constexpr uint64_t megabyte = 1 << 20;
}

class MachineShareTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(MachineShareTest);
    CPPUNIT_TEST(withoutGroupsItIsTheMachine);
    CPPUNIT_TEST(aServiceOfVersion2);
    CPPUNIT_TEST(aGroupAboveCounts);
    CPPUNIT_TEST(aContainerSeesItsGroupAtTheTop);
    CPPUNIT_TEST(groupsOfVersion1);
    CPPUNIT_TEST(thisMachineHasSome);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        char name[] = "/tmp/cloudfunction-unit-XXXXXX";
        root_ = ::mkdtemp(name);
        put("proc/meminfo", "MemTotal:       8388608 kB\nMemFree:        1 kB\n");
    }
    void tearDown() override { std::filesystem::remove_all(root_); }

    void withoutGroupsItIsTheMachine() { shares(8192, 16); }

    void aServiceOfVersion2() {
        put("proc/self/cgroup", "0::/system.slice/cloudfunction.service\n");
        const std::string group = "sys/fs/cgroup/system.slice/cloudfunction.service/";
        put(group + "memory.max", "max\n");
        put(group + "cpu.max", "max 100000\n");
        shares(8192, 16);
        put(group + "memory.max", "1073741824\n");
        put(group + "cpu.max", "250000 100000\n");
        shares(1024, 3);
        put(group + "cpu.max", "5000 100000\n");
        shares(1024, 1);
        put(group + "cpu.max", "9900000 100000\n");
        shares(1024, 16);
    }

    void aGroupAboveCounts() {
        put("proc/self/cgroup", "0::/tenants/one/platform\n");
        put("sys/fs/cgroup/tenants/one/platform/memory.max", "4294967296\n");
        put("sys/fs/cgroup/tenants/memory.max", "2147483648\n");
        put("sys/fs/cgroup/tenants/one/cpu.max", "200000 100000\n");
        shares(2048, 2);
    }

    void aContainerSeesItsGroupAtTheTop() {
        put("proc/self/cgroup", "0::/../outside\n");
        put("sys/fs/cgroup/memory.max", "536870912\n");
        put("sys/fs/cgroup/cpu.max", "150000 50000\n");
        shares(512, 3);
    }

    void groupsOfVersion1() {
        put("proc/self/cgroup", "5:cpuset:/\n4:memory:/a\n3:cpu,cpuacct:/b\n0::/\n");
        put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1073741824\n");
        put("sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "-1\n");
        put("sys/fs/cgroup/cpu/b/cpu.cfs_period_us", "100000\n");
        shares(1024, 16);
        put("sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "400000\n");
        shares(1024, 4);
    }

    void thisMachineHasSome() {
        CPPUNIT_ASSERT(allowedCores() >= 1);
        CPPUNIT_ASSERT(usableCores(allowedCores()) >= 1 &&
                       usableCores(allowedCores()) <= allowedCores());
        CPPUNIT_ASSERT(usableMemory() > megabyte);
    }

private:
    void put(const std::string& name, const std::string& text) {
        const auto file = std::filesystem::path(root_) / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file) << text;
    }
    // Of a machine of 8 GB and 16 cores.
    void shares(uint64_t megabytes, uint32_t cores) {
        CPPUNIT_ASSERT_EQUAL(megabytes * megabyte, usableMemory(root_));
        CPPUNIT_ASSERT_EQUAL(cores, usableCores(16, root_));
    }

    std::string root_;
};

CPPUNIT_TEST_SUITE_REGISTRATION(MachineShareTest);

}  // namespace cf::app::test
