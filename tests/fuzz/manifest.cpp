// Manifests of executors: plugins are trusted to run, not to write well.
#include "executors/manifest.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace cf;
    const auto manifest = executors::parseManifest(fuzz::textOf(data, size));
    if (!manifest) {
        fuzz::require(!manifest.failure().detail.empty(), "a refusal says why");
        return 0;
    }
    for (const auto& runtime : manifest->runtimes) {
        fuzz::require(executors::isSourceName(runtime.sourceFile), "sources have safe names");
        fuzz::require(manifest->find(runtime.name) != nullptr, "a runtime is found by its name");
    }
    return 0;
}
