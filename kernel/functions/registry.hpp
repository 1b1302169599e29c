// All functions of the platform, in memory: what invocations look up. Entries are immutable and
// replaced whole, so a reader that holds one keeps a consistent function for as long as it likes.
// Thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "functions/function.hpp"

namespace cf::functions {

// The form under which a name is unique.
std::string nameKey(std::string_view name);

class Registry {
public:
    // By id ("fn_...") or by name without regard to case; null when there is none. Costs one shared
    // lock and one look-up; callers that ask for every request may keep the answer while generation()
    // stays the same.
    FunctionPtr find(std::string_view idOrName) const;
    // Grows with every change of the registry.
    uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
    // In no order.
    std::vector<FunctionPtr> all() const;
    // Up to `most` functions in the order of nameKey(), the first ones behind `key`; all of them are
    // behind an empty one.
    std::vector<FunctionPtr> after(std::string_view key, size_t most) const;
    size_t size() const;

    // FunctionService only. Adds or replaces the function with this id, under its present name
    // alone.
    void put(FunctionPtr entry);
    void remove(const std::string& id);

private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    mutable std::shared_mutex mutex_;
    std::unordered_map<std::string, FunctionPtr, Hash, std::equal_to<>> byId_;
    std::map<std::string, FunctionPtr, std::less<>> byName_;  // by nameKey()
    std::atomic<uint64_t> generation_{0};
};

}  // namespace cf::functions
