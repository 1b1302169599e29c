// The properties file, through a file in memory.
#include <sys/mman.h>
#include <unistd.h>

#include "app/settings.hpp"
#include "base/unique_fd.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const cf::base::UniqueFd file(::memfd_create("properties", MFD_CLOEXEC));
    if (!file || ::write(file.get(), data, size) != static_cast<ssize_t>(size)) return 0;
    const auto read = cf::app::readSettings("/proc/self/fd/" + std::to_string(file.get()));
    for (const auto& error : read.errors) cf::fuzz::require(!error.empty(), "a mistake is a sentence");
    if (read.errors.empty()) {
        cf::fuzz::require(!read.settings.addresses.empty(), "settings that are taken are complete");
        cf::fuzz::require(!read.settings.dataDir.empty(), "and name a data folder");
    }
    return 0;
}
