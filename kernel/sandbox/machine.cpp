#include "sandbox/machine.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "base/log.hpp"
#include "sandbox/files.hpp"
#include "sandbox/landlock.hpp"
#include "sandbox/router.hpp"
#include "sandbox/syscalls.hpp"
#include "sandbox/task_folder.hpp"
#include "sandbox/trees.hpp"
#include "sandbox/uid_slots.hpp"
#include "sandbox/user_namespace.hpp"

namespace cf::sandbox {

namespace {

// A busy machine must not be taken for one that cannot hold sandboxes; the kernel process waits longer.
constexpr int testTimeoutMs = 20'000;
// How long an earlier platform on the same data may take to clear up; less than the kernel process
// waits for the launcher.
constexpr auto claimPause = std::chrono::milliseconds(5);
constexpr int claimTries = 500;

struct NamespaceKind {
    uint64_t flag;
    const char* layer;
    const char* what;
};
constexpr NamespaceKind namespaceKinds[] = {
    {CLONE_NEWPID, "pid_namespace", "a worker sees only its own processes"},
    {CLONE_NEWNS, "mount_namespace", "a worker sees only the files of its plan"},
    {CLONE_NEWNET, "network_namespace", "a worker without network has lo and nothing else"},
    {CLONE_NEWIPC, "ipc_namespace", "no shared memory or message queues with others"},
    {CLONE_NEWUTS, "uts_namespace", "an own host name"},
    {CLONE_NEWCGROUP, "cgroup_namespace", "a worker does not see where its control group lies"},
};

// Tries one kind of namespace with a process that ends at once; 0 or errno.
int tryNamespace(uint64_t flag) {
    sys::CloneArguments arguments;
    arguments.flags = flag;
    arguments.exitSignal = SIGCHLD;
    const pid_t pid = sys::clone3(arguments);
    if (pid < 0) return errno;
    if (pid == 0) ::_exit(0);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return 0;
}

// Root of a container may lack the right, or have one user only.
bool mayChangeUser(const LauncherOptions& options) {
    const uid_t uid = options.uidBase != 0 ? options.uidBase + options.uidCount - 1 : nobody;
    const pid_t child = ::fork();
    if (child == 0) {
        const bool changed = ::setgroups(0, nullptr) == 0 && ::setresgid(uid, uid, uid) == 0 &&
                             ::setresuid(uid, uid, uid) == 0;
        ::_exit(changed ? 0 : 1);
    }
    int status = 1;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && status == 0;
}

// Each of these works without the filter, whoever asks.
std::string filterFault(const std::string& status) {
    if (status.find("\nSeccomp:\t2") == std::string::npos) return "system calls are not filtered";
    if (::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) >= 0 ||
        errno != EPERM)
        return "a system call that is not on the list was answered";
    if (const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); fd >= 0 || errno != EPERM)
        return "a socket that is not on the list was made";
    return {};
}

// Files that belong to the process itself and that Linux alone would let it write.
std::string fenceFault() {
    const int fd = ::open("/proc/self/comm", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 || errno != EACCES) return "a file that no rule names could be written to";
    return {};
}

// Runs inside the throw-away sandbox, as its program: one line "<layer> <ok or what is wrong>" for
// each thing seen.
void lookAround() {
    const auto say = [](const char* layer, const std::string& fault) {
        const std::string line = std::string(layer) + " " + (fault.empty() ? "ok" : fault) + "\n";
        [[maybe_unused]] const ssize_t put = ::write(STDOUT_FILENO, line.data(), line.size());
    };
    const std::string status = readFile("/proc/self/status");
    std::string capabilities, privileges;
    for (const std::string& line : lines(status)) {
        if (line.starts_with("Cap") &&
            line.find_first_not_of("0", line.find('\t') + 1) != std::string::npos)
            capabilities = "still there: " + line.substr(0, 6);
        if (line.starts_with("NoNewPrivs:") && !line.ends_with("1")) privileges = "not set";
    }
    say("capabilities", status.empty() ? "/proc/self/status cannot be read" : capabilities);
    say("no_new_privileges", status.empty() ? "/proc/self/status cannot be read" : privileges);
    const bool written = ::mkdir("/written", 0700) == 0 || ::mkdir("/usr/written", 0700) == 0;
    say("read_only_root", written                        ? "the root could be written to"
                          : ::access("/root", F_OK) == 0 ? "files of the machine are in sight"
                                                         : "");
    say("user", std::to_string(::geteuid()));
    std::string leak;
    for (int fd = 4; fd < 1024; ++fd)
        if (const int flags = ::fcntl(fd, F_GETFD); flags >= 0 && (flags & FD_CLOEXEC) == 0)
            leak = "descriptor " + std::to_string(fd) + " would stay open in the program";
    say("descriptors", leak);
    say("seccomp", filterFault(status));
    say("landlock", fenceFault());
}

