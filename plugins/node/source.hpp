// What the files of a function are and which of them the handler lies in.
#pragma once

#include <string>
#include <string_view>

#include "cloudfunction/executor.hpp"

namespace node_executor {

enum class Language {
    none,
    script,
    typed
};  // typed: needs esbuild before Node.js can read it (.ts, .tsx, .jsx, ...)

// By file name; declarations (.d.ts) and packages (node_modules/) are `none`: taken as they are.
Language languageOf(std::string_view file);

// Where a handler lies: "handler" in the main file, "util.handler" in util.js, "src/util.handler"
// in src/util.js.
struct Entry {
    std::string file;  // empty: there is none
    std::string name;
    std::string
        problem;  // a sentence about the handler or the missing file; empty when all is well
};

Entry entryOf(const cloudfunction::FunctionInfo& function);

// Value of a text member of a package.json's content; empty when there is none.
std::string packageMember(std::string_view json, const char* key);

const cloudfunction::File* findFile(const cloudfunction::FunctionInfo& function,
                                    std::string_view name);

}  // namespace node_executor
