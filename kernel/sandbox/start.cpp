// The order of the recipe's steps, from a request to a program that runs.
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "sandbox/recipe.hpp"
#include "sandbox/syscalls.hpp"
#include "sandbox/task_folder.hpp"
#include "sandbox/trees.hpp"
#include "sandbox/user_namespace.hpp"

namespace cf::sandbox {

namespace {

// The kernel's end can hold a whole LOAD frame before the worker reads: the stub peeks at it as a
// whole.
constexpr int socketBuffer = 1 << 20;

// Handlers would be reset by execve, ignored and blocked signals would not.
void resetSignals() {
    // Not by way of libc: it would leave out the two that it uses itself, and these are inherited
    // like the others.
    constexpr unsigned long defaultAction[4] = {};
    for (int signal = 1; signal < NSIG; ++signal)
        ::syscall(SYS_rt_sigaction, signal, defaultAction, nullptr, 8ul);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (const auto& text : texts) list.push_back(const_cast<char*>(text.c_str()));
    list.push_back(nullptr);
    return list;
}

[[noreturn]] void runChild(const Launch& launch, const Setup& setup, bool inCgroup) {
    resetSignals();
    bindToSupervisor(launch, setup);
    joinCgroup(launch, setup, inCgroup);
    enterNetwork(launch, setup);
    if ((launch.namespaces & CLONE_NEWNS) != 0)
        buildRoot(launch, setup);
    else
        useMachinesRoot(launch, setup);
    nameHost(launch, setup);
    runInit(launch, setup);
}

uint64_t namespacesFor(const Machine& machine, const StartRequest& request) {
    // A probe sees the machine as it is; the pid namespace makes it killable as a whole.
    if (request.kind == TaskKind::probe) return machine.namespaces & CLONE_NEWPID;
    return request.network.mode == Network::host
               ? machine.namespaces & ~static_cast<uint64_t>(CLONE_NEWNET)
               : machine.namespaces;
}

struct Ends {
    base::UniqueFd kernel;
    base::UniqueFd task;
};

bool makePipe(Ends& ends, bool taskWrites, bool nonBlocking) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return false;
    ends.kernel.reset(fds[taskWrites ? 0 : 1]);
    ends.task.reset(fds[taskWrites ? 1 : 0]);
    return !nonBlocking || ::fcntl(ends.kernel.get(), F_SETFL, O_NONBLOCK) == 0;
}

bool makeSocket(Ends& ends) {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return false;
    ends.kernel.reset(fds[0]);
    ends.task.reset(fds[1]);
    if (::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &socketBuffer, sizeof socketBuffer) != 0)
        ::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &socketBuffer, sizeof socketBuffer);
    // Of the file description of this end alone: the worker's end stays as it expects it, blocking.
    return ::fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0;
}

}  // namespace

void runProgram(const Launch& launch, const Setup& setup, int sealed) {
    const StartRequest& request = launch.request;
    const bool useStub = request.execStub;
    int stub = useStub ? launch.machine.stub.get() : -1;
    char go;
    if (::read(sealed, &go, 1) != 1) ::_exit(127);
    arrangeDescriptors(launch, setup, stub);
    const base::UniqueFd fence = makeFence(launch, setup, stub);
    if (launch.machine.innerUserNamespaces && request.kind != TaskKind::probe) {
        errno = enterInnerUserNamespace();
        setup.check(errno == 0, "making a user namespace");
    }
    // After the descriptors: until execve there are more of them than a small limit allows.
    limitResources(launch, setup);
    // Linux should take the program, not its pid 1 or the platform, when memory runs out. Rising
    // needs no privilege.
    if (const int score = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); score >= 0) {
        [[maybe_unused]] const ssize_t put = ::write(score, "500", 3);
        ::close(score);
    }
    dropPrivileges(launch, setup);
    closeFence(fence, setup);
    const bool machinesRoot = usesTaskFolder(launch.machine, request.kind);
    const std::string start = request.directory.empty() && machinesRoot ? "/" : request.directory;
    if (!start.empty())
        setup.check(::chdir(start.c_str()) == 0,
                    "The directory " + start + " cannot be entered in the sandbox");
    filterSyscalls(launch, setup);
    if (launch.inspect != nullptr) {
        launch.inspect();
        ::_exit(0);
    }
    auto environment = pointers(request.environment);
    char** const variables = request.kind == TaskKind::probe ? ::environ : environment.data();
    std::vector<std::string> texts = request.argv;
    if (useStub) texts.insert(texts.begin(), "cloudfunction-stub");
    const auto arguments = pointers(texts);
    if (useStub)
        ::execveat(stub, "", arguments.data(), variables, AT_EMPTY_PATH);
    else
        ::execve(request.argv[0].c_str(), arguments.data(), variables);
    setup.fail("The program " + (useStub ? std::string("cloudfunction-stub") : request.argv[0]) +
                   " could not be started",
               errno);
}

