// Step 2, /dev: the devices every program expects, the machine's own nodes bound one by one, and
// nothing else.
#include <algorithm>

#include "sandbox/root_filesystem.hpp"
#include "sandbox/syscalls.hpp"

namespace cf::sandbox {

namespace {

constexpr uint64_t largestShared = 16u << 20;

}  // namespace

void addDevices(const NewRoot& root) {
    root.directory("/dev");
    for (const char* path : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"})
        root.bind(path, path,
                  sys::attributeReadOnly | sys::attributeNoSetuid | sys::attributeNoExec);
    root.link("/proc/self/fd", "/dev/fd");
    root.link("/proc/self/fd/0", "/dev/stdin");
    root.link("/proc/self/fd/1", "/dev/stdout");
    root.link("/proc/self/fd/2", "/dev/stderr");
    // POSIX semaphores of libraries that start processes need it. Counts as memory of the task.
    const uint64_t bytes = std::min(largestShared, root.launch().request.limits.memoryBytes / 4);
    root.temporary("/dev/shm", "mode=1777,nr_inodes=256,size=" + std::to_string(bytes));
}

}  // namespace cf::sandbox
