// Reads one log (log_file.hpp) from its newest line to its oldest, however large it is, while
// others write it: it is only kept from them where its files are opened. For one thread, one time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace cf::telemetry {

class LogReader {
public:
    using Take = std::function<bool(std::string_view line)>;

    // `files`: how many there are at most, with the active one.
    LogReader(std::string file, uint32_t files) : file_(std::move(file)), files_(files) {}

    // Opens the active file, or the next older one. False: there is none. Whoever writes the log
    // must wait meanwhile.
    bool open();
    // Gives the lines of that file to `take` until it returns false. False: the file was emptied
    // meanwhile, by rotation for one; what was given is not the end of the log.
    bool read(const Take& take);

private:
    struct File {
        base::UniqueFd fd{};
        off_t size = 0;
    };
    static File openFile(const std::string& path);
    File openOlder() const;
    bool readBlock(std::string& block, off_t at) const;

    std::string file_;
    uint32_t files_;
    uint32_t number_ = 0;
    bool begun_ = false;
    File current_{};
    File older_{};  // opened together with `current_`, so that rotation comes between no two
};

}  // namespace cf::telemetry
