#include "specifier.hpp"

#include <algorithm>
#include <map>
#include <string>

namespace node_executor {

using cloudfunction::Failed;
using cloudfunction::jsonString;

namespace {

constexpr size_t longestName = 214;  // npm's own limit
constexpr const char* form =
    "write a package's name and, if wanted, a version behind @, e.g. axios@1 or @scope/name@^2.1";

bool isLetterOrDigit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// A name or one half of a scoped one. Old packages have upper-case letters in theirs.
bool isNamePart(std::string_view part) {
    return !part.empty() && part[0] != '.' && part[0] != '_' && part[0] != '-' &&
           std::all_of(part.begin(), part.end(), [](char c) {
               return isLetterOrDigit(c) || c == '-' || c == '.' || c == '_' || c == '~';
           });
}

// Versions, ranges and tags; npm knows which of them exist.
bool isRange(std::string_view range) {
    return !range.empty() && std::all_of(range.begin(), range.end(), [](char c) {
        return isLetterOrDigit(c) ||
               std::string_view(".-_+*^~<>=| ").find(c) != std::string_view::npos;
    });
}

[[noreturn]] void refuse(std::string_view entry, const std::string& why) {
    throw Failed(CF_INVALID, jsonString(entry) + " " + why, form);
}

bool isElsewhere(std::string_view text) {
    return text.find(':') != std::string_view::npos || text.starts_with('.') ||
           text.starts_with('/') || text.starts_with("~/") ||
           (text.find('/') != std::string_view::npos && !text.starts_with('@'));
}

}  // namespace

bool isPackageName(std::string_view name) {
    if (name.size() > longestName || name == "node_modules" || name == "favicon.ico") return false;
    if (!name.starts_with('@')) return isNamePart(name);
    const size_t slash = name.find('/');
    return slash != std::string_view::npos && isNamePart(name.substr(1, slash - 1)) &&
           isNamePart(name.substr(slash + 1));
}

cloudfunction::ManifestFile writePackageJson(const std::vector<std::string_view>& dependencies) {
    std::map<std::string, std::string, std::less<>> ranges;
    for (const std::string_view entry : dependencies) {
        const size_t at = entry.find('@', 1);
        const std::string_view name = entry.substr(0, at);
        const std::string_view range =
            at == std::string_view::npos ? std::string_view("*") : entry.substr(at + 1);
        if (isElsewhere(name) || isElsewhere(range)) {
            refuse(entry,
                   "is an address or a path; only packages of the registry can be listed here. A "
                   "package.json under files takes archives over https too");
        }
        if (!isPackageName(name)) refuse(entry, "is not a package's name");
        if (!isRange(range)) {
            refuse(entry, range.empty() ? "has an @ and no version behind it"
                                        : "has something behind the @ that is not a version");
        }
        if (!ranges.emplace(name, range).second) {
            refuse(entry, "asks for " + std::string(name) + " a second time; keep one of them");
        }
    }
    std::string content = "{\n  \"private\": true,\n  \"dependencies\": {";
    for (const auto& [name, range] : ranges) {
        content += content.back() == '{' ? "\n" : ",\n";
        content += "    " + jsonString(name) + ": " + jsonString(range);
    }
    return {"package.json", content + "\n  }\n}\n"};
}

}  // namespace node_executor