base::Result<Starting> startTask(const Machine& machine, const StartRequest& asked,
                                 const StartOptions& options) {
    const auto failed = [](const std::string& what) {
        return base::Failure{"sandbox_failed", "The sandbox could not be started: " + what + ": " +
                                                   std::strerror(errno) + "."};
    };
    const bool hasFolder = usesTaskFolder(machine, asked.kind);
    const std::string& folders = machine.options.taskFolders;
    const StartRequest request =
        hasFolder ? translated(asked, taskFolder(folders, asked.task)) : asked;
    if (request.execStub && !machine.stub)
        return base::Failure{"sandbox_failed",
                             "The stub for compiled artifacts is missing: " +
                                 machine.options.execStub + " cannot be opened.",
                             "Install cloudfunction-stub beside the platform's executable."};
    Starting starting;
    if (request.kind != TaskKind::probe) {
        auto group = machine.cgroups.create(request.task, request.limits);
        if (!group) return group.failure();
        starting.cgroup = std::move(*group);
    }
    Ends input, output, errors, socket, setupEnds;
    const bool isWorker = request.kind == TaskKind::worker;
    const auto undo = [&](const std::string& what) {
        const auto failure = failed(what);
        starting.cgroup.remove();
        if (hasFolder) removeTree(taskFolder(request.task), machine.taskFolders.get());
        return failure;
    };
    if (hasFolder) {
        errno = makeTaskFolder(machine.taskFolders.get(), request.task, options.uid, options.gid);
        if (errno != 0) return undo("making " + taskFolder(folders, request.task));
    }
    if (!makePipe(setupEnds, true, true) || !makePipe(output, true, isWorker) ||
        !makePipe(errors, true, isWorker) || (!isWorker && !makePipe(input, false, false)) ||
        (isWorker && !makeSocket(socket)))
        return undo("making its pipes");

    // /dev/stdout opens the pipe anew, which takes being its owner.
    if (machine.root)
        for (const Ends* ends : {&input, &output, &errors})
            if (ends->task && ::fchown(ends->task.get(), options.uid, options.gid) != 0)
                return undo("fchown");

    const Launch launch{machine,           request,           namespacesFor(machine, request),
                        options.uid,       options.gid,       starting.cgroup,
                        input.task.get(),  output.task.get(), errors.task.get(),
                        socket.task.get(), options.inspect,     options.network};
    // One that was made ahead is entered by the new process itself.
    const uint64_t madeAhead = options.network >= 0 ? CLONE_NEWNET : 0;
    bool inCgroup = false;
    starting.pid = cloneIntoNamespaces(launch.namespaces & ~madeAhead, options.sibling,
                                       starting.cgroup.birthplace(), starting.pidfd, inCgroup);
    if (starting.pid < 0) return undo("clone3");
    if (starting.pid == 0) runChild(launch, Setup(setupEnds.task.get()), inCgroup);
    starting.cgroup.forgetJoin();
    starting.setup = std::move(setupEnds.kernel);
    starting.socket = std::move(socket.kernel);
    starting.input = std::move(input.kernel);
    starting.output = std::move(output.kernel);
    starting.errors = std::move(errors.kernel);
    return starting;
}

}  // namespace cf::sandbox
