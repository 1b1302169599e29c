// What an unpacking process in an attacker's hands may say.
#include "app/archive_frames.hpp"
#include "fuzz.hpp"
#include "functions/sources.hpp"

namespace {

using namespace cf;

base::Result<std::vector<functions::SourceFile>> read(std::string_view bytes, size_t piece) {
    const app::ArchiveLimits limits{.archiveBytes = 1 << 20, .unpackedBytes = 1000, .entries = 20};
    app::ArchiveReader reader(limits);
    while (!bytes.empty() && reader.take(bytes.substr(0, piece)))
        bytes.remove_prefix(std::min(piece, bytes.size()));
    auto files = reader.finish();
    if (!files) return files;
    size_t sum = 0;
    fuzz::require(!files->empty() && files->size() <= limits.entries, "files are counted");
    for (const auto& file : *files) {
        sum += file.content.size();
        fuzz::require(functions::whyUnsafeFileName(file.name, limits.pathBytes).empty(),
                      "every name is safe");
    }
    fuzz::require(sum <= limits.unpackedBytes, "contents are measured");
    return files;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes = fuzz::textOf(data, size);
    const auto whole = read(bytes, bytes.size()), pieces = read(bytes, 1 + size % 11);
    fuzz::require(bool(whole) == bool(pieces), "pieces give the same verdict as the whole");
    if (!whole) {
        fuzz::require(whole.failure().reason == pieces.failure().reason, "and the same reason");
        return 0;
    }
    fuzz::require(whole->size() == pieces->size(), "and the same files");
    for (size_t i = 1; i < whole->size(); ++i)
        fuzz::require((*whole)[i - 1].name < (*whole)[i].name, "no name comes twice");
    return 0;
}
