// package-lock.json and npm-shrinkwrap.json: what they say about the packages of a function.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace node_executor {

class Lock {
public:
    // A package whose bytes nothing in the lock pins down.
    struct Unpinned {
        std::string place;  // as the lock has it: "node_modules/a/node_modules/b"
        std::string name;
        uint32_t line = 0, column = 0;
    };

    // Throws Failed(CF_INVALID) when `content` is not a JSON object or says something twice; `file`
    // is its name in words.
    Lock(std::string_view file, std::string_view content);

    // All that decides what lies in node_modules, and nothing else: not the name of the function,
    // not what its code looks like. Developers' packages are part of it, because the flag that makes
    // them such is only a word of whoever wrote the lock.
    const std::string& decisive() const { return decisive_; }
    // Packages that a registry could replace unnoticed: they have no usable checksum, and are no
    // links, no files of the project and not part of another package's archive.
    const std::vector<Unpinned>& unpinned() const { return unpinned_; }
    // Packages that want to run a script when they are installed. Those of them that nothing needs
    // to work are in `optionalScripts`.
    const std::vector<std::string>& scripts() const { return scripts_; }
    const std::vector<std::string>& optionalScripts() const { return optionalScripts_; }
    // False for the form of npm 6: then any package may have a script.
    bool tellsScripts() const { return tellsScripts_; }
    // Names that the function's own code can import.
    const std::vector<std::string>& topLevel() const { return topLevel_; }
    // Name of the package with this checksum ("sha512-..."), or empty.
    static std::string nameOf(std::string_view content, std::string_view integrity);

private:
    std::string decisive_;
    std::vector<Unpinned> unpinned_;
    bool tellsScripts_ = true;
    std::vector<std::string> scripts_, optionalScripts_, topLevel_;
};

}  // namespace node_executor
