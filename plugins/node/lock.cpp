#include "lock.hpp"

#include <simdjson.h>

#include <algorithm>

#include "cloudfunction/executor.hpp"

namespace node_executor {

namespace {

constexpr std::string_view folder = "node_modules/";

bool flag(simdjson::dom::object package, const char* name) {
    bool value = false;
    return package[name].get(value) == simdjson::SUCCESS && value;
}

// "node_modules/a/node_modules/@b/c" is the package "@b/c".
std::string_view nameIn(std::string_view path) {
    const size_t at = path.rfind(folder);
    return at == std::string_view::npos ? path : path.substr(at + folder.size());
}

void add(std::vector<std::string>& names, std::string_view name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
}

}  // namespace

Lock::Lock(std::string_view file, std::string_view content) {
    simdjson::dom::parser parser;
    simdjson::dom::object root, packages;
    if (parser.parse(content.data(), content.size()).get(root) != simdjson::SUCCESS) {
        throw cloudfunction::Failed(CF_INVALID, std::string(file) + " is not a JSON object",
                                    "make it anew with npm install --package-lock-only, or leave "
                                    "it out");
    }
    if (root["packages"].get(packages) != simdjson::SUCCESS) {
        decisive_ = simdjson::minify(root);
        tellsScripts_ = false;
        simdjson::dom::object old;
        if (root["dependencies"].get(old) == simdjson::SUCCESS)
            for (const auto [name, value] : old) add(topLevel_, name);
        return;
    }
    for (const auto [path, value] : packages) {
        simdjson::dom::object package;
        if (path.empty() || value.get(package) != simdjson::SUCCESS) continue;
        if (flag(package, "dev")) continue;
        decisive_ += cloudfunction::jsonString(path) + ":" + simdjson::minify(value) + "\n";
        const std::string_view name = nameIn(path);
        if (path.size() == folder.size() + name.size()) add(topLevel_, name);
        if (flag(package, "hasInstallScript"))
            add(flag(package, "optional") || flag(package, "devOptional") ? optionalScripts_
                                                                          : scripts_,
                name);
    }
}

std::string Lock::nameOf(std::string_view content, std::string_view integrity) {
    simdjson::dom::parser parser;
    simdjson::dom::object root, packages;
    if (integrity.empty() ||
        parser.parse(content.data(), content.size()).get(root) != simdjson::SUCCESS ||
        root["packages"].get(packages) != simdjson::SUCCESS)
        return {};
    for (const auto [path, value] : packages) {
        std::string_view known;
        if (value["integrity"].get(known) == simdjson::SUCCESS &&
            known.find(integrity) != std::string_view::npos)
            return std::string(nameIn(path));
    }
    return {};
}

}  // namespace node_executor
