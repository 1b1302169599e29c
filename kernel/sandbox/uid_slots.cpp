#include "sandbox/uid_slots.hpp"

#include <cstdlib>

#include "sandbox/files.hpp"

namespace cf::sandbox {

namespace {

std::vector<std::string> fields(const std::string& line) {
    std::vector<std::string> parts(1);
    for (const char c : line)
        if (c == ':')
            parts.emplace_back();
        else
            parts.back() += c;
    return parts;
}

}  // namespace

std::string uidOwner(uint32_t base, uint32_t count, const std::string& passwd,
                     const std::string& subuid) {
    const uint64_t end = uint64_t{base} + count;
    const auto number = [](const std::string& text) {
        return std::strtoull(text.c_str(), nullptr, 10);
    };
    for (const std::string& line : lines(passwd)) {
        const auto entry = fields(line);
        if (entry.size() > 2 && number(entry[2]) >= base && number(entry[2]) < end)
            return "the user " + entry[0] + " of /etc/passwd";
    }
    for (const std::string& line : lines(subuid)) {
        const auto entry = fields(line);
        if (entry.size() == 3 && number(entry[1]) < end &&
            number(entry[1]) + number(entry[2]) > base)
            return "the range of " + entry[0] + " in /etc/subuid";
    }
    return {};
}

}  // namespace cf::sandbox