struct TestRun {
    std::string failure{};
    std::string seen{};
};

TestRun runThrowAway(const Machine& machine) {
    TestRun run;
    StartRequest request;
    request.task = 1;
    request.argv = {"/"};
    request.limits.memoryBytes = 64ull << 20;
    const StartOptions options{
        machine.options.uidBase != 0 ? machine.options.uidBase : sharedUid(machine),
        machine.options.uidBase != 0 ? machine.options.uidBase : sharedGid(machine), false,
        &lookAround};
    auto started = startTask(machine, request, options);
    if (!started) {
        run.failure = started.failure().detail;
        return run;
    }
    pollfd ended{started->pidfd.get(), POLLIN, 0};
    if (::poll(&ended, 1, testTimeoutMs) != 1) {
        run.failure = "the test sandbox did not end in time";
        sys::pidfdSendSignal(started->pidfd.get(), SIGKILL);
    }
    while (::waitpid(started->pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    char buffer[4096];
    ssize_t got = ::read(started->setup.get(), buffer, sizeof buffer);
    if (got > 0) run.failure.assign(buffer, static_cast<size_t>(got));
    while ((got = ::read(started->output.get(), buffer, sizeof buffer)) > 0)
        run.seen.append(buffer, static_cast<size_t>(got));
    if (!machine.isolated()) removeTree(taskFolder(request.task), machine.taskFolders.get());
    // Nobody waits for this group; what is left of it is swept with the next start.
    for (int tries = 0; !started->cgroup.remove() && tries < 50; ++tries) ::usleep(2000);
    Report report;
    while (::read(machine.reportsIn.get(), &report, sizeof report) > 0) {
    }
    if (run.failure.empty() && run.seen.empty()) run.failure = "the test sandbox said nothing";
    return run;
}

}  // namespace

uid_t sharedUid(const Machine& machine) {
    if (!machine.root) return ::geteuid();
    return machine.options.kernelUid != 0 ? machine.options.kernelUid : nobody;
}

gid_t sharedGid(const Machine& machine) {
    if (!machine.root) return ::getegid();
    return machine.options.kernelGid != 0 ? machine.options.kernelGid : nobody;
}

Machine prepareMachine(const LauncherOptions& options, const std::vector<pid_t>& platform) {
    Machine machine;
    machine.options = options;
    machine.ownUserNamespace = inOwnUserNamespace();
    machine.root = mayChangeUser(options);
    machine.innerUserNamespaces = machine.ownUserNamespace && countsProcessesApart();
    if (!options.execStub.empty())
        machine.stub.reset(::open(options.execStub.c_str(), O_PATH | O_CLOEXEC));
    machine.supervisor.reset(sys::pidfdOpen(::getpid()));
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0) {
        machine.reportsIn.reset(fds[0]);
        machine.reportsOut.reset(fds[1]);
    }
    machine.landlock = landlockVersion();
    if (machine.landlock < firstUsefulLandlock) machine.landlock = 0;
    const std::string mountinfo = readFile("/proc/self/mountinfo");
    const std::string own = readFile("/proc/self/cgroup");
    for (int tries = 0; tries < claimTries; ++tries) {
        if (tries > 0) std::this_thread::sleep_for(claimPause);
        machine.cgroups = CgroupTree::find(options.instance, platform, mountinfo, own);
        if (machine.cgroups.claim()) break;
    }
    machine.cgroups.sweep([](TaskId) { return false; });
    const bool counted = machine.cgroups.memory();
    machine.filter = SyscallFilter::compile({true, counted}, machine.filterFault);
    machine.filterWithoutInternet = SyscallFilter::compile({false, counted}, machine.filterFault);
    if (!machine.filterWithoutInternet) machine.filter = {};
    if (!machine.root) machine.options.uidBase = 0;
    return machine;
}

