#include "sandbox/seccomp.hpp"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/unique_fd.hpp"

namespace cf::sandbox {

namespace {

using Context = std::unique_ptr<void, decltype(&::seccomp_release)>;

// The low byte of clone's flags is a signal; CLONE_NEWTIME would be part of it and is for clone3
// and unshare alone.
constexpr uint64_t newNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                   CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr uint64_t socketTypeMask = 0xf;
constexpr uint32_t askPersonality = 0xffffffff;
constexpr int mostNumbers = 2048;
// Calls of the x32 ABI have this bit; libseccomp's part of the filter ends their process.
constexpr uint32_t x32Bit = 0x40000000;

class Rules {
public:
    explicit Rules(scmp_filter_ctx context) : context_(context) {}

    template <typename... Conditions>
    void add(uint32_t action, std::string_view name, Conditions... conditions) {
        const int number = ::seccomp_syscall_resolve_name(std::string(name).c_str());
        // This architecture has no such call, or libseccomp is older than the call.
        if (number < 0) return;
        note(::seccomp_rule_add(context_, action, number, sizeof...(conditions), conditions...));
    }
    void note(int result) {
        if (error_ == 0 && result < 0) error_ = -result;
    }
    int error() const { return error_; }

private:
    scmp_filter_ctx context_;
    int error_ = 0;
};

// libseccomp's own macros for these are C only.
scmp_arg_cmp equals(unsigned argument, uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }
scmp_arg_cmp masked(unsigned argument, uint64_t mask, uint64_t value) {
    return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

void addRules(Rules& rules, SyscallFilter::Allowed allowed) {
    for (const std::string_view name : allowedSyscalls()) rules.add(SCMP_ACT_ALLOW, name);
    for (const std::string_view name : absentSyscalls()) rules.add(SCMP_ACT_ERRNO(ENOSYS), name);
    for (const std::string_view name : voidSyscalls()) rules.add(SCMP_ACT_ERRNO(0), name);
#ifdef __s390x__
    constexpr unsigned cloneFlags = 1;
#else
    constexpr unsigned cloneFlags = 0;
#endif
    rules.add(SCMP_ACT_ALLOW, "clone", masked(cloneFlags, newNamespaces, 0));
    if (allowed.unmappedMemory) rules.add(SCMP_ACT_ALLOW, "memfd_create");
    // Its flags lie in memory, where a filter cannot look; on this answer libc takes clone.
    rules.add(SCMP_ACT_ERRNO(ENOSYS), "clone3");
    for (const uint32_t persona : {0u, askPersonality})
        rules.add(SCMP_ACT_ALLOW, "personality", equals(0, persona));
    rules.add(SCMP_ACT_ALLOW, "socketpair", equals(0, AF_UNIX));
    // Runtimes list network interfaces with it.
    rules.add(SCMP_ACT_ALLOW, "socket", equals(0, AF_NETLINK), equals(2, NETLINK_ROUTE));
    if (!allowed.internet) return;
    // TCP and UDP. Other protocols are code of the Linux kernel that hardly anybody runs, loaded
    // on demand.
    struct Kind {
        unsigned type;
        unsigned protocol;
    };
    for (const unsigned family : {unsigned{AF_INET}, unsigned{AF_INET6}})
        for (const Kind kind : {Kind{SOCK_STREAM, IPPROTO_TCP}, Kind{SOCK_DGRAM, IPPROTO_UDP}})
            for (const unsigned protocol : {0u, kind.protocol})
                rules.add(SCMP_ACT_ALLOW, "socket", equals(0, family),
                          masked(1, socketTypeMask, kind.type), equals(2, protocol));
}

// The highest number libseccomp has a name for. What is above is newer than this list: programs are
// prepared for a Linux without it (ENOSYS), but not for being forbidden it (EPERM).
uint32_t newestNumber() {
    for (int number = mostNumbers; number > 0; --number)
        if (char* const name = ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number)) {
            ::free(name);
            return static_cast<uint32_t>(number);
        }
    return mostNumbers;
}

// The lower half of a call's argument: Linux looks at no more of a command's number, and a
// comparison of libseccomp at all of it.
constexpr uint32_t lowHalf(unsigned argument) {
    constexpr uint32_t half = std::endian::native == std::endian::big ? sizeof(uint32_t) : 0;
    return offsetof(seccomp_data, args) + argument * uint32_t{sizeof(uint64_t)} + half;
}

// One command of a call that is allowed otherwise; answered with EPERM.
struct RefusedCommand {
    uint32_t call;
    unsigned argument;  // which of its arguments is the command
    uint32_t command;
    uint32_t error = EPERM;  // 0: nothing is done, and nobody hears of it
};
constexpr RefusedCommand refusedCommands[] = {
    // Tells when others use a folder, as inotify does.
    {__NR_fcntl, 1, F_NOTIFY},
    // Only the value that it has keeps the machine's handler of core dumps out (core(5)). Programs
    // that guard secrets set it to 0 and end when they cannot; what they want is so already.
    // prlimit64 also asks, so there the values are looked at below.
#ifdef __NR_setrlimit
    {__NR_setrlimit, 0, RLIMIT_CORE, 0},
#endif
    {__NR_prlimit64, 1, RLIMIT_CORE, 0},
};
constexpr RefusedCommand largerPipe{__NR_fcntl, 1, F_SETPIPE_SZ};

// Sockets keep the size that Linux gives their buffers; programs that ask for another one have to
// be prepared for that anyway (socket(7)), so they hear nothing of it.
std::vector<sock_filter> ignoreBufferSizes() {
    const auto unless = [](uint32_t value, uint8_t away) {
        return sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, away);
    };
    const auto load = [](uint32_t offset) {
        return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
    };
    return {
        unless(__NR_setsockopt, 7),
        load(lowHalf(1)),
        unless(SOL_SOCKET, 4),
        load(lowHalf(2)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SO_SNDBUF, 1, 0),
        unless(SO_RCVBUF, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
        load(offsetof(seccomp_data, nr)),
    };
}

// Runs before libseccomp's program. Jumps of BPF are relative, so putting it in front is safe.
std::vector<sock_filter> prologue(SyscallFilter::Allowed allowed) {
    const auto refusal = [](uint32_t error) {
        return sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    };
    const auto load = [](uint32_t offset) {
        return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
    };
    std::vector<sock_filter> commands;
    std::vector<RefusedCommand> refused(std::begin(refusedCommands), std::end(refusedCommands));
    if (!allowed.unmappedMemory) {
        refused.push_back(largerPipe);
        const std::vector<sock_filter> ignored = ignoreBufferSizes();
        commands.insert(commands.end(), ignored.begin(), ignored.end());
    }
    for (const RefusedCommand& one : refused) {
        std::vector<sock_filter> checks;
        checks.push_back(load(lowHalf(one.argument)));
        if (one.call == __NR_prlimit64) {
            // Without a new value it only asks: 0 in both halves of the pointer. One that asks and
            // sets at once is refused, because it would get no answer to what it asks.
            const auto pointer = [](unsigned argument) {
                return static_cast<uint32_t>(offsetof(seccomp_data, args) +
                                             argument * sizeof(uint64_t));
            };
            const auto isZero = [](uint8_t then, uint8_t otherwise) {
                return sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, then, otherwise);
            };
            const sock_filter ofThisLimit =
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, one.command, 0, 10);
            checks.insert(checks.end(),
                          {ofThisLimit, load(pointer(2)), isZero(0, 2),
                           load(pointer(2) + sizeof(uint32_t)), isZero(6, 0), load(pointer(3)),
                           isZero(0, 2), load(pointer(3) + sizeof(uint32_t)), isZero(1, 0),
                           refusal(EPERM)});
        } else {
            checks.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, one.command, 0, 1));
        }
        checks.push_back(refusal(one.error));
        checks.push_back(load(offsetof(seccomp_data, nr)));
        commands.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, one.call, 0,
                                    static_cast<uint8_t>(checks.size())));
        commands.insert(commands.end(), checks.begin(), checks.end());
    }
    const auto skip = static_cast<uint8_t>(commands.size());
    std::vector<sock_filter> program = {
        load(offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ::seccomp_arch_native(), 0,
                 static_cast<uint8_t>(skip + 4)),
        load(offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, x32Bit, static_cast<uint8_t>(skip + 2), 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, newestNumber(), 0, 1),
        refusal(ENOSYS),
    };
    program.insert(program.end(), commands.begin(), commands.end());
    return program;
}

