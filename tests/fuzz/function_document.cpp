// Bodies that create and change functions, up to the draft that would be stored.
#include "functions/document.hpp"
#include "fuzz.hpp"
#include "functions/sources.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace cf;
    auto document = base::JsonDocument::parse(fuzz::textOf(data, size));
    if (!document) return 0;
    const functions::Limits limits;
    const auto patch = functions::readPatch(document->root(), limits);
    if (!patch) return 0;
    for (const auto& error : patch->errors)
        fuzz::require(!error.pointer.empty() && !error.detail.empty(), "a refused field is named");
    if (!patch->errors.empty()) return 0;
    if (patch->name.value)
        fuzz::require(functions::whyInvalidName(*patch->name.value).empty(), "names are valid");
    if (patch->files.value) {
        fuzz::require(patch->files.value->size() <= limits.files, "files are counted");
        for (const auto& file : *patch->files.value)
            fuzz::require(functions::whyUnsafeFileName(file.name, limits.pathBytes).empty(),
                          "file names are safe");
    }
    return 0;
}