namespace {

void addOwnUser(const Machine& machine, const std::string& seen, std::vector<Layer>& layers) {
    const LauncherOptions& options = machine.options;
    Layer layer{"own_user", false, {}};
    if (!machine.root) {
        layer.detail =
            "all workers run as the platform's own user; start as root to give each its own";
    } else if (options.uidBase == 0) {
        layer.detail = "all workers run as user " + std::to_string(sharedUid(machine)) +
                       "; set sandbox.uid_base";
    } else {
        const std::string range = "users " + std::to_string(options.uidBase) + " to " +
                                  std::to_string(options.uidBase + options.uidCount - 1);
        const std::string owner = uidOwner(options.uidBase, options.uidCount,
                                           readFile("/etc/passwd"), readFile("/etc/subuid"));
        layer.active = owner.empty() && seen == std::to_string(options.uidBase);
        layer.detail =
            layer.active ? range
            : owner.empty()
                ? "the test sandbox did not run as one of the " + range + " (" + seen + ")"
                : range + " overlap with " + owner + "; change sandbox.uid_base";
    }
    layers.push_back(std::move(layer));
}

void addOutboundNetwork(Machine& machine, std::vector<Layer>& layers) {
    const LauncherOptions& options = machine.options;
    std::string why;
    if (!machine.root || machine.ownUserNamespace)
        why = "the platform does not run as root";
    else if ((machine.namespaces & CLONE_NEWNET) == 0)
        why = "this machine gives no network namespaces";
    else
        machine.router = Router::make(options.instance, options.network, why);
    Layer layer{"outbound_network", machine.router != nullptr, {}};
    if (machine.router)
        layer.detail = "a network of its own at " + machine.router->range().text() +
                       ": the internet, not the machine or private addresses" +
                       (machine.router->logGroup() != 0
                            ? ""
                            : "; refused connections are not in functions' logs, because Linux has "
                              "no nfnetlink_log") +
                       (machine.router->warning().empty() ? "" : "; " + machine.router->warning());
    else if (options.network.hostWithoutRouter)
        layer.detail = "the machine's own network (sandbox.network.unprivileged = host): " + why;
    else
        layer.detail = "none, functions reach nobody: " + why +
                       "; start as root, or set sandbox.network.unprivileged = host";
    layers.push_back(std::move(layer));
}

}  // namespace

