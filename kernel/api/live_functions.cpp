#include "api/live_functions.hpp"

#include <array>

#include "functions/registry.hpp"

namespace cf::api {

const LiveFunction* LiveFunctions::find(std::string_view idOrName) const {
    if (const auto at = byId_.find(idOrName); at != byId_.end()) return &at->second;
    // Names are at most 64 characters of ASCII: lower case on the stack, no allocation on the invocation path.
    std::array<char, 64> key;
    if (idOrName.size() > key.size()) return nullptr;
    for (size_t i = 0; i < idOrName.size(); ++i) {
        const char c = idOrName[i];
        key[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    const auto id = idByName_.find(std::string_view(key.data(), idOrName.size()));
    if (id == idByName_.end()) return nullptr;
    const auto at = byId_.find(id->second);
    return at == byId_.end() ? nullptr : &at->second;
}

void LiveFunctions::put(LiveFunction function) {
    const std::string id = function.target->functionId;
    if (const auto old = byId_.find(id); old != byId_.end()) forgetName(old->second);
    idByName_[functions::nameKey(function.target->functionName)] = id;
    byId_[id] = std::move(function);
}

void LiveFunctions::remove(const std::string& id) {
    const auto at = byId_.find(id);
    if (at == byId_.end()) return;
    forgetName(at->second);
    byId_.erase(at);
}

void LiveFunctions::forgetName(const LiveFunction& function) {
    const auto name = idByName_.find(functions::nameKey(function.target->functionName));
    if (name != idByName_.end() && name->second == function.target->functionId) idByName_.erase(name);
}

}  // namespace cf::api
