#include "executors/plugin_table.hpp"

#include <cstring>
#include <exception>

#include "base/json.hpp"
#include "executors/manifest.hpp"

namespace cf::executors {

namespace {

void put(char (&room)[1024], std::string_view value) {
    size_t size = std::min(value.size(), sizeof room - 1);
    while (size < value.size() && size > 0 &&
           (static_cast<unsigned char>(value[size]) & 0xC0) == 0x80)
        --size;
    if (size > 0) std::memcpy(room, value.data(), size);
    room[size] = '\0';
}

std::string textOf(const char (&room)[1024]) {
    return base::toValidUtf8({room, strnlen(room, sizeof room)});
}

std::string version(unsigned major, unsigned minor) {
    return std::to_string(major) + "." + std::to_string(minor);
}

// The name of the first operation that is missing, or null.
const char* missingOperation(const cf_executor& table) {
    if (table.create == nullptr) return "create";
    if (table.destroy == nullptr) return "destroy";
    if (table.probe == nullptr) return "probe";
    if (table.describe == nullptr) return "describe";
    if (table.validate == nullptr) return "validate";
    if (table.prepare == nullptr) return "prepare";
    if (table.plan == nullptr) return "plan";
    if (table.describe_exit == nullptr) return "describe_exit";
    if (table.discard == nullptr) return "discard";
    if (table.get_extension == nullptr) return "get_extension";
    return nullptr;
}

}  // namespace

base::Failure pluginRefused(std::string detail, std::string hint) {
    return {.reason = "plugin_refused", .detail = std::move(detail), .hint = std::move(hint)};
}

cf_status fillError(cf_error* error, cf_status status, std::string_view message,
                    std::string_view hint) {
    if (error == nullptr) return status;
    if (CF_HAS(error, message)) put(error->message, message);
    if (CF_HAS(error, hint)) put(error->hint, hint);
    return status;
}

std::string errorMessage(const cf_error& error, std::string_view fallback) {
    std::string message = textOf(error.message);
    return message.empty() ? std::string(fallback) : message;
}

std::string errorHint(const cf_error& error) { return textOf(error.hint); }

base::Result<PluginTable> readPlugin(cf_executor_entry_fn entry, const cf_host* host) {
    auto error = prefixed<cf_error>();
    const cf_executor* given = nullptr;
    try {
        given = entry(host, &error);
    } catch (const std::exception& exception) {
        return pluginRefused(std::string("cf_executor_entry threw an exception: ") + exception.what());
    } catch (...) {
        return pluginRefused("cf_executor_entry threw an exception");
    }
    if (given == nullptr)
        return pluginRefused(errorMessage(error, "cf_executor_entry returned nothing"), errorHint(error));

    // The prefix never changes, so it may be read before anything else is known.
    if (given->abi_major != CF_ABI_MAJOR)
        return pluginRefused("it was built for ABI " + version(given->abi_major, given->abi_minor) +
                           ", this platform has ABI " + version(CF_ABI_MAJOR, CF_ABI_MINOR),
                       "build it against this platform's SDK");
    constexpr size_t sizeOfFirstRelease =
        offsetof(cf_executor, get_extension) + sizeof(given->get_extension);
    if (given->struct_size < sizeOfFirstRelease)
        return pluginRefused("its table of operations has " + std::to_string(given->struct_size) +
                           " bytes, ABI 1.0 needs " + std::to_string(sizeOfFirstRelease),
                       "set struct_size to sizeof(cf_executor)");

    PluginTable table;
    table.operations = copyPrefixed(given);
    table.abi = version(given->abi_major, given->abi_minor);
    if (table.operations.requires_minor > CF_ABI_MINOR)
        return pluginRefused("it requires ABI " + version(CF_ABI_MAJOR, table.operations.requires_minor) +
                           ", this platform has ABI " + version(CF_ABI_MAJOR, CF_ABI_MINOR),
                       "update the platform, or use an older release of the executor");
    if (const uint64_t unknown = table.operations.requires_bits & ~knownRequirements; unknown != 0)
        return pluginRefused("it requires feature bit " + std::to_string(__builtin_ctzll(unknown)) +
                           ", which this platform does not know",
                       "update the platform, or use an older release of the executor");
    if (const char* missing = missingOperation(table.operations))
        return pluginRefused(std::string("its operation ") + missing + " is missing (null)");

    table.id = viewText(table.operations.id);
    if (!isId(table.id, false))
        return pluginRefused("its id is not [a-z][a-z0-9_]* of at most 64 characters");
    table.version = viewText(table.operations.version);
    if (table.version.empty() || table.version.size() > 64 ||
        base::toValidUtf8(table.version) != table.version)
        return pluginRefused("its version is not a text of 1 to 64 bytes");
    return table;
}

}  // namespace cf::executors
