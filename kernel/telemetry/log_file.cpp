#include "telemetry/log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "base/unique_fd.hpp"

namespace cf::telemetry {

std::string rotatedLog(const std::string& file, uint32_t number) {
    return file + "." + std::to_string(number);
}

namespace {

bool copyAll(int from, int to, off_t size) {
    for (off_t done = 0; done < size;) {
        const ssize_t moved =
            ::copy_file_range(from, &done, to, nullptr, static_cast<size_t>(size - done), 0);
        if (moved < 0 && errno == EINTR) continue;
        if (moved < 0 &&
            (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS)) {
            char piece[65536];
            const ssize_t got = ::pread(from, piece, sizeof piece, done);
            if (got <= 0 || ::write(to, piece, static_cast<size_t>(got)) != got) return false;
            done += got;
            continue;
        }
        if (moved <= 0) return false;
    }
    return true;
}

// Moves what `active` holds to <file>.1. Without room for a copy the old lines go, never the new
// ones.
bool rotate(const std::string& file, int active, off_t size, const LogRetention& retention) {
    if (retention.files > 1) {
        const std::string half = file + ".new";
        const base::UniqueFd copy(
            ::open(half.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, logFileMode));
        if (copy && copyAll(active, copy.get(), size)) {
            for (uint32_t n = retention.files - 1; n > 1; --n)
                ::rename(rotatedLog(file, n - 1).c_str(), rotatedLog(file, n).c_str());
            ::rename(half.c_str(), rotatedLog(file, 1).c_str());
        } else {
            ::unlink(half.c_str());
        }
    }
    return ::ftruncate(active, 0) == 0;
}

// 0: none.
uint32_t numberOf(std::string_view text) {
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() ? number : 0;
}

// The size of the lines at the beginning that fit into `room`.
size_t linesWithin(std::string_view lines, uint64_t room) {
    return room == 0 ? 0 : lines.rfind('\n', room - 1) + 1;  // npos + 1 is 0
}

bool writeAll(int fd, std::string_view lines, off_t size) {
    while (!lines.empty()) {
        const ssize_t put = ::write(fd, lines.data(), lines.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            // Half a line would be taken for a whole one later.
            const int error = errno;
            [[maybe_unused]] const int ignored = ::ftruncate(fd, size);
            errno = error;
            return false;
        }
        lines.remove_prefix(static_cast<size_t>(put));
    }
    return true;
}

}  // namespace

bool appendToLog(const std::string& file, std::string_view lines, const LogRetention& retention) {
    const base::UniqueFd fd(
        ::open(file.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, logFileMode));
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) return false;
    uint64_t size = static_cast<uint64_t>(info.st_size);
    while (!lines.empty()) {
        const uint64_t room = retention.fileBytes - std::min(retention.fileBytes, size);
        size_t part = lines.size() <= room ? lines.size() : linesWithin(lines, room);
        if (part == 0 && size > 0) {
            if (!rotate(file, fd.get(), static_cast<off_t>(size), retention)) return false;
            size = 0;
            continue;
        }
        if (part == 0) part = std::min(lines.find('\n'), lines.size() - 1) + 1;
        if (!writeAll(fd.get(), lines.substr(0, part), static_cast<off_t>(size))) return false;
        size += part;
        lines.remove_prefix(part);
    }
    return true;
}

void expireLog(const std::string& file, const LogRetention& retention) {
    const time_t oldest =
        ::time(nullptr) - std::chrono::duration_cast<std::chrono::seconds>(retention.age).count();
    const auto expired = [&](const std::string& path) {
        struct stat info {};
        return ::stat(path.c_str(), &info) == 0 && info.st_mtime < oldest && info.st_size > 0;
    };
    const std::filesystem::path active(file);
    const std::string prefix = active.filename().string() + ".";
    std::error_code error;
    for (std::filesystem::directory_iterator at(active.parent_path(), error), end;
         !error && at != end; at.increment(error)) {
        const std::string path = at->path().string(), name = at->path().filename().string();
        if (!name.starts_with(prefix)) continue;
        const uint32_t number = numberOf(std::string_view(name).substr(prefix.size()));
        if (number >= retention.files || (number > 0 && expired(path))) ::unlink(path.c_str());
    }
    if (expired(file)) [[maybe_unused]]
        const int ignored = ::truncate(file.c_str(), 0);
}

}  // namespace cf::telemetry
