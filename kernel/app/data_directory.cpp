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

base::Result<DataDirectory> DataDirectory::open(const std::string& path) {
    std::error_code error;
    std::filesystem::create_directories(path + "/.cloudfunction", error);
    if (error) return base::Failure{.reason = "start_failed", .detail = "cannot create the data directory " + path + ": " + error.message()};
    ::chmod((path + "/.cloudfunction").c_str(), 0700);
    DataDirectory directory;
    directory.path_ = path;
    const std::string file = directory.own("lock");
    directory.lock_.reset(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!directory.lock_) return base::Failure{.reason = "start_failed", .detail = "cannot open " + file + ": " + std::strerror(errno)};
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
