// What the processes of a task have open and no folder shows: files without a name, and pipes and
// sockets, whose buffers are memory of nobody. Seen through /proc. Launcher only.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace cf::sandbox {

// Looks at the descriptors of some processes, in as many steps as its user likes; at their mapped
// files as well, where Linux shows those. A process that ends meanwhile is no problem.
class OpenFiles {
public:
    // `owner`: the processes' user. Without CAP_SYS_PTRACE Linux shows what they have open to
    // nobody else, so that is who looks. `disks`: the file systems whose unnamed files count.
    OpenFiles(const std::vector<pid_t>& processes, uid_t owner, std::set<dev_t> disks = {});
    // Looks at so many descriptors at most; gives how many they were.
    size_t look(size_t entries);
    bool done() const { return !folder_ && next_ == folders_.size(); }

    // So far; each file, pipe and socket once, however many descriptors lead to it.
    uint64_t unnamedBytes() const { return unnamedBytes_; }
    uint32_t pipes() const { return pipes_; }
    uint32_t sockets() const { return sockets_; }

private:
    using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;
    size_t lookOn(size_t entries);
    void note(int folder, const char* name);

    std::vector<std::string> folders_{};  // of links in /proc, one after the other
    size_t next_ = 0;
    Directory folder_{nullptr, ::closedir};
    uid_t owner_;
    std::set<dev_t> disks_;
    std::set<std::pair<dev_t, ino_t>> seen_{};
    uint64_t unnamedBytes_ = 0;
    uint32_t pipes_ = 0, sockets_ = 0;
};

}  // namespace cf::sandbox
