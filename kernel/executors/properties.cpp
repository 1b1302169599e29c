#include "executors/properties.hpp"

#include <algorithm>
#include <charconv>

namespace cf::executors {

namespace {

bool takes(const Property& property, const std::string& value) {
    if (!property.values.empty())
        return std::ranges::find(property.values, value) != property.values.end();
    if (!property.range) return true;
    uint64_t number = 0;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
    return read.ec == std::errc{} && read.ptr == value.data() + value.size() &&
           number >= property.range->first && number <= property.range->second;
}

std::string rangeOf(const Property& property) {
    if (property.range)
        return std::to_string(property.range->first) + "-" + std::to_string(property.range->second);
    std::string words;
    for (const auto& word : property.values) (words += words.empty() ? "" : ", ") += word;
    return words;
}

std::string sentenceOn(const Executor::Facts& facts, const std::string& key,
                       const std::string& value) {
    const auto& known = *facts.manifest.properties;
    const std::string name = "executor." + facts.id + "." + key;
    const auto property = std::ranges::find(known, key, &Property::name);
    if (property != known.end())
        return takes(*property, value)
                   ? ""
                   : name + " = \"" + value + "\" is not accepted; it takes " + rangeOf(*property);
    std::string names;
    for (const auto& one : known) (names += names.empty() ? "" : ", ") += one.name;
    return "unknown property \"" + name + "\"; executor " + facts.id +
           (names.empty() ? " has none" : " has " + names);
}

using Executors = std::vector<std::shared_ptr<const Executor>>;

// Of two with one id the first has it, and its manifest.
Executors::const_iterator find(const Executors& executors, const std::string& id) {
    return std::ranges::find_if(executors, [&](const auto& one) { return one->facts().id == id; });
}

WrongProperty missing(const std::string& key, const std::string& property, const std::string& id,
                      const Executors& executors) {
    WrongProperty wrong{key, property + "; there is no executor \"" + id + "\""};
    std::string ids;
    for (const auto& executor : executors) {
        const std::string& known = executor->facts().id;
        if (known.empty())
            wrong.maybe = true;
        else
            ids += (ids.empty() ? ", only " : ", ") + known;
    }
    wrong.sentence += ids;
    return wrong;
}

}  // namespace

std::vector<WrongProperty> findWrongProperties(
    const std::map<std::string, std::string>& properties,
    const std::vector<std::shared_ptr<const Executor>>& executors) {
    std::vector<WrongProperty> wrong;
    for (const auto& [key, value] : properties) {
        const size_t dot = key.find('.');
        const std::string id = key.substr(0, dot);
        const auto executor = find(executors, id);
        if (executor == executors.end())
            wrong.push_back(
                missing(key, "unknown property \"executor." + key + "\"", id, executors));
        else if ((*executor)->facts().manifest.properties)
            if (auto sentence = sentenceOn((*executor)->facts(), key.substr(dot + 1), value);
                !sentence.empty())
                wrong.push_back({key, std::move(sentence)});
    }
    return wrong;
}

std::vector<WrongProperty> findMissingExecutors(
    const std::string& key, const std::vector<std::string>& ids,
    const std::vector<std::shared_ptr<const Executor>>& executors) {
    std::vector<WrongProperty> wrong;
    for (const std::string& id : ids)
        if (find(executors, id) == executors.end())
            wrong.push_back(missing(key, key + " is not accepted", id, executors));
    return wrong;
}

}  // namespace cf::executors
