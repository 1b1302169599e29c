#include "installer.hpp"

#include <simdjson.h>

namespace cf::python {

namespace {

void readPaths(const simdjson::dom::element& from, std::vector<std::string>& paths) {
    simdjson::dom::array list;
    if (from.get(list) != simdjson::SUCCESS) return;
    for (const simdjson::dom::element entry : list) {
        std::string_view path;
        if (entry.get(path) == simdjson::SUCCESS) paths.emplace_back(path);
    }
}

}  // namespace

Installer Installer::fromJson(std::string_view json) {
    Installer installer;
    simdjson::dom::parser parser;
    simdjson::dom::element said, part;
    std::string_view version;
    if (parser.parse(simdjson::padded_string(json)).get(said) != simdjson::SUCCESS ||
        said["version"].get(version) != simdjson::SUCCESS)
        return installer;
    installer.version = version;
    installer.json = simdjson::minify(said);
    if (said["mounts"].get(part) == simdjson::SUCCESS) readPaths(part, installer.mounts);
    if (said["secrets"].get(part) == simdjson::SUCCESS) readPaths(part, installer.secrets);
    simdjson::dom::array pairs;
    if (said["environment"].get(pairs) == simdjson::SUCCESS)
        for (const simdjson::dom::element pair : pairs) {
            std::string_view name, value;
            if (pair.at(0).get(name) == simdjson::SUCCESS &&
                pair.at(1).get(value) == simdjson::SUCCESS)
                installer.environment.emplace_back(name, value);
        }
    return installer;
}

}  // namespace cf::python
