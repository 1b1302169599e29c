// The outer shape of a zip archive (PKWARE's APPNOTE.TXT 6.3.10, section 4.3).
#include <algorithm>
#include <cstdint>
#include <optional>

#include "app/unpack.hpp"
#include "base/json.hpp"

namespace cf::app {

namespace {

using namespace std::string_view_literals;

constexpr size_t endBytes = 22, endCommentBytes = 65'535;
constexpr size_t directoryBytes = 46, localBytes = 30;
constexpr uint64_t encrypted = 1, strongEncryption = 1 << 6, maskedDirectory = 1 << 13;

uint64_t number(std::string_view bytes, size_t at, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i)
        value |= uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
    return value;
}

struct Directory {
    uint64_t entries = 0;
    uint64_t size = 0;
    uint64_t offset = 0;
    uint64_t end = 0;  // where the records behind it begin
};

// From the record at the end, or its 64-bit form.
std::optional<Directory> findDirectory(std::string_view bytes) {
    if (bytes.size() < endBytes) return std::nullopt;
    const size_t lowest =
        bytes.size() - std::min(bytes.size(), endBytes + endCommentBytes);
    for (size_t at = bytes.size() - endBytes + 1; at-- > lowest;) {
        if (bytes.substr(at, 4) != "PK\5\6"sv ||
            at + endBytes + number(bytes, at + 20, 2) != bytes.size())
            continue;
        Directory found{number(bytes, at + 10, 2), number(bytes, at + 12, 4),
                        number(bytes, at + 16, 4), at};
        if (found.entries != 0xffff && found.size != 0xffffffff && found.offset != 0xffffffff)
            return found;
        if (at < 20 || bytes.substr(at - 20, 4) != "PK\6\7"sv) return found;
        const uint64_t large = number(bytes, at - 20 + 8, 8);
        if (large > at - 20 || at - 20 - large < 56 || bytes.substr(large, 4) != "PK\6\6"sv)
            return std::nullopt;
        return Directory{number(bytes, large + 32, 8), number(bytes, large + 40, 8),
                         number(bytes, large + 48, 8), large};
    }
    return std::nullopt;
}

// Why an entry of this kind is refused; null for files and folders. `madeBy` tells whose attributes
// they are: those of Unix (macOS has a number of its own) hold a file type.
const char* whyRefused(uint64_t madeBy, uint64_t attributes) {
    if (madeBy != 3 && madeBy != 19) return nullptr;
    switch (attributes >> 28) {
        case 0:
        case 4:
        case 8:
            return nullptr;
        case 1:
            return "it is a named pipe";
        case 10:
            return "it is a symbolic link; pack what it points to instead (zip without -y)";
        case 12:
            return "it is a socket";
        default:
            return "it is a device";
    }
}

std::string refused(std::string_view name, std::string_view why) {
    return "the entry \"" + base::toValidUtf8(name.substr(0, 200)) + "\" is refused: " +
           std::string(why);
}

}  // namespace

bool isProgramLink(std::string_view name) {
    constexpr std::string_view folder = "node_modules/.bin/";
    const size_t at = name.rfind('/');
    if (at == name.npos || at + 1 == name.size()) return false;
    name = name.substr(0, at + 1);
    return name == folder || name.ends_with("/node_modules/.bin/");
}

std::string whyBadZip(std::string_view bytes) {
    constexpr auto damaged = "the archive is damaged: the directory at its end is missing or broken";
    const auto directory = findDirectory(bytes);
    if (!directory || directory->size > directory->end || directory->offset > directory->end)
        return damaged;
    if (directory->offset + directory->size != directory->end)
        return "the archive is refused: something stands in front of it or behind it, such as a "
               "second archive";
    uint64_t first = directory->entries == 0 ? 0 : directory->offset, counted = 0;
    size_t at = directory->offset;
    for (; at < directory->end; ++counted) {
        if (directory->end - at < directoryBytes || bytes.substr(at, 4) != "PK\1\2"sv)
            return damaged;
        const size_t nameBytes = number(bytes, at + 28, 2);
        const size_t more = number(bytes, at + 30, 2) + number(bytes, at + 32, 2);
        if (directory->end - at - directoryBytes < nameBytes + more) return damaged;
        const std::string_view name = bytes.substr(at + directoryBytes, nameBytes);
        const uint64_t flags = number(bytes, at + 8, 2), local = number(bytes, at + 42, 4);
        if ((flags & (encrypted | strongEncryption | maskedDirectory)) != 0)
            return refused(name, "it is encrypted");
        const uint64_t attributes = number(bytes, at + 38, 4);
        if (const char* why = whyRefused(number(bytes, at + 5, 1), attributes);
            why != nullptr && !(attributes >> 28 == 10 && isProgramLink(name)))
            return refused(name, why);
        if (name.find('\0') != name.npos) return refused(name, "its name holds a NUL");
        // libarchive turns them into slashes.
        if (name.find('\\') != name.npos) return refused(name, "its name holds a backslash");
        if (local > directory->offset || directory->offset - local < localBytes + nameBytes ||
            bytes.substr(local, 4) != "PK\3\4"sv)
            return damaged;
        if (number(bytes, local + 26, 2) != nameBytes ||
            bytes.substr(local + localBytes, nameBytes) != name)
            return refused(name, "its name in the archive's directory is another one than in front "
                                 "of its contents");
        first = std::min(first, local);
        at += directoryBytes + nameBytes + more;
    }
    if (counted != directory->entries) return damaged;
    if (first != 0)
        return "the archive is refused: something stands in front of its first entry, such as "
               "another archive";
    return {};
}

}  // namespace cf::app
