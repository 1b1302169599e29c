// Looks at processes through /proc: who belongs to whom, and what they use. Launcher only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <vector>

namespace cf::sandbox {

std::vector<pid_t> childrenOf(pid_t pid);
// Everything below `pid`, without itself.
std::vector<pid_t> descendantsOf(pid_t pid);
pid_t parentOf(pid_t pid);  // -1 when there is no such process
uid_t userOf(pid_t pid);    // its real user; -1 when there is no such process

// The process behind a pidfd; -1 when it has been reaped or the descriptor is none.
pid_t processOf(int pidfd);
bool isPidfd(int fd);

struct TreeUse {
    uint64_t memoryBytes = 0;  // resident and of no file
    uint64_t sharedBytes = 0;  // resident files in memory (tmpfs), once for each process
    uint32_t processes = 0;    // with threads
    // Computed so far, ended children included for which somebody waited.
    std::chrono::microseconds processorTime{0};
};
// What `pid` and everything below it use together.
TreeUse useOf(pid_t pid);

}  // namespace cf::sandbox
