// Whether the properties executor.<id>.<key> are ones that the executors of this platform know, and
// their values ones that they take, and whether executors that other properties name are there.
// Pure; used by app/ when the executors are there.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "executors/executor.hpp"

namespace cf::executors {

struct WrongProperty {
    std::string key{};       // "lua.path", as it was given
    std::string sentence{};  // what is wrong, and what is known or taken
    // An executor that could not be asked for its id may be the one that is meant.
    bool maybe = false;
};

// `properties`: keys without "executor." ("lua.path"). Executors whose manifest has no "properties"
// may have any.
std::vector<WrongProperty> findWrongProperties(
    const std::map<std::string, std::string>& properties,
    const std::vector<std::shared_ptr<const Executor>>& executors);

// `ids`: those that the property `key` names; one result for each that no executor has.
std::vector<WrongProperty> findMissingExecutors(
    const std::string& key, const std::vector<std::string>& ids,
    const std::vector<std::shared_ptr<const Executor>>& executors);

}  // namespace cf::executors
