// Whole folders, when strangers may have filled them: nothing here follows a symbolic link, runs
// out of descriptors or stack in a tree of any depth, or leaves the file system it began in.
// Launcher only. With `at`, an open folder, a path begins there: whoever may replace folders on the
// way to it then leads nobody elsewhere.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace cf::sandbox {

constexpr uint64_t blockBytes = 512;  // of st_blocks (stat(2))

// A folder that is being read (readdir(3)), closed with it.
using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

// Makes `target` a tree of its own folders (0755, owned by `uid` and `gid`) whose files are the
// very files of `source`, as hard links, and whose symbolic links are copies. Where hard links
// cannot be made (another file system), files are copied. Gives the first errno, 0 when all is
// there. `target` must not exist; what was made of it stays when it fails.
int linkTree(const std::string& source, const std::string& target, uid_t uid, gid_t gid,
             int at = AT_FDCWD);

// Removes `path` with everything in it; what belongs to nobody any more is no failure.
int removeTree(const std::string& path, int at = AT_FDCWD);

struct TreeSize {
    uint64_t bytes = 0;  // on the disk
    uint64_t files = 0;
};
// Adds up a tree in as many steps as its user likes, and looks no further once one of the two bounds
// is passed: its time has a limit, too.
class TreeMeasure {
public:
    TreeMeasure(const std::string& path, TreeSize bounds, int at = AT_FDCWD);
    // Looks at so many entries at most; gives how many they were. A tree that changes for ever is
    // done at some time, too.
    size_t look(size_t entries);
    bool done() const { return open_.empty(); }
    const TreeSize& size() const { return size_; }

private:
    TreeSize size_{}, bounds_;
    uint64_t looked_ = 0;
    std::vector<std::unique_ptr<DIR, int (*)(DIR*)>> open_{};
};
TreeSize sizeOfTree(const std::string& path, TreeSize bounds);

}  // namespace cf::sandbox