namespace {

// Tools work in the platform's build folders where they are and have a group for the way there. The
// folder on it is the kernel's user's, who may put something else in its place: once, by
// descriptor, and only while it is his.
void openWayForTools(const Machine& machine) {
    const gid_t group = toolGroup(machine);
    if (group == 0) return;
    const std::string& path = machine.options.privateFolder;
    const base::UniqueFd folder(
        ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    const bool isKernels =
        folder && ::fstat(folder.get(), &status) == 0 && status.st_uid == machine.options.kernelUid;
    constexpr auto keepUser = static_cast<uid_t>(-1);
    if (!isKernels || ::fchown(folder.get(), keepUser, group) != 0 ||
        ::fchmod(folder.get(), 0710) != 0)
        base::logError("sandbox", "Builds cannot enter " + path +
                                      ": it is not a folder of the platform's user.");
}

}  // namespace

bool prepareTaskFolders(Machine& machine) {
    const std::string& folders = machine.options.taskFolders;
    machine.taskFolders.reset();
    if (folders.empty()) return false;
    // What an earlier run left when it was killed.
    if (machine.isolated()) return removeTree(folders) == 0;
    openWayForTools(machine);
    machine.taskFolders = makeTaskFolders(folders);
    if (!machine.taskFolders)
        base::logError("sandbox", "The folder " + folders +
                                      " for workers cannot be made: " + std::strerror(errno) + ".");
    return static_cast<bool>(machine.taskFolders);
}

std::vector<Layer> testLayers(Machine& machine) {
    std::vector<Layer> layers;
    const auto add = [&](const char* name, bool active, std::string detail) {
        layers.push_back({name, active, std::move(detail)});
    };
    int firstError = 0;
    for (const NamespaceKind& kind : namespaceKinds) {
        const int error = tryNamespace(kind.flag);
        if (error == 0) machine.namespaces |= kind.flag;
        if (firstError == 0) firstError = error;
    }
    constexpr uint64_t needed = CLONE_NEWPID | CLONE_NEWNS;
    if ((machine.namespaces & needed) != needed) machine.namespaces = 0;
    prepareTaskFolders(machine);
    TestRun run = runThrowAway(machine);
    std::string brokenWhy;
    if (!run.failure.empty() && machine.isolated()) {
        brokenWhy = run.failure;
        machine.namespaces = 0;
        machine.innerUserNamespaces = false;
        prepareTaskFolders(machine);
        run = runThrowAway(machine);
    } else if (!machine.isolated()) {
        brokenWhy = std::strerror(firstError);
    }
    const auto saw = [&](const std::string& layer) -> std::string {
        for (const std::string& line : lines(run.seen))
            if (line.starts_with(layer + " ")) return line.substr(layer.size() + 1);
        return run.failure.empty() ? "not tested" : run.failure;
    };

    const std::string remedy =
        machine.root ? "; the container or machine around the platform must allow namespaces"
                     : "; start as root, or allow unprivileged user namespaces";
    for (const NamespaceKind& kind : namespaceKinds) {
        const bool active = (machine.namespaces & kind.flag) != 0;
        add(kind.layer, active,
            active ? kind.what
                   : "not available (" + (brokenWhy.empty() ? std::string("refused") : brokenWhy) +
                         ")" + remedy);
    }
    addOwnUser(machine, saw("user"), layers);
    add("read_only_root", machine.isolated() && saw("read_only_root") == "ok",
        machine.isolated() ? saw("read_only_root")
                           : "workers see the machine's files as their user may" + remedy);
    add("capabilities", saw("capabilities") == "ok", saw("capabilities"));
    add("no_new_privileges", saw("no_new_privileges") == "ok", saw("no_new_privileges"));
    add("descriptors", saw("descriptors") == "ok", saw("descriptors"));

    const CgroupTree& cgroups = machine.cgroups;
    const std::string how = cgroups.description();
    add("memory_limit", cgroups.memory(),
        cgroups.memory() ? how + (cgroups.swap() ? ", swap included" : ", without swap accounting")
                         : "a watchdog looks at resident memory 10 times a second instead: " + how);
    const bool ownUser = machine.options.uidBase != 0;
    add("process_limit", cgroups.processes() || ownUser || machine.innerUserNamespaces,
        cgroups.processes()           ? how
        : ownUser                     ? "a limit for each worker's user instead: " + how
        : machine.innerUserNamespaces ? "a limit for each worker's user namespace instead: " + how
                                      : "a watchdog counts processes 10 times a second instead: " +
                                            how);
    add("cpu_limit", cgroups.cpu(),
        cgroups.cpu() ? how
                      : "workers share the processors without a quota, behind the platform's own "
                        "processes by their nice value: " +
                            how);
    add("tree_kill", machine.isolated() || cgroups.treeKill(),
        machine.isolated()   ? "with the pid namespace"
        : cgroups.treeKill() ? "with the control group"
                             : "by looking for a worker's descendants again and again, without a "
                               "pid namespace or control group");
    add("seccomp", saw("seccomp") == "ok",
        saw("seccomp") == "ok"       ? "system calls are an allow-list"
        : machine.filterFault.empty() ? saw("seccomp")
                                      : machine.filterFault);
    const std::string version = std::to_string(landlockVersion());
    add("landlock", saw("landlock") == "ok",
        saw("landlock") == "ok"   ? "version " + version
        : machine.landlock != 0   ? saw("landlock")
        : landlockVersion() == 0 ? "not available; Linux 5.19 or newer has it, unless its lsm= or "
                                   "the container around the platform leaves it out"
                                 : "version " + version + " is too old; Linux 5.19 has version 2");
    addOutboundNetwork(machine, layers);
    return layers;
}

}  // namespace cf::sandbox
