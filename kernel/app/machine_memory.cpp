#include "app/machine_memory.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace cf::app {

namespace {

uint64_t numberIn(const std::string& file) {
    std::string text;
    std::ifstream(file) >> text;
    uint64_t value = 0;  // "max" stays 0: no limit
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

uint64_t machineMemory(const std::string& root) {
    std::ifstream file(root + "/proc/meminfo");
    for (std::string word; file >> word;)
        if (uint64_t kilobytes = 0; word == "MemTotal:" && file >> kilobytes)
            return kilobytes * 1024;
    return 0;
}

// Where the groups of this process and of all above it hold their limits.
std::vector<std::string> limitFiles(const std::string& root) {
    std::vector<std::string> files;
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        // "4:memory:/a/b" (v1) or "0::/a/b" (v2), cgroups(7). A container sees its own group as the
        // top of the tree, whatever path stands here: the top is looked at in any case.
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const bool v2 = controllers == ",,";
        if (!v2 && controllers.find(",memory,") == std::string::npos) continue;
        const std::string top = root + "/sys/fs/cgroup" + (v2 ? "" : "/memory");
        std::string path = line.substr(second + 1);
        for (;;) {
            const std::string folder = top + (path == "/" ? "" : path);
            files.push_back(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes"));
            if (path.empty() || path == "/") break;
            path.erase(path.rfind('/'));
        }
    }
    return files;
}

}  // namespace

uint64_t usableMemory(const std::string& root) {
    uint64_t least = machineMemory(root);
    for (const auto& file : limitFiles(root))
        if (const uint64_t limit = numberIn(file); limit != 0 && (least == 0 || limit < least))
            least = limit;
    return least;
}

}  // namespace cf::app
