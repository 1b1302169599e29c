#include "handler.hpp"

#include <algorithm>
#include <array>

namespace cf::python {

namespace {

using cloudfunction::File;
using cloudfunction::FunctionInfo;
using cloudfunction::Remark;
using cloudfunction::Remarks;

constexpr size_t longestHandler = 200;
constexpr std::array keywords = {
    "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
    "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
    "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
    "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield"};

bool isIdentifier(std::string_view name) {
    const auto letter = [](unsigned char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
    };
    const auto digit = [](unsigned char c) { return c >= '0' && c <= '9'; };
    return !name.empty() && letter(static_cast<unsigned char>(name.front())) &&
           std::all_of(name.begin(), name.end(),
                       [&](char c) {
                           const auto byte = static_cast<unsigned char>(c);
                           return letter(byte) || digit(byte);
                       }) &&
           std::find(keywords.begin(), keywords.end(), name) == keywords.end();
}

bool isSource(const File& file) { return file.name.ends_with(".py"); }

std::vector<const File*> topSources(const FunctionInfo& function) {
    std::vector<const File*> sources;
    for (const auto& file : function.files)
        if (isSource(file) && file.name.find('/') == std::string_view::npos)
            sources.push_back(&file);
    return sources;
}

const File* named(const FunctionInfo& function, std::string_view name) {
    for (const auto& file : function.files)
        if (file.name == name) return &file;
    return nullptr;
}

std::string namesOf(const std::vector<const File*>& files) {
    std::string names;
    for (const auto* file : files) {
        if (names.size() > 200) return names + ", ...";
        names += (names.empty() ? "" : ", ") + std::string{file->name};
    }
    return names;
}

// The file a handler without a module is in, or an error.
const File* onlySource(const FunctionInfo& function, Remarks& remarks) {
    const auto sources = topSources(function);
    if (const auto* main = named(function, "main.py")) return main;
    if (sources.size() == 1) return sources.front();
    if (sources.empty())
        remarks.push_back({"", 0, 0, "there is no .py file to look for the handler in", false});
    else
        remarks.push_back(
            {"", 0, 0,
             "the handler \"" + std::string{function.handler} + "\" does not say which of " +
                 namesOf(sources) + " it is in; write it as module.function, for example \"" +
                 std::string{sources.front()->name.substr(0, sources.front()->name.size() - 3)} +
                 "." + std::string{function.handler} + "\"",
             false});
    return nullptr;
}

const File* moduleSource(const FunctionInfo& function, std::string_view module, Remarks& remarks) {
    std::string base{module};
    std::replace(base.begin(), base.end(), '.', '/');
    for (const char* ending : {".py", "/__init__.py"})
        if (const auto* file = named(function, base + ending)) return file;
    remarks.push_back(
        {"", 0, 0,
         "the handler \"" + std::string{function.handler} + "\" names the file " + base +
             ".py, which does not exist; " +
             (function.fromCode ? "code in one file needs no module: write \"" +
                                      std::string{function.handler.substr(module.size() + 1)} + "\""
                                : "the files are " + namesOf(topSources(function))),
         false});
    return nullptr;
}

}  // namespace

Remarks checkFunction(const FunctionInfo& function) {
    Remarks remarks;
    for (const auto& [name, value] : function.environment)
        if (name == "PYTHONHOME" || name == "PYTHONPLATLIBDIR")
            remarks.push_back({"", 0, 0,
                               "the environment variable " + std::string{name} +
                                   " cannot be set: the platform decides where Python finds itself",
                               false});
    const std::string_view handler = function.handler;
    std::string_view rest = handler;
    bool sound = handler.size() <= longestHandler;
    while (sound) {
        const auto dot = rest.find('.');
        sound = isIdentifier(rest.substr(0, dot));
        if (dot == std::string_view::npos) break;
        rest.remove_prefix(dot + 1);
    }
    if (!sound) {
        remarks.push_back(
            {"", 0, 0,
             "the handler must be a function's name, or module.function, of at most " +
                 std::to_string(longestHandler) +
                 " bytes, for example \"handler\" or \"main.handler\"",
             false});
        return remarks;
    }
    const auto dot = handler.rfind('.');
    const bool bare = dot == std::string_view::npos;
    const auto* file = bare ? onlySource(function, remarks)
                            : moduleSource(function, handler.substr(0, dot), remarks);
    const auto name = bare ? handler : handler.substr(dot + 1);
    if (file != nullptr && file->content.find(name) == std::string_view::npos)
        remarks.push_back({std::string{file->name}, 0, 0,
                           std::string{file->name} + " does not mention \"" + std::string{name} +
                               "\", the handler; write `def " + std::string{name} +
                               "(event, context):`",
                           true});
    return remarks;
}

}  // namespace cf::python
