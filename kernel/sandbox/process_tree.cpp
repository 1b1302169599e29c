#include "sandbox/process_tree.hpp"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "sandbox/files.hpp"

namespace cf::sandbox {

namespace {

std::string procPath(pid_t pid, const char* file) {
    return "/proc/" + std::to_string(pid) + "/" + file;
}

// "Name:\t   123 kB" of a status-like file; -1 when the line is not there.
int64_t numberOf(const std::string& text, std::string_view name) {
    for (const std::string& line : lines(text))
        if (line.starts_with(name)) return std::strtoll(line.c_str() + name.size(), nullptr, 10);
    return -1;
}

// Fields 14 to 17 of /proc/<pid>/stat, its own and its ended children's (proc(5)); the name before
// them may have spaces and parentheses.
std::chrono::microseconds processorTimeOf(pid_t pid) {
    static const long ticks = ::sysconf(_SC_CLK_TCK);
    const std::string stat = readFile(procPath(pid, "stat"));
    const size_t name = stat.rfind(')');
    if (name == std::string::npos || ticks <= 0) return {};
    const auto fields = words(stat.substr(name + 1));  // from the third on
    uint64_t sum = 0;
    for (size_t i = 11; i < 15 && i < fields.size(); ++i)
        sum += std::strtoull(fields[i].c_str(), nullptr, 10);
    return std::chrono::microseconds(sum * 1'000'000 / static_cast<uint64_t>(ticks));
}

}  // namespace

std::vector<pid_t> childrenOf(pid_t pid) {
    std::vector<pid_t> children;
    for (const std::string& thread : directoryNames(procPath(pid, "task")))
        for (const std::string& child :
             words(readFile(procPath(pid, "task/") + thread + "/children")))
            children.push_back(static_cast<pid_t>(std::strtol(child.c_str(), nullptr, 10)));
    return children;
}

std::vector<pid_t> descendantsOf(pid_t pid) {
    std::vector<pid_t> all = childrenOf(pid);
    for (size_t i = 0; i < all.size(); ++i)
        for (const pid_t child : childrenOf(all[i])) all.push_back(child);
    return all;
}

pid_t parentOf(pid_t pid) {
    return static_cast<pid_t>(numberOf(readFile(procPath(pid, "status")), "PPid:"));
}

uid_t userOf(pid_t pid) {
    return static_cast<uid_t>(numberOf(readFile(procPath(pid, "status")), "Uid:"));
}

pid_t processOf(int pidfd) {
    return static_cast<pid_t>(
        numberOf(readFile("/proc/self/fdinfo/" + std::to_string(pidfd)), "Pid:"));
}

bool isPidfd(int fd) {
    return readFile("/proc/self/fdinfo/" + std::to_string(fd)).find("\nPid:") != std::string::npos;
}

TreeUse useOf(pid_t pid) {
    TreeUse use;
    std::vector<pid_t> all = descendantsOf(pid);
    all.push_back(pid);
    for (const pid_t process : all) {
        const std::string status = readFile(procPath(process, "status"));
        const int64_t anonymous = numberOf(status, "RssAnon:");
        const int64_t shared = numberOf(status, "RssShmem:");
        const int64_t threads = numberOf(status, "Threads:");
        if (anonymous > 0) use.memoryBytes += static_cast<uint64_t>(anonymous) * 1024;
        if (shared > 0) use.sharedBytes += static_cast<uint64_t>(shared) * 1024;
        if (threads > 0) use.processes += static_cast<uint32_t>(threads);
        use.processorTime += processorTimeOf(process);
    }
    return use;
}

}  // namespace cf::sandbox
