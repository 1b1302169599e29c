// What the process that unpacks an archive tells the platform: frames on its standard output, and
// their reader, which believes nothing of it. An archive is made by anybody and libarchive is half
// a million lines; the process that runs it may be in an attacker's hands.
//
// A frame is its kind (one byte), the size of what follows (four bytes, little-endian), and that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.hpp"
#include "functions/function.hpp"

namespace cf::app {

struct ArchiveLimits {
    uint64_t archiveBytes = 50ull << 20;
    uint64_t unpackedBytes = 100'000'000;  // contents of all files together
    uint32_t entries = 20'000;             // files and folders
    uint32_t pathBytes = 1024;             // of a name, as functions::Limits has it
};

enum class ArchiveFrame : char {
    folder = 'D',   // its name
    file = 'F',     // its name; its contents follow
    content = 'C',  // the next bytes of the file
    refused = 'R',  // why the archive is refused, one sentence; the last frame
    done = 'E',     // nothing; the last frame
};
constexpr size_t archiveFrameBytes = 64 * 1024;  // largest payload

// The name of an entry as sentences show it: at most 200 bytes of it, in quotation marks.
std::string quotedEntry(std::string_view name);

// A refused archive: reason invalid_archive.
base::Failure invalidArchive(std::string detail, std::string hint = {});
base::Failure tooManyEntries(const ArchiveLimits& limits);
base::Failure unpacksTooLarge(const ArchiveLimits& limits);

// Turns frames into sources, and checks every rule of archives again. One thread.
class ArchiveReader {
public:
    explicit ArchiveReader(const ArchiveLimits& limits) : limits_(limits) {}

    // The next bytes, in any pieces. False once the archive is refused: nothing more is taken.
    bool take(std::string_view bytes);
    // At the end of the output. The sources by name, without a single folder around them all
    // (archives of code hosts have one) and without what macOS adds. Failures:
    // invalid_archive; sandbox_failed when the output is no sequence of frames or stops in it.
    base::Result<std::vector<functions::SourceFile>> finish();
    bool complete() const { return complete_; }

private:
    void frame(ArchiveFrame kind, std::string_view payload);
    void named(std::string_view name, bool folder);
    void refuse(base::Failure failure);
    void broken();

    const ArchiveLimits limits_;
    std::string pending_;  // the beginning of a frame
    std::vector<functions::SourceFile> files_;
    std::vector<std::string> folders_;
    uint64_t bytes_ = 0;
    bool inFile_ = false;
    bool complete_ = false;
    std::optional<base::Failure> failure_;
};

// The same without the folder that holds everything, if there is one.
void stripCommonFolder(std::vector<functions::SourceFile>& files);

}  // namespace cf::app
