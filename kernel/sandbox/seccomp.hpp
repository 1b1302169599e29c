// Step 8, the last one: which system calls a program may make at all (seccomp(2)). An allow-list:
// a call that nobody thought of is refused. The supervisor compiles the filters once, with
// libseccomp; a start only installs one, which takes two system calls.
#pragma once

#include <linux/filter.h>

#include <string>
#include <string_view>
#include <vector>

namespace cf::sandbox {

// A compiled filter: what the Linux kernel runs before every system call of the program.
class SyscallFilter {
public:
    // What only the machine's other protections make harmless.
    struct Allowed {
        // Sockets of the internet's families. Without, `network: none` holds also where there is no
        // network namespace.
        bool internet = true;
        // Memory that belongs to no mapping: memfd_create, larger buffers of pipes and sockets.
        // Without, it has no place to be where no watchdog sees it.
        bool unmappedMemory = true;
    };

    // Empty when it could not be compiled; `why` then says what went wrong.
    static SyscallFilter compile(Allowed allowed, std::string& why);

    explicit operator bool() const { return !program_.empty(); }
    size_t size() const { return program_.size(); }
    // For this thread, its children, and for good. Needs NO_NEW_PRIVS. False: errno says why.
    bool install() const;

private:
    std::vector<sock_filter> program_{};
};

// The names of system calls that programs may make, whatever the arguments (seccomp_list.cpp).
const std::vector<std::string_view>& allowedSyscalls();
// Those that programs are told do not exist (ENOSYS), because they have another way then.
const std::vector<std::string_view>& absentSyscalls();
// Those that succeed without doing anything: they would act on the whole machine, and nothing that
// a sandbox writes has to outlive a power failure.
const std::vector<std::string_view>& voidSyscalls();

}  // namespace cf::sandbox
