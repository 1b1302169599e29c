#include "base/destination.hpp"

#include <algorithm>
#include <charconv>

namespace cf::base {

namespace {

constexpr size_t maxName = 253;  // RFC 1035, as text
constexpr size_t maxLabel = 63;

std::optional<uint32_t> number(std::string_view text, uint32_t highest) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > highest) return {};
    return value;
}

bool isLabel(std::string_view label) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    };
    return !label.empty() && label.size() <= maxLabel && label.front() != '-' &&
           label.back() != '-' && std::all_of(label.begin(), label.end(), plain);
}

// Letters, digits, '-', '_' between dots; not all digits at the end, which would be an address that
// somebody mistyped.
bool isHostName(std::string_view name) {
    if (name.empty() || name.size() > maxName) return false;
    std::string_view last;
    for (size_t at = 0; at <= name.size();) {
        const size_t end = std::min(name.find('.', at), name.size());
        last = name.substr(at, end - at);
        if (!isLabel(last)) return false;
        at = end + 1;
    }
    return last.find_first_not_of("0123456789") != std::string_view::npos;
}

}  // namespace

std::optional<uint32_t> parseAddress(std::string_view text) {
    uint32_t address = 0;
    for (int part = 0; part < 4; ++part) {
        const size_t end = part < 3 ? text.find('.') : text.size();
        if (end == std::string_view::npos) return {};
        const auto value = number(text.substr(0, end), 255);
        // A leading zero means octal to some readers.
        if (!value || (end > 1 && text[0] == '0')) return {};
        address = address << 8 | *value;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return address;
}

std::string addressText(uint32_t address) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8)
        text += (text.empty() ? "" : ".") + std::to_string(address >> shift & 255);
    return text;
}

std::string rangeText(uint32_t address, uint8_t prefix) {
    return addressText(address) + (prefix == 32 ? "" : "/" + std::to_string(prefix));
}

std::optional<Destination> parseDestination(std::string_view text, std::string& why) {
    const auto refuse = [&](std::string sentence) -> std::optional<Destination> {
        why = std::move(sentence);
        return {};
    };
    Destination destination;
    if (text.empty()) return refuse("is empty");
    if (text.size() > 255)
        return refuse("is " + std::to_string(text.size()) + " bytes long; the limit is 255");
    if (text.find("://") != std::string_view::npos)
        return refuse("is a URL; write the host alone, or host:port");
    if (text.find('*') != std::string_view::npos)
        return refuse("has a wildcard; name each host by itself");
    if (std::count(text.begin(), text.end(), ':') > 1)
        return refuse("is an IPv6 address; sandboxes reach IPv4 addresses only");
    if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
        const auto port = number(text.substr(colon + 1), 65'535);
        if (!port || *port == 0)
            return refuse("has the port \"" + std::string(text.substr(colon + 1)) +
                          "\"; ports are 1 to 65535");
        destination.port = static_cast<uint16_t>(*port);
        text = text.substr(0, colon);
    }
    std::string_view host = text;
    if (const size_t slash = text.find('/'); slash != std::string_view::npos) {
        const auto prefix = number(text.substr(slash + 1), 32);
        host = text.substr(0, slash);
        if (!parseAddress(host) || !prefix)
            return refuse("is no address/prefix such as 192.0.2.0/24");
        destination.prefix = static_cast<uint8_t>(*prefix);
    }
    if (const auto address = parseAddress(host)) {
        destination.address = *address;
        if ((*address & ~maskOf(destination.prefix)) != 0)
            return refuse("has bits after its prefix; write " +
                          rangeText(*address & maskOf(destination.prefix), destination.prefix));
        return destination;
    }
    destination.name = host;
    for (char& c : destination.name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (destination.name.ends_with('.')) destination.name.pop_back();
    if (!isHostName(destination.name))
        return refuse("is neither a host name nor an address");
    return destination;
}

}  // namespace cf::base
