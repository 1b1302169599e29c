#include "executors/plugin_store.hpp"

#include <Poco/SHA2Engine.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/unique_fd.hpp"

namespace cf::executors {

namespace fs = std::filesystem;

namespace {

constexpr off_t sizeLimit = off_t{512} << 20;

std::string because() { return std::string(": ") + std::strerror(errno); }

base::Failure writableByEverybody(const std::string& what, const std::string& path) {
    return pluginRefused(what + " may be written by every user of this machine", "chmod o-w " + path);
}

// The whole file, or false with errno set.
bool readAll(int fd, std::string& bytes) {
    char piece[64u << 10];
    for (;;) {
        const ssize_t got = ::read(fd, piece, sizeof piece);
        if (got == 0) return true;
        if (got < 0 && errno != EINTR) return false;
        if (got > 0) bytes.append(piece, static_cast<size_t>(got));
    }
}

bool writeAll(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd, bytes.data(), bytes.size());
        if (put < 0 && errno != EINTR) return false;
        if (put > 0) bytes.remove_prefix(static_cast<size_t>(put));
    }
    return true;
}

std::string sha256(const std::string& bytes) {
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    engine.update(bytes);
    return Poco::DigestEngine::digestToHex(engine.digest());
}

bool holds(const std::string& path, const std::string& bytes) {
    const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string there;
    return fd && readAll(fd.get(), there) && there == bytes;
}

}  // namespace

base::Result<std::vector<std::string>> findPlugins(const std::string& folder) {
    struct stat info {};
    if (::stat(folder.c_str(), &info) != 0)
        return pluginRefused("the executors folder " + folder + " cannot be read" + because());
    if ((info.st_mode & S_IWOTH) != 0)
        return writableByEverybody("the executors folder " + folder, folder);
    std::vector<std::string> files;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
        if (at->path().extension() == ".so" && !at->is_directory(error))
            files.push_back(fs::absolute(at->path()).lexically_normal());
    if (error)
        return pluginRefused("the executors folder " + folder + " cannot be read: " + error.message());
    std::sort(files.begin(), files.end());
    return files;
}

base::Result<std::string> copyPlugin(const std::string& file, const std::string& directory) {
    // Looked at and read through one descriptor: what was judged is what gets copied.
    const base::UniqueFd from(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!from) return pluginRefused("it cannot be read" + because());
    struct stat info {};
    if (::fstat(from.get(), &info) != 0) return pluginRefused("it cannot be read" + because());
    if (!S_ISREG(info.st_mode)) return pluginRefused("it is not a regular file");
    if ((info.st_mode & S_IWOTH) != 0) return writableByEverybody("the file", file);
    if (info.st_size > sizeLimit) return pluginRefused("it is larger than 512 MB");
    std::string bytes;
    if (!readAll(from.get(), bytes)) return pluginRefused("it cannot be read" + because());

    std::string copy = directory + "/" + sha256(bytes) + ".so";
    if (holds(copy, bytes)) return copy;
    const std::string half = copy + ".new";
    const base::UniqueFd to(::open(half.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!to || !writeAll(to.get(), bytes) || ::rename(half.c_str(), copy.c_str()) != 0)
        return pluginRefused("it cannot be copied to " + directory + because());
    return copy;
}

void removeOtherCopies(const std::string& directory, const std::unordered_set<std::string>& used) {
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end;
         at.increment(error)) {
        std::error_code ignored;
        if (!used.contains(at->path())) fs::remove(at->path(), ignored);
    }
}

}  // namespace cf::executors
