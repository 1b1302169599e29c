// "dependencies" as the go.mod of a function that has none.
#include <algorithm>
#include <set>

#include "dependencies.hpp"

namespace go_executor {

using cloudfunction::Failed;

namespace {

constexpr std::string_view pathCharacters = "-._~+!";
constexpr std::string_view versionCharacters = "-._+<>=~/";

bool consistsOf(std::string_view text, std::string_view others) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || others.find(c) != std::string_view::npos;
    });
}

// Elements between slashes; the first is a host, so it has a dot.
bool isModulePath(std::string_view path) {
    bool first = true;
    while (true) {
        const size_t end = std::min(path.find('/'), path.size());
        const std::string_view element = path.substr(0, end);
        if (!consistsOf(element, pathCharacters) || element.front() == '.' || element.back() == '.' || element.front() == '-') return false;
        if (first && element.find('.') == std::string_view::npos) return false;
        if (end == path.size()) return !first;
        first = false;
        path.remove_prefix(end + 1);
    }
}

[[noreturn]] void refuse(std::string_view dependency, const std::string& why) {
    throw Failed(CF_INVALID, "\"" + std::string(dependency) + "\" " + why,
                 "Write what `go get` takes: \"github.com/google/uuid@v1.6.0\", or without a version for the latest one.");
}

}  // namespace

cloudfunction::ManifestFile writeManifest(const std::vector<std::string_view>& dependencies) {
    // The first line tells the builder whose work it is (builder/manifest.go).
    std::string text = "// Made of \"dependencies\".\nmodule function\n\n";
    std::set<std::string_view> seen;
    for (const std::string_view dependency : dependencies) {
        const size_t at = std::min(dependency.find('@'), dependency.size());
        const std::string_view path = dependency.substr(0, at);
        const std::string_view version = at < dependency.size() ? dependency.substr(at + 1) : "latest";
        if (!isModulePath(path)) refuse(dependency, "is not the path of a Go module");
        if (!consistsOf(version, versionCharacters)) refuse(dependency, "has no proper version after its @");
        if (version == "none") refuse(dependency, "asks for no version");
        if (!seen.insert(path).second) refuse(dependency, "is there twice");
        text.append("require ").append(path).append(" ").append(version).append("\n");
    }
    return {"go.mod", text};
}

}  // namespace go_executor