bool appendProgram(scmp_filter_ctx context, std::vector<sock_filter>& program) {
    const base::UniqueFd memory(::memfd_create("filter", MFD_CLOEXEC));
    if (!memory) return false;
    if (const int result = ::seccomp_export_bpf(context, memory.get()); result < 0) {
        errno = -result;
        return false;
    }
    const off_t bytes = ::lseek(memory.get(), 0, SEEK_END);
    if (bytes <= 0) return false;
    const size_t first = program.size();
    program.resize(first + static_cast<size_t>(bytes) / sizeof(sock_filter));
    return ::pread(memory.get(), program.data() + first, static_cast<size_t>(bytes), 0) == bytes;
}

}  // namespace

SyscallFilter SyscallFilter::compile(Allowed allowed, std::string& why) {
    SyscallFilter filter;
    const Context context(::seccomp_init(SCMP_ACT_ERRNO(EPERM)), &::seccomp_release);
    if (!context) {
        why = "libseccomp could not be initialised";
        return filter;
    }
    Rules rules(context.get());
    // An honest program never speaks another ABI, and with one every number means another call.
    rules.note(::seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
    // As a binary tree a decision takes some 9 comparisons instead of some 200.
    rules.note(::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
    addRules(rules, allowed);
    std::vector<sock_filter> program = prologue(allowed);
    if (rules.error() != 0) {
        why = std::string("a rule was refused: ") + std::strerror(rules.error());
    } else if (!appendProgram(context.get(), program) || program.size() > BPF_MAXINSNS) {
        why = std::string("the filter could not be compiled: ") + std::strerror(errno);
    } else {
        filter.program_ = std::move(program);
    }
    return filter;
}

bool SyscallFilter::install() const {
    const sock_fprog program{static_cast<unsigned short>(program_.size()),
                             const_cast<sock_filter*>(program_.data())};
    return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

}  // namespace cf::sandbox
