#include "sandbox/cgroup.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>

#include "base/log.hpp"
#include "sandbox/files.hpp"

namespace cf::sandbox {

namespace {

constexpr uint64_t cpuPeriodMicroseconds = 100'000;

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string taskName(TaskId task) {
    char text[17];
    const auto end = std::to_chars(text, text + sizeof text, task, 16).ptr;
    return std::string(text, end);
}

// Mount points of cgroup file systems, from mountinfo: "... - cgroup cgroup rw,memory" (proc(5)).
struct CgroupMount {
    std::string path;
    std::string options;
    bool v2;
};

std::vector<CgroupMount> cgroupMounts(const std::string& mountinfo) {
    std::vector<CgroupMount> mounts;
    for (const std::string& line : lines(mountinfo)) {
        const size_t dash = line.find(" - ");
        if (dash == std::string::npos || line.compare(dash + 3, 6, "cgroup") != 0) continue;
        const auto before = words(line.substr(0, dash));
        const auto after = words(line.substr(dash + 3));
        if (before.size() < 5 || after.size() < 3) continue;
        mounts.push_back({before[4], "," + after[2] + ",", after[0] == "cgroup2"});
    }
    return mounts;
}

// Processes still inside get SIGKILL: the way for machines without cgroup.kill. A pid that ends
// meanwhile is no problem, it cannot be reused before it left the list that was just read.
void killListed(const std::string& directory) {
    for (const std::string& line : lines(readFile(directory + "/cgroup.procs"))) {
        const long pid = std::strtol(line.c_str(), nullptr, 10);
        if (pid > 1) ::kill(static_cast<pid_t>(pid), SIGKILL);
    }
}

base::Failure groupFailure(const std::string& what) {
    return {"sandbox_failed", "The control group of a sandbox could not be set up: " + what + ": " +
                                  std::strerror(errno) + "."};
}

uint64_t field(const std::string& text, std::string_view name) {
    for (const std::string& line : lines(text)) {
        const auto parts = words(line);
        if (parts.size() == 2 && parts[0] == name)
            return std::strtoull(parts[1].c_str(), nullptr, 10);
    }
    return 0;
}

}  // namespace

uint32_t TaskCgroup::oomEventMask() const { return memoryV2_ ? EPOLLPRI : EPOLLIN; }

bool TaskCgroup::takeOomEvent() const {
    char text[256];
    // The poll of a cgroup file stays ready until it has been read again from its beginning
    // (kernfs).
    if (memoryV2_) return ::pread(oomEvent_.get(), text, sizeof text, 0) >= 0 && ranOutOfMemory();
    return ::read(oomEvent_.get(), text, sizeof text) > 0;
}

bool TaskCgroup::ranOutOfMemory() const {
    if (memory_.empty()) return false;
    return field(readFile(memory_ + (memoryV2_ ? "/memory.events" : "/memory.oom_control")),
                 "oom_kill") > 0;
}

base::UniqueFd TaskCgroup::openPeak() const {
    if (memory_.empty()) return {};
    const std::string path = memory_ + (memoryV2_ ? "/memory.peak" : "/memory.max_usage_in_bytes");
    return base::UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

base::UniqueFd TaskCgroup::openProcessorTime() const {
    if (processorTime_.empty()) return {};
    return base::UniqueFd(::open(processorTime_.c_str(), O_RDONLY | O_CLOEXEC));
}

uint64_t TaskCgroup::peak() const {
    if (memory_.empty()) return 0;
    return std::strtoull(
        readFile(memory_ + (memoryV2_ ? "/memory.peak" : "/memory.max_usage_in_bytes")).c_str(),
        nullptr, 10);
}

bool TaskCgroup::kill() const {
    return !unified_.empty() && writeFile(unified_ + "/cgroup.kill", "1");
}

base::UniqueFd TaskCgroup::joinV2() const {
    return base::UniqueFd(::openat(birthplace_.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
}

void TaskCgroup::forgetJoin() {
    join_.clear();
    birthplace_.reset();
}

bool TaskCgroup::remove() {
    std::erase_if(directories_, [](const std::string& directory) {
        if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) return true;
        killListed(directory);
        return false;
    });
    return directories_.empty();
}

void CgroupTree::addParent(const std::string& directory) {
    if (std::find(parents_.begin(), parents_.end(), directory) == parents_.end())
        parents_.push_back(directory);
}

void CgroupTree::useV1(const std::string& mount, const std::string& options,
                       const std::string& instance) {
    const bool memory = options.find(",memory,") != std::string::npos;
    const bool pids = options.find(",pids,") != std::string::npos;
    const bool cpu = options.find(",cpu,") != std::string::npos;
    const std::string parent = mount + "/cloudfunction-" + instance;
    if ((!memory && !pids && !cpu) || !makeDirectory(parent)) return;
    addParent(parent);
    if (memory) {
        memory_ = parent;
        // Without it a child's limit would not count what its own children use; the default since
        // Linux 5.11.
        writeFile(parent + "/memory.use_hierarchy", "1");
        swap_ = exists(parent + "/memory.memsw.limit_in_bytes");
    }
    if (pids) pids_ = parent;
    if (cpu) cpu_ = parent;
    if (options.find(",cpuacct,") != std::string::npos) accounting_ = parent;
}

// Controllers for the children of `top`: memory at least. A group that has them may hold no process
// itself (only the real root may), so the platform moves to a leaf when nobody else is in there.
bool CgroupTree::useV2(const std::string& top, const std::string& instance,
                       const std::vector<pid_t>& platform) {
    constexpr const char* controllers[] = {"memory", "pids", "cpu"};
    const auto enabled = [](const std::string& group, const char* controller) {
        const auto list = words(readFile(group + "/cgroup.subtree_control"));
        return std::any_of(list.begin(), list.end(), [&](std::string name) {
            while (name.ends_with('\n')) name.pop_back();
            return name == controller;
        });
    };
    // One at a time: a controller that is not there would refuse the others as well. Memory first:
    // a group with processes takes the others without it, and no process can move below it then.
    const auto enable = [&](const std::string& group) {
        for (const char* controller : controllers) {
            if (!enabled(group, controller))
                writeFile(group + "/cgroup.subtree_control", std::string("+") + controller);
            if (!enabled(group, "memory")) return false;
        }
        return true;
    };
    const std::string parent = top + "/cloudfunction-" + instance;
    if (!makeDirectory(parent)) return false;
    bool ready = enable(top);
    const auto inside = lines(readFile(top + "/cgroup.procs"));
    const bool onlyPlatform =
        !inside.empty() && std::all_of(inside.begin(), inside.end(), [&](const std::string& line) {
            return std::find(platform.begin(), platform.end(),
                             std::strtol(line.c_str(), nullptr, 10)) != platform.end();
        });
    if (!ready && onlyPlatform) {
        leaf_ = top + "/cloudfunction-platform-" + instance;
        if (makeDirectory(leaf_))
            for (const pid_t pid : platform)
                writeFile(leaf_ + "/cgroup.procs", std::to_string(pid));
        ready = enable(top);
    }
    if (!ready || !enable(parent)) {
        if (!leaf_.empty())
            for (const pid_t pid : platform) writeFile(top + "/cgroup.procs", std::to_string(pid));
        ::rmdir(leaf_.c_str());
        ::rmdir(parent.c_str());
        leaf_.clear();
        return false;
    }
    addParent(parent);
    unified_ = v2_ = memory_ = parent;
    if (enabled(parent, "pids")) pids_ = parent;
    if (enabled(parent, "cpu")) cpu_ = parent;
    memoryV2_ = swap_ = true;
    return true;
}

void CgroupTree::findV2(const std::string& mount, const std::string& own,
                        const std::string& instance, const std::vector<pid_t>& platform) {
    if (!parents_.empty()) {
        const std::string parent = mount + "/cloudfunction-" + instance;
        if (!makeDirectory(parent)) return;
        addParent(parent);
        unified_ = v2_ = parent;
        return;
    }
    // The platform's own group, or the next one above it that may be used.
    std::string group;
    for (const std::string& line : lines(own))
        if (line.starts_with("0::/")) group = line.substr(3);
    while (group.size() > 1 && !useV2(mount + group, instance, platform))
        group.resize(group.find_last_of('/'));
    if (group.size() <= 1) useV2(mount, instance, platform);
}

CgroupTree CgroupTree::find(const std::string& instance, const std::vector<pid_t>& platform,
                            const std::string& mountinfo, const std::string& own) {
    CgroupTree tree;
    const auto mounts = cgroupMounts(mountinfo);
    for (const CgroupMount& mount : mounts)
        if (!mount.v2) tree.useV1(mount.path, mount.options, instance);
    const bool v1 = tree.any();
    for (const CgroupMount& mount : mounts)
        if (mount.v2) tree.findV2(mount.path, own, instance, platform);
    tree.treeKill_ = !tree.unified_.empty() && exists(tree.unified_ + "/cgroup.kill");
    if (mounts.empty())
        tree.description_ = "no cgroup file system is mounted";
    else if (!tree.any())
        tree.description_ =
            "this user may not use control groups; delegate one to it or start as root";
    else if (v1)
        tree.description_ =
            tree.unified_.empty() ? "cgroup v1" : "cgroup v1 with the v2 tree for kills";
    else
        tree.description_ = "cgroup v2";
    return tree;
}

bool CgroupTree::claim() {
    if (parents_.empty()) return true;
    const std::string& first = parents_.front();
    base::UniqueFd folder(::open(first.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat held {}, there {};
    if (!folder || ::flock(folder.get(), LOCK_EX | LOCK_NB) != 0 ||
        ::fstat(folder.get(), &held) != 0 || ::stat(first.c_str(), &there) != 0 ||
        held.st_ino != there.st_ino)
        return false;
    claim_ = std::move(folder);
    return std::all_of(parents_.begin(), parents_.end(), exists);
}

TaskCgroup CgroupTree::describe(TaskId task) const {
    TaskCgroup group;
    const std::string name = "/" + taskName(task);
    group.name_ = name;
    for (const std::string& parent : parents_) group.directories_.push_back(parent + name);
    if (!memory_.empty()) group.memory_ = memory_ + name;
    if (treeKill_) group.unified_ = unified_ + name;
    group.memoryV2_ = memoryV2_;
    // Every group of v2 has it, whatever controllers there are.
    if (!v2_.empty())
        group.processorTime_ = v2_ + name + "/cpu.stat";
    else if (!accounting_.empty())
        group.processorTime_ = accounting_ + name + "/cpuacct.usage";
    return group;
}

void CgroupTree::watchMemory(TaskCgroup& group) const {
    if (group.memory_.empty()) return;
    if (memoryV2_) {
        group.oomEvent_.reset(
            ::open((group.memory_ + "/memory.events").c_str(), O_RDONLY | O_CLOEXEC));
        return;
    }
    group.oomControl_.reset(
        ::open((group.memory_ + "/memory.oom_control").c_str(), O_RDONLY | O_CLOEXEC));
    group.oomEvent_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const std::string line =
        std::to_string(group.oomEvent_.get()) + " " + std::to_string(group.oomControl_.get());
    if (!group.oomControl_ || !writeFile(group.memory_ + "/cgroup.event_control", line))
        group.oomEvent_.reset();
}

base::Result<TaskCgroup> CgroupTree::create(TaskId task, const Limits& limits) const {
    TaskCgroup group = describe(task);
    const auto failed = [&](base::Failure failure) {
        group.remove();
        return failure;
    };
    for (const std::string& directory : group.directories_)
        if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
            return failed(groupFailure("making " + directory));
    if (!memory_.empty() && memoryV2_) {
        writeFile(group.memory_ + "/memory.swap.max", "0");
        writeFile(group.memory_ + "/memory.oom.group", "1");
    } else if (!memory_.empty()) {
        writeFile(group.memory_ + "/memory.swappiness", "0");
    }
    if (auto limited = limit(group, limits); !limited) return failed(limited.failure());
    for (const std::string& directory : group.directories_) {
        if (directory == v2_ + group.name_) {
            group.birthplace_.reset(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            if (!group.birthplace_) return failed(groupFailure(directory));
            continue;
        }
        // One thread that moves itself needs no lock against the whole machine's forks, as a
        // process does; taking that one begins with a grace period.
        const std::string tasks = directory + "/tasks";
        base::UniqueFd file(::open(tasks.c_str(), O_WRONLY | O_CLOEXEC));
        if (!file) return failed(groupFailure(tasks));
        group.join_.push_back(std::move(file));
    }
    watchMemory(group);
    return group;
}

base::Result<void> CgroupTree::limit(const TaskCgroup& group, const Limits& limits) const {
    const std::string bytes = std::to_string(limits.memoryBytes);
    if (!memory_.empty() && memoryV2_) {
        if (!writeFile(group.memory_ + "/memory.max", bytes)) return groupFailure("memory.max");
    } else if (!memory_.empty()) {
        // Memory and memory with swap: the first may never be above the second, so raising and
        // lowering differ in their order; one of the two goes through at once and the other
        // afterwards.
        const std::string swapFile = group.memory_ + "/memory.memsw.limit_in_bytes";
        if (swap_) writeFile(swapFile, bytes);
        if (!writeFile(group.memory_ + "/memory.limit_in_bytes", bytes))
            return groupFailure("memory.limit_in_bytes");
        if (swap_ && !writeFile(swapFile, bytes))
            return groupFailure("memory.memsw.limit_in_bytes");
        // TCP's buffers have a limit of their own there; a Linux without it counts none of them.
        writeFile(group.memory_ + "/memory.kmem.tcp.limit_in_bytes", bytes);
    }
    // The sandbox's pid 1 takes a place of its own.
    if (!pids_.empty() &&
        !writeFile(pids_ + group.name_ + "/pids.max", std::to_string(limits.processes + 1)))
        return groupFailure("pids.max");
    if (cpu_.empty()) return {};
    const std::string folder = cpu_ + group.name_;
    const std::string period = std::to_string(cpuPeriodMicroseconds);
    const std::string quota =
        limits.cpus > 0 ? std::to_string(std::max<uint64_t>(
                              1000, static_cast<uint64_t>(limits.cpus * cpuPeriodMicroseconds)))
                        : std::string();
    const bool set =
        cpu_ == unified_
            ? writeFile(folder + "/cpu.max", (quota.empty() ? "max" : quota) + " " + period)
            : writeFile(folder + "/cpu.cfs_quota_us", quota.empty() ? "-1" : quota);
    if (!set) return groupFailure("the CPU quota");
    return {};
}

// What a group weighs to which nobody gave a weight, divided; at least what Linux allows
// (cgroup-v2.rst; sched-design-CFS.rst for v1).
void CgroupTree::share(TaskId task, uint32_t parts) const {
    if (cpu_.empty()) return;
    const bool isV2 = cpu_ == unified_;
    const uint32_t whole = isV2 ? 100 : 1024, least = isV2 ? 1 : 2;
    writeFile(cpu_ + "/" + taskName(task) + (isV2 ? "/cpu.weight" : "/cpu.shares"),
              std::to_string(std::max(whole / parts, least)));
}

TaskCgroup CgroupTree::open(TaskId task) const {
    TaskCgroup group = describe(task);
    watchMemory(group);
    return group;
}

bool CgroupTree::sweep(const std::function<bool(TaskId)>& keep) const {
    bool clean = true;
    for (const std::string& parent : parents_) {
        for (const std::string& name : directoryNames(parent)) {
            TaskId task = 0;
            const auto [end, error] =
                std::from_chars(name.data(), name.data() + name.size(), task, 16);
            const std::string path = parent + "/" + name;
            struct stat status {};
            if (error != std::errc{} || *end != '\0' || ::stat(path.c_str(), &status) != 0 ||
                !S_ISDIR(status.st_mode) || keep(task))
                continue;
            if (!writeFile(path + "/cgroup.kill", "1")) killListed(path);
            if (::rmdir(path.c_str()) != 0 && errno != ENOENT) clean = false;
        }
    }
    return clean;
}

void CgroupTree::removeSelf() const {
    // The leaf stays: the platform is still in it.
    for (auto parent = parents_.rbegin(); parent != parents_.rend(); ++parent)
        ::rmdir(parent->c_str());
}

}  // namespace cf::sandbox
