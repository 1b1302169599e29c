#include "lock.hpp"

#include <simdjson.h>

#include <algorithm>
#include <initializer_list>
#include <set>
#include <span>
#include <utility>

#include "checksum.hpp"
#include "cloudfunction/executor.hpp"
#include "package_json.hpp"

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

// How npm reads the rest of a lock depends on these, too.
void addMembers(simdjson::dom::object object, std::initializer_list<const char*> names,
                std::string& text) {
    for (const char* name : names) {
        simdjson::dom::element member;
        if (object[name].get(member) == simdjson::SUCCESS)
            text += cloudfunction::jsonString(name) + ":" + simdjson::minify(member) + "\n";
    }
}

// A name that stands twice in one object. Two readers may take two of its values: what was checked
// here would not be what npm installs.
std::string_view repeatedIn(const simdjson::dom::element& element) {
    simdjson::dom::object object;
    simdjson::dom::array array;
    std::string_view found;
    if (element.get(array) == simdjson::SUCCESS) {
        for (const auto item : array)
            if (found = repeatedIn(item); !found.empty()) return found;
    }
    if (element.get(object) != simdjson::SUCCESS) return {};
    std::vector<std::string_view> names;
    for (const auto [name, value] : object) {
        if (found = repeatedIn(value); !found.empty()) return found;
        names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    return twice == names.end() ? std::string_view{} : *twice;
}

std::string_view textOf(simdjson::dom::object package, const char* name) {
    std::string_view value;
    return package[name].get(value) == simdjson::SUCCESS ? value : std::string_view{};
}

bool insideOfProject(std::string_view address) {
    constexpr std::string_view scheme = "file:";
    if (address.starts_with(scheme)) address.remove_prefix(scheme.size());
    return !address.starts_with('/') && !address.starts_with("..") &&
           address.find("/..") == std::string_view::npos;
}

// Whether npm would take whatever a registry or a server gives for it.
bool isUnpinned(std::string_view path, simdjson::dom::object package) {
    const std::string_view resolved = textOf(package, "resolved");
    if (flag(package, "link")) return !insideOfProject(resolved);
    if (resolved.starts_with("file:") && insideOfProject(resolved)) return false;
    if (isChecksum(textOf(package, "integrity"))) return false;
    // Folders of the project itself, which links point to.
    if (path.find(folder) == std::string_view::npos) return false;
    // It comes in the archive of the package in whose folder it lies; the function has no archive.
    return !flag(package, "inBundle") || path.rfind(folder) == path.find(folder);
}

// The form of npm 6: packages in packages.
void findUnpinned(simdjson::dom::object packages, const std::string& outer,
                  std::vector<Lock::Unpinned>& found) {
    for (const auto [name, value] : packages) {
        simdjson::dom::object package, inner;
        if (value.get(package) != simdjson::SUCCESS) continue;
        const std::string place = outer + std::string(folder) + std::string(name);
        const std::string_view version = textOf(package, "version");
        const bool bundled = flag(package, "bundled") && !outer.empty();
        const bool own = version.starts_with("file:") && insideOfProject(version);
        if (!flag(package, "dev") && !bundled && !own && !isChecksum(textOf(package, "integrity")))
            found.push_back({place, std::string(name)});
        if (package["dependencies"].get(inner) == simdjson::SUCCESS)
            findUnpinned(inner, place + "/", found);
    }
}

// Finds the lines of the text where they begin, of as many as are told.
void locate(std::string_view content, std::vector<Lock::Unpinned>& packages) {
    for (auto& one : std::span(packages).first(std::min(packages.size(), mostRemarks))) {
        size_t at = content.find(cloudfunction::jsonString(one.place));
        if (at == content.npos) at = content.find(cloudfunction::jsonString(one.name));
        if (at == content.npos) continue;
        const std::string_view before = content.substr(0, at);
        one.line = static_cast<uint32_t>(std::count(before.begin(), before.end(), '\n')) + 1;
        one.column = static_cast<uint32_t>(at - (before.rfind('\n') + 1)) + 1;
    }
}

}  // namespace

Lock::Lock(std::string_view file, std::string_view content) {
    simdjson::dom::parser parser;
    simdjson::dom::element document;
    simdjson::dom::object root, packages;
    if (parser.parse(content.data(), content.size()).get(document) != simdjson::SUCCESS ||
        document.get(root) != simdjson::SUCCESS) {
        throw cloudfunction::Failed(CF_INVALID, std::string(file) + " is not a JSON object",
                                    "make it anew with npm install --package-lock-only, or leave "
                                    "it out");
    }
    if (const auto twice = repeatedIn(document); !twice.empty()) {
        throw cloudfunction::Failed(
            CF_INVALID,
            std::string(file) + " has " + cloudfunction::jsonString(twice) + " twice in one object",
            "make it anew with npm install --package-lock-only, or leave it out");
    }
    if (root["packages"].get(packages) != simdjson::SUCCESS) {
        decisive_ = simdjson::minify(root);
        tellsScripts_ = false;
        simdjson::dom::object old;
        if (root["dependencies"].get(old) == simdjson::SUCCESS) {
            for (const auto [name, value] : old) topLevel_.emplace_back(name);
            findUnpinned(old, {}, unpinned_);
        }
        locate(content, unpinned_);
        return;
    }
    addMembers(root, {"lockfileVersion", "requires"}, decisive_);
    std::set<std::pair<bool, std::string_view>> withScripts;
    for (const auto [path, value] : packages) {
        simdjson::dom::object package;
        if (value.get(package) != simdjson::SUCCESS) continue;
        if (path.empty()) {
            addMembers(package,
                       {"dependencies", "devDependencies", "optionalDependencies",
                        "peerDependencies", "peerDependenciesMeta", "bundleDependencies",
                        "workspaces"},
                       decisive_);
            continue;
        }
        decisive_ += cloudfunction::jsonString(path) + ":" + simdjson::minify(value) + "\n";
        const std::string_view name = nameIn(path);
        if (flag(package, "dev")) continue;
        if (isUnpinned(path, package))
            unpinned_.push_back({std::string(path), std::string(name)});
        if (path.size() == folder.size() + name.size()) topLevel_.emplace_back(name);
        if (!flag(package, "hasInstallScript")) continue;
        const bool optional = flag(package, "optional") || flag(package, "devOptional");
        if (withScripts.emplace(optional, name).second)
            (optional ? optionalScripts_ : scripts_).emplace_back(name);
    }
    locate(content, unpinned_);
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
