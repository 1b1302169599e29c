#include "app/data_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace cf::app {

namespace {

base::Failure cannot(const std::string& what, const std::string& path, int error) {
    return {.reason = "start_failed", .detail = "cannot " + what + " " + path + ": " + std::strerror(error)};
}

// One with a second name may be anybody's: whoever may write to the folder can have linked it there.
bool isPlainFile(int file) {
    struct stat status {};
    return ::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1;
}

}  // namespace

// This may be root, and the folder belongs to the user that the kernel process becomes: what an earlier process of that
// user left there, or changes at this moment, must not lead out of it. The way to the folder is the operator's.
base::Result<DataDirectory> DataDirectory::open(const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) return base::Failure{.reason = "start_failed", .detail = "cannot create the data directory " + path + ": " + error.message()};
    DataDirectory directory;
    directory.path_ = path;
    const base::UniqueFd top(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!top) return cannot("open the data directory", path, errno);
    const bool isNew = ::mkdirat(top.get(), ".cloudfunction", 0700) == 0;
    if (!isNew && errno != EEXIST) return cannot("create", path + "/.cloudfunction", errno);
    const base::UniqueFd own(::openat(top.get(), ".cloudfunction", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!own) return cannot("open", path + "/.cloudfunction", errno);
    ::fchmod(own.get(), 0700);
    const std::string file = directory.own("lock");
    directory.lock_.reset(::openat(own.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    if (!directory.lock_) return cannot("open", file, errno);
    if (!isPlainFile(directory.lock_.get())) return base::Failure{.reason = "start_failed", .detail = file + " is not a file with one name; remove it"};
    // An operator may have made the folder for the user that the kernel process becomes.
    struct stat owner {};
    if (isNew && ::geteuid() == 0 && ::fstat(top.get(), &owner) == 0)
        for (const int made : {directory.lock_.get(), own.get()})
            if (::fchown(made, owner.st_uid, owner.st_gid) != 0) return cannot("give away", path + "/.cloudfunction", errno);
    if (::flock(directory.lock_.get(), LOCK_EX | LOCK_NB) != 0) {
        char pid[32] = {};
        const ssize_t got = ::pread(directory.lock_.get(), pid, sizeof pid - 1, 0);
        return base::Failure{.reason = "start_failed",
                             .detail = "the data directory " + path + " is in use by another platform" +
                                       (got > 0 ? " (process " + std::string(pid, static_cast<size_t>(got)) + ")" : std::string{})};
    }
    const std::string pid = std::to_string(::getpid());
    if (::ftruncate(directory.lock_.get(), 0) != 0 || ::pwrite(directory.lock_.get(), pid.data(), pid.size(), 0) < 0)
        return base::Failure{.reason = "start_failed", .detail = "cannot write to the data directory " + path + ": " + std::strerror(errno)};
    return directory;
}

std::string DataDirectory::instance() const {
    struct stat status {};
    ::stat(path_.c_str(), &status);
    char text[40];
    std::snprintf(text, sizeof text, "%lx%lx", static_cast<unsigned long>(status.st_dev), static_cast<unsigned long>(status.st_ino));
    return text;
}

}  // namespace cf::app
