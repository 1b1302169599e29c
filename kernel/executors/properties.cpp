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

}  // namespace

std::vector<WrongProperty> findWrongProperties(
    const std::map<std::string, std::string>& properties,
    const std::vector<std::shared_ptr<const Executor>>& executors) {
    std::vector<WrongProperty> wrong;
    std::string ids;
    bool isUnknown = false;
    for (const auto& executor : executors) {
        if (executor->facts().id.empty())
            isUnknown = true;
        else
            (ids += ids.empty() ? "" : ", ") += executor->facts().id;
    }
    for (const auto& [key, value] : properties) {
        const size_t dot = key.find('.');
        const std::string id = key.substr(0, dot);
        // Of two with one id the first has it, and its manifest.
        const auto executor =
            std::ranges::find_if(executors, [&](const auto& one) { return one->facts().id == id; });
        if (executor == executors.end())
            wrong.push_back({key,
                             "unknown property \"executor." + key + "\"; there is no executor \"" +
                                 id + "\"" + (ids.empty() ? "" : ", only " + ids),
                             isUnknown});
        else if ((*executor)->facts().manifest.properties)
            if (auto sentence = sentenceOn((*executor)->facts(), key.substr(dot + 1), value);
                !sentence.empty())
                wrong.push_back({key, std::move(sentence)});
    }
    return wrong;
}

}  // namespace cf::executors
