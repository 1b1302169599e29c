#include "functions/registry.hpp"

#include <mutex>

namespace cf::functions {

std::string nameKey(std::string_view name) {
    std::string key(name);
    for (char& c : key)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return key;
}

FunctionPtr Registry::find(std::string_view idOrName) const {
    const bool isId = idOrName.substr(0, 3) == "fn_";
    if (isId) {
        const std::shared_lock lock(mutex_);
        const auto found = byId_.find(idOrName);
        return found == byId_.end() ? nullptr : found->second;
    }
    const std::string key = nameKey(idOrName);
    const std::shared_lock lock(mutex_);
    const auto found = byName_.find(key);
    return found == byName_.end() ? nullptr : found->second;
}

std::vector<FunctionPtr> Registry::all() const {
    const std::shared_lock lock(mutex_);
    std::vector<FunctionPtr> entries;
    entries.reserve(byId_.size());
    for (const auto& [id, entry] : byId_) entries.push_back(entry);
    return entries;
}

std::vector<FunctionPtr> Registry::after(std::string_view key, size_t most) const {
    const std::shared_lock lock(mutex_);
    std::vector<FunctionPtr> entries;
    for (auto at = byName_.upper_bound(key); at != byName_.end() && entries.size() < most; ++at)
        entries.push_back(at->second);
    return entries;
}

size_t Registry::size() const {
    const std::shared_lock lock(mutex_);
    return byId_.size();
}

void Registry::put(FunctionPtr entry) {
    const std::unique_lock lock(mutex_);
    FunctionPtr& slot = byId_[entry->function.id];
    if (slot) byName_.erase(nameKey(slot->function.name));
    byName_[nameKey(entry->function.name)] = entry;
    slot = std::move(entry);
    generation_.fetch_add(1, std::memory_order_release);
}

void Registry::remove(const std::string& id) {
    const std::unique_lock lock(mutex_);
    const auto found = byId_.find(id);
    if (found == byId_.end()) return;
    byName_.erase(nameKey(found->second->function.name));
    byId_.erase(found);
    generation_.fetch_add(1, std::memory_order_release);
}

}  // namespace cf::functions
