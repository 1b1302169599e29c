#include "functions/file_names.hpp"

#include <unicase.h>
#include <uninorm.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace cf::functions {

namespace {

struct Entry {
    std::string key{};
    const FileName* file = nullptr;
};

std::string quoted(std::string_view name) { return "\"" + std::string(name.substr(0, 200)) + "\""; }

std::string whyTwice(const FileName& one, const FileName& other) {
    if (one.folder != other.folder)
        return quoted(other.name) + " is a file and a folder at the same time";
    if (one.name == other.name) return "the same file name appears twice";
    return "the same file name appears twice: " + quoted(one.name) + " and " + quoted(other.name) +
           " differ in upper and lower case or in the form of their letters only";
}

}  // namespace

std::string fileNameKey(std::string_view name) {
    std::string key(name);
    const auto isAscii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (std::all_of(name.begin(), name.end(), isAscii)) {
        for (char& c : key)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
        return key;
    }
    size_t size = 0;
    const std::unique_ptr<uint8_t, decltype(&std::free)> folded(
        u8_casefold(reinterpret_cast<const uint8_t*>(name.data()), name.size(), nullptr,
                    UNINORM_NFC, nullptr, &size),
        &std::free);
    if (folded) key.assign(reinterpret_cast<const char*>(folded.get()), size);
    return key;
}

std::vector<NameClash> findNameClashes(const std::vector<FileName>& names) {
    std::vector<Entry> entries;
    entries.reserve(names.size());
    for (const FileName& file : names) {
        entries.push_back({fileNameKey(file.name), &file});
        // With '/' below every other character a folder stands right in front of what is in it.
        std::replace(entries.back().key.begin(), entries.back().key.end(), '/', '\x01');
    }
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.key < b.key; });
    std::vector<NameClash> clashes;
    for (size_t i = 1; i < entries.size(); ++i) {
        const Entry &one = entries[i - 1], &other = entries[i];
        if (one.key == other.key) {
            if (!one.file->folder || !other.file->folder)
                clashes.push_back({other.file->name, whyTwice(*one.file, *other.file)});
        } else if (!one.file->folder && other.key.size() > one.key.size() &&
                   other.key[one.key.size()] == '\x01' && other.key.starts_with(one.key)) {
            clashes.push_back({one.file->name, quoted(one.file->name) +
                                                   " is a file and a folder at the same time"});
        }
    }
    return clashes;
}

size_t countFolders(const std::vector<FileName>& names) {
    std::vector<std::string> paths;
    paths.reserve(names.size());
    for (const auto& one : names) paths.push_back(std::string(one.name) + (one.folder ? "/" : ""));
    // Names that share a folder stand beside each other then.
    std::sort(paths.begin(), paths.end());
    size_t folders = 0;
    std::string_view before;
    for (const std::string_view path : paths) {
        const auto differ = std::ranges::mismatch(path, before).in1;
        folders += static_cast<size_t>(std::count(differ, path.end(), '/'));
        before = path;
    }
    return folders;
}

}  // namespace cf::functions
