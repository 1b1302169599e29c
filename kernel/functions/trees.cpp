#include "functions/trees.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "base/log.hpp"
#include "base/unique_fd.hpp"

namespace cf::functions {

namespace fs = std::filesystem;

base::Failure diskFailure(const std::string& what, const std::error_code& error) {
    if (error == std::errc::no_space_on_device)
        return {.reason = "disk_full",
                .detail = "the disk of the platform's data is full; nothing was saved",
                .hint = "free some room and save again"};
    return {.reason = "store_failed", .detail = what + ": " + error.message()};
}

bool isFull(const std::string& directory) {
    constexpr unsigned long long room = 1 << 20;
    struct statvfs disk {};
    if (::statvfs(directory.c_str(), &disk) != 0 || disk.f_blocks == 0) return false;
    // Some file systems do not count files.
    const bool countsFiles = disk.f_files != 0;
    return disk.f_bavail * disk.f_frsize < room || (countsFiles && disk.f_favail == 0);
}

std::error_code lastError() { return {errno, std::generic_category()}; }

base::Result<void> writeFile(const std::string& path, std::string_view bytes) {
    const base::UniqueFd fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return diskFailure("the file " + path + " cannot be written", lastError());
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return diskFailure("the file " + path + " cannot be written", lastError());
        bytes.remove_prefix(static_cast<size_t>(written));
    }
    return {};
}

base::Result<void> writeSources(const std::string& directory,
                                const std::vector<SourceFile>& sources) {
    for (const SourceFile& file : sources) {
        const fs::path path = fs::path(directory) / file.name;
        std::error_code error;
        fs::create_directories(path.parent_path(), error);
        if (error) return diskFailure("the folder of " + file.name + " cannot be made", error);
        if (auto written = writeFile(path.string(), file.content); !written) return written;
    }
    return {};
}

namespace {

Extent walk(const std::string& directory, bool seal, std::error_code& error) {
    Extent extent;
    for (fs::recursive_directory_iterator at(directory, error), end; !error && at != end;
         at.increment(error)) {
        struct stat info {};
        if (::lstat(at->path().c_str(), &info) != 0) error = lastError();
        if (error) break;
        if (S_ISREG(info.st_mode)) {
            extent.files += 1;
            extent.bytes += static_cast<uint64_t>(info.st_size);
        }
        const mode_t mode = S_ISDIR(info.st_mode) || (info.st_mode & S_IXUSR) != 0 ? 0555 : 0444;
        if (seal && !S_ISLNK(info.st_mode) && ::chmod(at->path().c_str(), mode) != 0)
            error = lastError();
        if (error) break;
    }
    return extent;
}

}  // namespace

Extent measureTree(const std::string& directory, std::error_code& error) {
    return walk(directory, false, error);
}

Extent sealTree(const std::string& directory, std::error_code& error) {
    return walk(directory, true, error);
}

base::Result<void> moveSealed(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0)
        return diskFailure("what was built cannot be moved to " + to, lastError());
    ::chmod(to.c_str(), 0555);
    return {};
}

base::Result<void> syncDisk(const std::string& directory) {
    const base::UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::syncfs(fd.get()) != 0)
        return diskFailure("what was built cannot be brought to the disk", lastError());
    return {};
}

namespace {

// A folder that is being emptied, under its name in the one above it.
struct Emptied {
    std::string name{};
    struct stat self {};
    std::vector<std::string> folders{};  // that are left in it
};

// Opens a folder so that its entries can be removed; read-only ones refuse that.
base::UniqueFd openToEmpty(int parent, const char* name) {
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    base::UniqueFd fd(::openat(parent, name, flags));
    if (!fd && errno == EACCES && ::fchmodat(parent, name, 0700, 0) == 0)
        fd.reset(::openat(parent, name, flags));
    if (fd) ::fchmod(fd.get(), 0700);
    return fd;
}

// Removes whatever is no folder, and names the folders.
bool emptyOfFiles(int folder, std::vector<std::string>& folders) {
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(
        ::fdopendir(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), ::closedir);
    if (!stream) return false;
    while (const dirent* const entry = ::readdir(stream.get())) {
        const std::string_view name = entry->d_name;
        if (name == "." || name == ".." || ::unlinkat(folder, entry->d_name, 0) == 0) continue;
        if (errno != EISDIR && errno != EPERM) return false;
        folders.emplace_back(name);
    }
    return true;
}

// Step by step from folder to folder, with one of them open: a tree may be deeper than descriptors
// are allowed, and its names longer than a path may be. False with errno.
bool removeBelow(int parent, const std::string& top) {
    if (::unlinkat(parent, top.c_str(), 0) == 0 || errno == ENOENT) return true;
    std::vector<Emptied> way;
    base::UniqueFd here;
    const auto enter = [&](const std::string& name) {
        auto folder = openToEmpty(here ? here.get() : parent, name.c_str());
        if (!folder) return false;
        Emptied next{.name = name};
        if (::fstat(folder.get(), &next.self) != 0 || !emptyOfFiles(folder.get(), next.folders))
            return false;
        way.push_back(std::move(next));
        here = std::move(folder);
        return true;
    };
    if (!enter(top)) return false;
    for (;;) {
        if (auto& folders = way.back().folders; !folders.empty()) {
            const std::string name = std::move(folders.back());
            folders.pop_back();
            if (::unlinkat(here.get(), name.c_str(), AT_REMOVEDIR) != 0 && !enter(name))
                return false;
            continue;
        }
        const std::string name = std::move(way.back().name);
        way.pop_back();
        if (way.empty()) return ::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0;
        base::UniqueFd above(::openat(here.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        struct stat self {};
        if (!above || ::fstat(above.get(), &self) != 0) return false;
        // What was moved meanwhile leads elsewhere.
        if (self.st_ino != way.back().self.st_ino || self.st_dev != way.back().self.st_dev) {
            errno = EXDEV;
            return false;
        }
        here = std::move(above);
        if (::unlinkat(here.get(), name.c_str(), AT_REMOVEDIR) != 0) return false;
    }
}

}  // namespace

void removeTree(const std::string& directory) {
    const fs::path path(directory);
    const base::UniqueFd parent(
        ::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent && removeBelow(parent.get(), path.filename())) return;
    // Not there, or gone meanwhile.
    if (errno == ENOENT) return;
    base::logWarning("functions", "cannot remove " + directory + ": " + lastError().message());
}

}  // namespace cf::functions
