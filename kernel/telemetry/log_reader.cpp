#include "telemetry/log_reader.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "telemetry/log_file.hpp"

namespace cf::telemetry {

namespace {

constexpr off_t blockBytes = 64 << 10;
// No line of ours is longer; the rest of such a line is passed over.
constexpr size_t longestLine = 256u << 10;

bool isFile(const std::string& path, int fd) {
    struct stat there {
    }, open{};
    return ::stat(path.c_str(), &there) == 0 && ::fstat(fd, &open) == 0 &&
           there.st_ino == open.st_ino && there.st_dev == open.st_dev;
}

}  // namespace

LogReader::File LogReader::openFile(const std::string& path) {
    File file{.fd = base::UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK))};
    struct stat info {};
    if (file.fd && ::fstat(file.fd.get(), &info) == 0 && S_ISREG(info.st_mode))
        file.size = info.st_size;
    return file;
}

LogReader::File LogReader::openOlder() const {
    for (uint32_t n = number_ + 1; n < files_; ++n)
        if (File file = openFile(rotatedLog(file_, n)); file.fd) return file;
    return {};
}

bool LogReader::open() {
    if (!begun_) {
        begun_ = true;
        current_ = openFile(file_);
    } else {
        current_ = std::move(older_);
        if (!current_.fd) return false;
        // Where it is now.
        do ++number_;
        while (number_ < files_ && !isFile(rotatedLog(file_, number_), current_.fd.get()));
    }
    older_ = openOlder();
    return true;
}

bool LogReader::readBlock(std::string& block, off_t at) const {
    for (size_t have = 0; have < block.size();) {
        const ssize_t got = ::pread(current_.fd.get(), block.data() + have, block.size() - have,
                                    at + static_cast<off_t>(have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        have += static_cast<size_t>(got);
    }
    return true;
}

bool LogReader::read(const Take& take) {
    std::string block, newest, rest;  // `rest`: the line that began before the last block
    off_t at = current_.size;
    bool tooLong = false;
    for (bool more = true; more && at > 0;) {
        block.resize(static_cast<size_t>(std::min(blockBytes, at)));
        at -= static_cast<off_t>(block.size());
        if (!readBlock(block, at)) return false;
        if (newest.empty()) newest = block;
        std::string_view text = block;
        if (newest.size() == static_cast<size_t>(current_.size - at) && text.ends_with('\n'))
            text.remove_suffix(1);
        for (size_t end; more && (end = text.rfind('\n')) != std::string_view::npos;) {
            rest.insert(0, text.substr(end + 1));
            more = tooLong || take(rest);
            tooLong = false;
            rest.clear();
            text = text.substr(0, end);
        }
        rest.insert(0, text);
        if (rest.size() > longestLine) {
            tooLong = true;
            rest.clear();
        }
        if (more && at == 0 && !tooLong) take(rest);
    }
    // Lines are appended, so the last ones stand where they stood, unless the file was emptied.
    return newest.empty() ||
           (readBlock(block = newest, current_.size - static_cast<off_t>(newest.size())) &&
            block == newest);
}

}  // namespace cf::telemetry
