// Step 2 in detail: the parts of a sandbox's file system. All of this runs in the new process. The
// new root is put together at a staging place and entered at the end, so paths of the machine keep
// their meaning until then.
#pragma once

#include <string>

#include "sandbox/recipe.hpp"
#include "sandbox/uid_slots.hpp"

namespace cf::sandbox {

// The one directory of every machine that is never the source of a mount, and needs no cleaning up
// afterwards.
constexpr const char* stagingPath = "/proc";

class NewRoot {
public:
    NewRoot(const Launch& launch, const Setup& setup);

    const Launch& launch() const { return launch_; }
    const Setup& setup() const { return setup_; }
    int fd() const { return root_.get(); }

    void directory(const std::string& path, mode_t mode = 0755) const;
    void link(const std::string& target, const std::string& path) const;
    void file(const std::string& path, const std::string& content) const;
    // A small tmpfs of its own. `options` as for mount(8).
    void temporary(const std::string& path, const std::string& options) const;
    // Makes `source` of the machine appear at `path`, with everything mounted below it. False:
    // there is no source.
    bool bind(const std::string& source, const std::string& path, uint64_t attributes) const;
    // The same for an open directory.
    void bindOpen(int source, const std::string& name, const std::string& path,
                  uint64_t attributes) const;
    // Opens the place for a mount, making it and its parents (0755) where it is missing. Symbolic
    // links are followed inside the new root only.
    base::UniqueFd target(const std::string& path, bool isDirectory) const;
    // Where `path` of the new root is while it is being built.
    std::string staged(const std::string& path) const { return stagingPath + path; }

private:
    void attach(int tree, const std::string& name, const std::string& path, uint64_t attributes,
                bool isDirectory) const;

    const Launch& launch_;
    const Setup& setup_;
    base::UniqueFd root_;
};

void addDevices(const NewRoot& root);
void addProc(const NewRoot& root);
void addEtc(const NewRoot& root);
void addMounts(const NewRoot& root);
// Every overlay mount of the request gets its scratch layer from one tmpfs, made here.
void addOverlay(const NewRoot& root, const Mount& mount, size_t index);

// Changes the owner of a tree, symbolic links themselves included, without following one and
// without leaving its file system. Only what belongs to `from` changes hands: a link to somebody
// else's file is left alone. Gives the first errno, 0 when all went well.
int changeOwner(const std::string& path, UidRange from, uid_t toUid, gid_t toGid);
// The same for an open directory, which is used up.
int changeOwner(int directory, UidRange from, uid_t toUid, gid_t toGid);

}  // namespace cf::sandbox
