#include "handler.hpp"

#include <algorithm>
#include <array>

namespace go_executor {

using cloudfunction::File;
using cloudfunction::FunctionInfo;
using cloudfunction::Remarks;

namespace {

constexpr std::array<std::string_view, 25> keywords = {
    "break", "case", "chan", "const", "continue", "default", "defer", "else", "fallthrough",
    "for", "func", "go", "goto", "if", "import", "interface", "map", "package",
    "range", "return", "select", "struct", "switch", "type", "var"};

constexpr size_t longestHandler = 128;

// Letters beyond ASCII are the compiler's to judge.
bool isIdentifier(std::string_view text) {
    if (text.empty() || text.size() > longestHandler || (text[0] >= '0' && text[0] <= '9')) return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               static_cast<unsigned char>(c) >= 0x80;
    });
}

std::string handlerProblem(std::string_view handler) {
    if (!isIdentifier(handler))
        return "the handler is the name of a function in the top folder: letters, digits and _ only, at most " +
               std::to_string(longestHandler) + " bytes";
    if (handler == "_" || std::find(keywords.begin(), keywords.end(), handler) != keywords.end())
        return "\"" + std::string(handler) + "\" cannot be the name of a Go function";
    if (handler == "main" || handler == "init")
        return "\"" + std::string(handler) + "\" cannot be the handler: Go calls it by itself; give your function another name";
    return {};
}

}  // namespace

Remarks checkFunction(const FunctionInfo& function) {
    Remarks remarks;
    if (std::string problem = handlerProblem(function.handler); !problem.empty())
        remarks.push_back({.file = {}, .message = std::move(problem)});
    const auto isSource = [](const File& file) {
        return file.name.find('/') == std::string_view::npos && file.name.ends_with(".go") && !file.name.ends_with("_test.go");
    };
    if (std::none_of(function.files.begin(), function.files.end(), isSource))
        remarks.push_back({.file = {}, .message = "there is no .go file in the top folder; the handler must be there, e.g. in main.go"});
    for (const File& file : function.files)
        if (file.name.substr(0, 15) == "cloudfunction__")
            remarks.push_back({.file = std::string(file.name), .message = "names that begin with cloudfunction__ belong to generated files"});
    return remarks;
}

}  // namespace go_executor
