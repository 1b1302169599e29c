// The kernel's careful look at what a plugin hands over: entry point, prefix, versions, operations,
// id. Used twice with the same rules: in the throw-away probe process and, once that went well, in
// the kernel itself.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/failure.hpp"
#include "cloudfunction/executor.h"

namespace cf::executors {

// Bits of cf_executor.requires_bits that this platform knows. None defined yet.
constexpr uint64_t knownRequirements = 0;

// Reason plugin_refused: this file is not taken as an executor.
base::Failure pluginRefused(std::string detail, std::string hint = {});

// Copies what both sides know of a struct that begins with a prefix; the rest stays zero. `from`
// must not be null.
template <typename T>
T copyPrefixed(const T* from) {
    static_assert(std::is_trivially_copyable_v<T>);
    T copy;
    std::memset(&copy, 0, sizeof copy);
    const uint32_t size =
        from->struct_size < sizeof(T) ? from->struct_size : static_cast<uint32_t>(sizeof(T));
    std::memcpy(&copy, from, size);
    return copy;
}

// A view as text; a null pointer with a size counts as empty. Valid as long as the view.
inline std::string_view viewText(cf_view view) {
    return view.data == nullptr ? std::string_view{}
                                : std::string_view{view.data, static_cast<size_t>(view.size)};
}

inline cf_view toView(std::string_view text) { return {text.data(), text.size()}; }

template <typename T>
T prefixed() {
    T value;
    std::memset(&value, 0, sizeof value);
    value.struct_size = sizeof(T);
    value.abi_major = CF_ABI_MAJOR;
    value.abi_minor = CF_ABI_MINOR;
    return value;
}

// Fills an error that a plugin gave room for; null is allowed. Cut at a character's edge.
cf_status fillError(cf_error* error, cf_status status, std::string_view message,
                    std::string_view hint = {});

// What a plugin wrote into `error`, as valid UTF-8; `fallback` when it wrote nothing.
std::string errorMessage(const cf_error& error, std::string_view fallback);
std::string errorHint(const cf_error& error);

// An executor's table after all checks: every operation is there.
struct PluginTable {
    cf_executor operations{};
    std::string id{};
    std::string version{};
    std::string abi{};  // "1.0": the version it was built against
};

// Calls the entry point and checks what it returns. Exceptions that escape from it are failures
// too. Failure reason: plugin_refused.
base::Result<PluginTable> readPlugin(cf_executor_entry_fn entry, const cf_host* host);

}  // namespace cf::executors
