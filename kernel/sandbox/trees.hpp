// Whole folders, when strangers may have filled them: nothing here follows a symbolic link, runs
// out of descriptors or stack in a tree of any depth, or leaves the file system it began in.
// Launcher only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace cf::sandbox {

// Makes `target` a tree of its own folders (0755, owned by `uid` and `gid`) whose files are the
// very files of `source`, as hard links, and whose symbolic links are copies. Where hard links
// cannot be made (another file system), files are copied. Gives the first errno, 0 when all is
// there. `target` must not exist; what was made of it stays when it fails.
int linkTree(const std::string& source, const std::string& target, uid_t uid, gid_t gid);

// Removes `path` with everything in it; what belongs to nobody any more is no failure.
int removeTree(const std::string& path);

struct TreeSize {
    uint64_t bytes = 0;  // on the disk
    uint64_t files = 0;
};
// Looks no further once one of the two bounds is passed: its time has a limit, too.
TreeSize sizeOfTree(const std::string& path, TreeSize bounds);

}  // namespace cf::sandbox
