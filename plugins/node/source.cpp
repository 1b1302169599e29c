#include "source.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>

namespace node_executor {

using cloudfunction::File;
using cloudfunction::FunctionInfo;

namespace {

constexpr std::array<std::string_view, 8> extensions = {".js",  ".mjs", ".cjs", ".ts",
                                                        ".mts", ".cts", ".tsx", ".jsx"};

constexpr std::array<std::string_view, 45> reservedWords = {
    "await",  "break",    "case",   "catch",      "class",   "const",     "continue",   "debugger",
    "delete", "do",       "else",   "enum",       "export",  "extends",   "false",      "finally",
    "for",    "function", "if",     "implements", "import",  "in",        "instanceof", "interface",
    "let",    "new",      "null",   "package",    "private", "protected", "public",     "return",
    "static", "super",    "switch", "this",       "throw",   "true",      "try",        "typeof",
    "var",    "void",     "while",  "with",       "yield"};

// Letters beyond ASCII are left to the language itself.
bool isIdentifier(std::string_view name) {
    const auto starts = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
               (c & 0x80) != 0;
    };
    if (name.empty() || !starts(name[0])) return false;
    return std::all_of(name.begin(), name.end(),
                       [&](char c) { return starts(c) || (c >= '0' && c <= '9'); });
}

std::string withExtension(const FunctionInfo& function, std::string_view stem) {
    for (const auto extension : extensions) {
        std::string name = std::string(stem) + std::string(extension);
        if (findFile(function, name) != nullptr) return name;
    }
    return {};
}

// For a handler without a file: index.*, what package.json calls main, or the only file with code.
std::string mainFile(const FunctionInfo& function) {
    if (std::string name = withExtension(function, "index"); !name.empty()) return name;
    if (const File* package = findFile(function, "package.json")) {
        std::string name = packageMember(package->content, "main");
        if (name.starts_with("./")) name.erase(0, 2);
        if (findFile(function, name) != nullptr) return name;
        if (name = withExtension(function, name); !name.empty()) return name;
    }
    const File* only = nullptr;
    for (const auto& file : function.files) {
        if (languageOf(file.name) == Language::none) continue;
        if (only != nullptr) return {};
        only = &file;
    }
    return only != nullptr ? std::string(only->name) : std::string{};
}

}  // namespace

Language languageOf(std::string_view file) {
    if (file.starts_with("node_modules/") ||
        file.find("/node_modules/") != std::string_view::npos) {
        return Language::none;
    }
    const size_t dot = file.rfind('.');
    if (dot == std::string_view::npos) return Language::none;
    if (file.ends_with(".d.ts") || file.ends_with(".d.mts") || file.ends_with(".d.cts"))
        return Language::none;
    const auto found = std::find(extensions.begin(), extensions.end(), file.substr(dot));
    if (found == extensions.end()) return Language::none;
    return found - extensions.begin() < 3 ? Language::script : Language::typed;
}

const File* findFile(const FunctionInfo& function, std::string_view name) {
    const auto found = std::find_if(function.files.begin(), function.files.end(),
                                    [&](const File& file) { return file.name == name; });
    return found == function.files.end() ? nullptr : &*found;
}

std::string packageMember(std::string_view json, const char* key) {
    simdjson::dom::parser parser;
    simdjson::dom::element package;
    std::string_view value;
    if (parser.parse(json.data(), json.size()).get(package) != simdjson::SUCCESS) return {};
    return package[key].get(value) == simdjson::SUCCESS ? std::string(value) : std::string{};
}

Entry entryOf(const FunctionInfo& function) {
    Entry entry;
    const size_t dot = function.handler.rfind('.');
    entry.name = function.handler.substr(dot == std::string_view::npos ? 0 : dot + 1);
    const std::string_view stem =
        dot == std::string_view::npos ? std::string_view{} : function.handler.substr(0, dot);
    const std::string quoted = "\"" + entry.name + "\"";
    if (!isIdentifier(entry.name) || (dot != std::string_view::npos && stem.empty())) {
        entry.problem =
            "handler must be the name of a function, e.g. handler, or file and function, e.g. "
            "index.handler";
    } else if (std::find(reservedWords.begin(), reservedWords.end(), entry.name) !=
               reservedWords.end()) {
        entry.problem =
            quoted + " is a reserved word of the language and cannot be the name of a function";
    } else if (entry.file = stem.empty() ? mainFile(function) : withExtension(function, stem);
               entry.file.empty()) {
        entry.problem =
            stem.empty()
                ? "there is no index.js or index.ts; name the file in the handler, e.g. main." + entry.name
                : "there is no file " + std::string(stem) + ".js or .ts for the handler " +
                      std::string(function.handler);
    }
    return entry;
}

}  // namespace node_executor
