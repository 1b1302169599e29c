#include "package_json.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>

#include "source.hpp"
#include "specifier.hpp"

namespace node_executor {

using cloudfunction::Failed;

namespace {

constexpr size_t mostPackages = 2000;
constexpr std::array<const char*, 3> needed = {"dependencies", "optionalDependencies",
                                               "peerDependencies"};
constexpr std::array<const char*, 10> decides = {"dependencies",
                                                 "optionalDependencies",
                                                 "peerDependencies",
                                                 "peerDependenciesMeta",
                                                 "devDependencies",
                                                 "overrides",
                                                 "engines",
                                                 "bundleDependencies",
                                                 "bundledDependencies",
                                                 "acceptDependencies"};

// Where `"name":` begins in `json`, behind the first `"dependencies"`-like word when there is one.
size_t placeOf(std::string_view json, std::string_view name) {
    const std::string quoted = cloudfunction::jsonString(name);
    const size_t section = json.find("ependencies\"");
    for (size_t at = section == std::string_view::npos ? 0 : section;
         (at = json.find(quoted, at)) != std::string_view::npos; ++at) {
        const size_t colon = json.find_first_not_of(" \t\r\n", at + quoted.size());
        if (colon != std::string_view::npos && json[colon] == ':') return at;
    }
    return std::string_view::npos;
}

[[noreturn]] void refuseForm(const char* section, const std::string& found) {
    throw Failed(CF_INVALID,
                 std::string("package.json has something else than names and versions in ") +
                     cloudfunction::jsonString(section) + ": " + found.substr(0, 80),
                 "write {\"axios\": \"^1.6.0\"}: a name and a version, both in quotes");
}

bool isVersion(std::string_view range) {
    return range.find_first_of(":/") == std::string_view::npos;
}

}  // namespace

PackageJson::PackageJson(std::string_view content) {
    if (content.starts_with("\xEF\xBB\xBF")) content.remove_prefix(3);
    simdjson::dom::parser parser;
    simdjson::dom::object object;
    if (parser.parse(content.data(), content.size()).get(object) != simdjson::SUCCESS) {
        if (!simdjson::validate_utf8(content))
            throw Failed(CF_INVALID, "package.json is not text in UTF-8", "save it as UTF-8");
        throw Failed(CF_INVALID, "package.json is not a JSON object",
                     "see whether a comma or a quote is missing; JSON has no comments");
    }
    for (const char* section : decides) {
        // Of two npm takes the last: others with the first alone would get this one's packages.
        if (std::count_if(object.begin(), object.end(),
                          [&](const auto& member) { return member.key == section; }) > 1) {
            throw Failed(CF_INVALID,
                         std::string("package.json has ") + cloudfunction::jsonString(section) +
                             " twice",
                         "put what both ask for into one of them");
        }
        simdjson::dom::element member;
        if (object[section].get(member) != simdjson::SUCCESS) continue;
        decisive_ += cloudfunction::jsonString(section) + ":" + simdjson::minify(member) + "\n";
    }
    for (const char* section : needed) {
        simdjson::dom::element member;
        simdjson::dom::object packages;
        if (object[section].get(member) != simdjson::SUCCESS || member.is_null()) continue;
        // npm would take it for nothing at all, and the function would find out when it runs.
        if (member.get(packages) != simdjson::SUCCESS) refuseForm(section, simdjson::minify(member));
        for (const auto [name, value] : packages) {
            std::string_view range;
            if (value.get(range) != simdjson::SUCCESS)
                refuseForm(section, "\"" + std::string(name) + "\": " + simdjson::minify(value));
            wanted_.push_back({std::string(name), std::string(range),
                               std::string_view(section) == "dependencies"});
        }
    }
    if (wanted_.size() > mostPackages)
        throw Failed(CF_INVALID, "package.json asks for " + std::to_string(wanted_.size()) +
                                     " packages, the limit is " + std::to_string(mostPackages));
    hasWorkspaces_ = object["workspaces"].error() == simdjson::SUCCESS;
}

cloudfunction::Remark remarkOn(std::string_view packageJson, std::string_view package,
                               std::string message) {
    cloudfunction::Remark remark{.file = "package.json", .message = std::move(message)};
    const size_t at = package.empty() ? std::string_view::npos : placeOf(packageJson, package);
    if (at == std::string_view::npos) return remark;
    const std::string_view before = packageJson.substr(0, at);
    remark.line = static_cast<uint32_t>(std::count(before.begin(), before.end(), '\n')) + 1;
    const size_t lineStart = before.rfind('\n');
    remark.column =
        static_cast<uint32_t>(at - (lineStart == std::string_view::npos ? 0 : lineStart + 1) + 1);
    return remark;
}

std::string refusedRange(const Wanted& wanted) {
    const std::string_view range = wanted.range;
    const std::string quoted = wanted.name + ": " + wanted.range;
    if (!isPackageName(wanted.name))
        return cloudfunction::jsonString(wanted.name) + " is not a package's name";
    if (range.starts_with('-')) return quoted + " is not a version";
    const auto is = [&](std::string_view prefix) { return range.starts_with(prefix); };
    if (is("file:") || is("link:") || is("workspace:") || is(".") || is("/") || is("~/")) {
        return quoted +
               " is a folder; packages come from a registry. Put its source under files and "
               "require it by its path, e.g. require('./lib')";
    }
    if (is("npm:") || is("http:") || is("https:") || isVersion(range)) {
        // An address of a repository ends in .git; everything else over HTTP is an archive.
        if (!range.ends_with(".git") && range.find(".git#") == std::string_view::npos) return {};
    }
    return quoted +
           " is a git repository; packages come from a registry or as an archive over https. Name "
           "a version instead, e.g. \"" +
           wanted.name + "\": \"^1.0.0\"";
}

}  // namespace node_executor
