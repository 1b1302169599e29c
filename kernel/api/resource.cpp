#include "api/resource.hpp"

#include <algorithm>
#include <charconv>

#include "base/json.hpp"
#include "functions/document.hpp"
#include "functions/sources.hpp"

namespace cf::api {

namespace {

int hexValue(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Unlike a path segment a parameter may hold any text but NUL.
std::optional<std::string> decode(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '+') {
            out += ' ';
        } else if (text[at] == '%') {
            const int high = at + 2 < text.size() ? hexValue(text[at + 1]) : -1;
            const int low = at + 2 < text.size() ? hexValue(text[at + 2]) : -1;
            if (high < 0 || low < 0) return std::nullopt;
            out += static_cast<char>(high * 16 + low);
            at += 2;
        } else {
            out += text[at];
        }
    }
    if (out.find('\0') != out.npos || !functions::isValidUtf8(out)) return std::nullopt;
    return out;
}

base::Failure invalidQuery(std::string detail, std::string hint = {}) {
    return {.reason = "invalid_query", .detail = std::move(detail), .hint = std::move(hint)};
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// Calls `use` with each item of a comma-separated field until it returns true; returns whether it
// did.
template <typename Use>
bool anyItem(std::string_view field, Use&& use) {
    while (!field.empty()) {
        const size_t comma = std::min(field.find(','), field.size());
        if (use(trim(field.substr(0, comma)))) return true;
        field.remove_prefix(std::min(comma + 1, field.size()));
    }
    return false;
}

// Of a tag as etagOf() makes it; 0 of any other.
uint64_t revisionOf(std::string_view etag) {
    if (etag.size() < 3 || etag.front() != '"' || etag.back() != '"') return 0;
    uint64_t revision = 0;
    const char* end = etag.data() + etag.size() - 1;
    const auto [stop, error] = std::from_chars(etag.data() + 1, end, revision);
    return error == std::errc() && (stop == end || *stop == '-') ? revision : 0;
}

std::string headersOf(const Call& call, std::string_view contentType, std::string_view more) {
    std::string headers = "Content-Type: ";
    headers.append(contentType).append("\r\nCache-Control: no-store\r\nX-Request-Id: ");
    headers.append(requestIdOf(call.request)).append("\r\n").append(more);
    return headers;
}

}  // namespace

base::Result<Query> Query::read(std::string_view query,
                                std::initializer_list<std::string_view> known,
                                std::initializer_list<std::string_view> understood) {
    Query result;
    while (!query.empty()) {
        const size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (pair.empty()) continue;
        const size_t equals = std::min(pair.find('='), pair.size());
        const auto name = decode(pair.substr(0, equals));
        auto value = decode(pair.substr(std::min(equals + 1, pair.size())));
        if (!name || !value)
            return invalidQuery(
                "the query holds a broken escape, a NUL or bytes that are not UTF-8");
        if (std::ranges::find(known, *name) == known.end() &&
            std::ranges::find(understood, *name) == understood.end()) {
            std::string names;
            for (const auto other : known)
                names += (names.empty() ? "" : ", ") + std::string(other);
            return invalidQuery("unknown parameter \"" + name->substr(0, 64) + "\"",
                                names.empty() ? "this address takes no parameters"
                                              : "known parameters are " + names);
        }
        if (!result.values_.emplace(*name, std::move(*value)).second)
            return invalidQuery("the parameter \"" + *name + "\" appears twice");
    }
    return result;
}

std::string Query::text(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::string() : found->second;
}

base::Result<std::string> Query::filter(const std::string& name) const {
    if (has(name) && text(name).empty())
        return invalidQuery("\"" + name + "\" is empty", "leave it out to get everything");
    return text(name);
}

base::Result<uint64_t> Query::number(const std::string& name, uint64_t fallback, uint64_t low,
                                     uint64_t high) const {
    const auto found = values_.find(name);
    if (found == values_.end()) return fallback;
    const std::string& text = found->second;
    uint64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && stop == text.data() + text.size() && value >= low && value <= high)
        return value;
    base::Failure failure = invalidQuery("\"" + name + "\" must be a whole number from " +
                                         std::to_string(low) + " to " + std::to_string(high));
    failure.limit = std::to_string(low) + "-" + std::to_string(high);
    failure.observed = text.substr(0, 64);
    return failure;
}

base::Result<bool> Query::flag(const std::string& name, bool fallback) const {
    const auto found = values_.find(name);
    if (found == values_.end()) return fallback;
    if (found->second == "true" || found->second == "false") return found->second == "true";
    base::Failure failure = invalidQuery("\"" + name + "\" must be true or false");
    failure.observed = found->second.substr(0, 64);
    return failure;
}

Response json(const Call& call, int status, std::string body, std::string_view moreHeaders) {
    return {status, headersOf(call, "application/json", moreHeaders), std::move(body)};
}

Response plain(const Call& call, std::string_view contentType, std::string body) {
    return {200, headersOf(call, contentType, {}), std::move(body)};
}

Response failed(const Call& call, const base::Failure& failure) {
    return problem(failure, call.request);
}

std::string etagOf(const functions::FunctionEntry& entry) {
    const auto state = entry.shown().state;
    return '"' + std::to_string(entry.function.revision) +
           (state == functions::VersionState::ready
                ? std::string()
                : std::string("-") + functions::stateName(state)) +
           '"';
}

std::optional<uint64_t> ifMatch(const http::Request& request, uint64_t current) {
    const std::string_view field = trim(request.header("If-Match"));
    if (field.empty() || field == "*") return std::nullopt;
    uint64_t asked = 0;
    anyItem(field, [&](std::string_view etag) {
        if (const uint64_t revision = revisionOf(etag); revision != 0) asked = revision;
        return asked == current && asked != 0;
    });
    return asked;
}

bool ifNoneMatch(const http::Request& request, std::string_view etag) {
    return anyItem(request.header("If-None-Match"), [&](std::string_view one) {
        if (one.starts_with("W/"))
            one.remove_prefix(2);  // weak comparison, RFC 9110 section 13.1.2
        return one == "*" || one == etag;
    });
}

bool asksForNew(const http::Request& request) {
    return anyItem(request.header("If-None-Match"),
                   [](std::string_view etag) { return etag == "*"; });
}

bool prefersAsync(const http::Request& request) {
    for (const auto& header : request.headers) {
        std::string name(header.name);
        std::ranges::transform(name, name.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        });
        if (name == "prefer" &&
            anyItem(header.value, [](std::string_view item) { return item == "respond-async"; }))
            return true;
    }
    return false;
}

}  // namespace cf::api
