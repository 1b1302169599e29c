// Whole archives through the program that unpacks them, and its words through their reader: the
// program ends well, and says nothing that the reader does not understand.
#include <sys/mman.h>
#include <unistd.h>

#include "app/archive_frames.hpp"
#include "app/unpack.hpp"
#include "base/unique_fd.hpp"
#include "fuzz.hpp"

namespace {

const char* const mostBytes = "65536";
const char* const mostEntries = "50";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace cf;
    app::looksLike(fuzz::textOf(data, size));
    const base::UniqueFd input(::memfd_create("archive", MFD_CLOEXEC));
    const base::UniqueFd output(::memfd_create("frames", MFD_CLOEXEC));
    if (!input || !output || ::write(input.get(), data, size) != static_cast<ssize_t>(size)) return 0;
    ::lseek(input.get(), 0, SEEK_SET);
    ::dup2(input.get(), STDIN_FILENO);
    ::dup2(output.get(), STDOUT_FILENO);
    fuzz::require(app::unpackMain({mostBytes, mostBytes, mostEntries}) == 0, "it ends well");
    const app::ArchiveLimits limits{.archiveBytes = 65536, .unpackedBytes = 65536, .entries = 50};
    app::ArchiveReader reader(limits);
    const off_t said = ::lseek(output.get(), 0, SEEK_END);
    std::string bytes(static_cast<size_t>(said), '\0');
    if (::pread(output.get(), bytes.data(), bytes.size(), 0) != said) return 0;
    reader.take(bytes);
    const auto files = reader.finish();
    if (!files)
        fuzz::require(files.failure().reason == "invalid_archive", "what is refused is the archive");
    return 0;
}
