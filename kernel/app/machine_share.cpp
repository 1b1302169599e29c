#include "app/machine_share.hpp"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <thread>
#include <vector>

namespace cf::app {

namespace {

uint64_t toNumber(const std::string& text) {
    uint64_t value = 0;  // "max" and -1 stay 0: no limit
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

uint64_t numberIn(const std::string& file) {
    std::string text;
    std::ifstream(file) >> text;
    return toNumber(text);
}

uint64_t machineMemory(const std::string& root) {
    std::ifstream file(root + "/proc/meminfo");
    for (std::string word; file >> word;)
        if (uint64_t kilobytes = 0; word == "MemTotal:" && file >> kilobytes)
            return kilobytes * 1024;
    return 0;
}

struct Group {
    std::string folder;
    bool v2;
};

// The groups that `controller` has for this process, and all above them.
std::vector<Group> groupsOf(const std::string& controller, const std::string& root) {
    std::vector<Group> found;
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        // "4:cpu,cpuacct:/a/b" (v1) or "0::/a/b" (v2), cgroups(7). A container sees its own group
        // as the top of the tree, whatever path stands here: the top is looked at in any case.
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const bool v2 = controllers == ",,";
        if (!v2 && controllers.find("," + controller + ",") == std::string::npos) continue;
        const std::string top = root + "/sys/fs/cgroup" + (v2 ? "" : "/" + controller);
        std::string path = line.substr(second + 1);
        for (;;) {
            found.push_back({top + (path == "/" ? "" : path), v2});
            if (path.empty() || path == "/") break;
            path.erase(path.rfind('/'));
        }
    }
    return found;
}

// Of processor time, in cores, rounded up; 0: none.
uint64_t quotaOf(const Group& group) {
    std::string quota, period;
    if (group.v2) {
        std::ifstream(group.folder + "/cpu.max") >> quota >> period;
    } else {
        std::ifstream(group.folder + "/cpu.cfs_quota_us") >> quota;
        std::ifstream(group.folder + "/cpu.cfs_period_us") >> period;
    }
    const uint64_t time = toNumber(quota), each = toNumber(period);
    return time == 0 || each == 0 ? 0 : (time + each - 1) / each;
}

}  // namespace

uint64_t usableMemory(const std::string& root) {
    uint64_t least = machineMemory(root);
    for (const auto& group : groupsOf("memory", root)) {
        const uint64_t limit =
            numberIn(group.folder + (group.v2 ? "/memory.max" : "/memory.limit_in_bytes"));
        if (limit != 0 && (least == 0 || limit < least)) least = limit;
    }
    return least;
}

uint32_t allowedCores() {
    cpu_set_t cores;  // of up to 1024; of a larger machine Linux tells none
    if (::sched_getaffinity(0, sizeof cores, &cores) == 0)
        return static_cast<uint32_t>(std::max(1, CPU_COUNT(&cores)));
    return std::max(1u, std::thread::hardware_concurrency());
}

uint32_t usableCores(uint32_t cores, const std::string& root) {
    uint64_t least = std::max(1u, cores);
    for (const auto& group : groupsOf("cpu", root))
        if (const uint64_t quota = quotaOf(group); quota != 0) least = std::min(least, quota);
    return static_cast<uint32_t>(least);
}

}  // namespace cf::app
