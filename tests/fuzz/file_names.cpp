// Names of source files, against what the C++ library thinks of them as paths; and base64.
#include <filesystem>

#include "functions/sources.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace cf;
    using fuzz::require;
    const std::string_view name = fuzz::textOf(data, size);
    if (functions::whyUnsafeFileName(name, 512).empty()) {
        const std::filesystem::path path(name), below = std::filesystem::path("/root") / path;
        require(!path.empty() && path.is_relative() && path.has_filename(), "a safe name names a file");
        require(path.lexically_normal() == path, "by its shortest way");
        require(below.lexically_normal().string() == "/root/" + std::string(name), "below its folder");
        require(name.find('\0') == std::string_view::npos, "Linux sees all of it");
    }
    if (const auto bytes = functions::decodeBase64(name))
        require(functions::decodeBase64(functions::encodeBase64(*bytes)) == bytes, "base64 keeps bytes");
    require(functions::decodeBase64(functions::encodeBase64(name)) == std::string(name),
            "any bytes have a base64");
    return 0;
}
