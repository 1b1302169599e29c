// A stream of requests through the parser as a connection drives it, once whole and once in pieces:
// how bytes are cut on their way must change nothing, which is where request smuggling begins.
#pragma once

#include <string>
#include <vector>

#include "fuzz.hpp"
#include "http/ascii.hpp"
#include "http/parser.hpp"

namespace cf::fuzz {

struct Outcome {
    std::vector<std::string> requests{};
    int status = 0;  // of the refusal that ended it
    bool operator==(const Outcome&) const = default;
};

inline void checkRequest(const http::Request& request, std::string_view message) {
    for (const auto part : {request.method, request.target, request.query, request.body})
        require(within(part, message), "every part lies in its message");
    require(request.path == "/" || within(request.path, message), "so does the path");
    require(http::all(request.target, http::ascii::target), "a target holds visible characters alone");
    require(!request.path.empty(), "a request has a path");
    for (const http::Header& field : request.headers) {
        require(!field.name.empty() && http::all(field.name, http::ascii::token), "names are tokens");
        require(http::all(field.value, http::ascii::value), "values hold no control characters");
        require(within(field.name, message) || field.name == "Host", "names lie in their message");
        require(within(field.value, message), "values lie in their message");
    }
}

inline std::string describe(const http::RequestParser& parser, const http::Request& request) {
    std::string text = std::string(request.method) + ' ' + std::string(request.target);
    for (const http::Header& field : request.headers)
        ((text += '\n') += field.name) += std::string(":") + std::string(field.value);
    return (text += "\n\n" + std::string(request.body)) + (parser.keepAlive() ? "+" : "-");
}

// The sizes of the pieces come from `seed`; 0 gives everything at once.
inline Outcome parseStream(std::string_view stream, uint32_t seed, const http::ParserLimits& limits) {
    using State = http::RequestParser::State;
    Outcome outcome;
    http::RequestParser parser(limits);
    std::vector<http::Header> headers;
    std::string buffer;
    const uint32_t mean = 1 + seed % 13;
    while (!stream.empty()) {
        seed = seed * 1664525 + 1013904223;
        const size_t piece = mean == 1 ? stream.size() : 1 + (seed >> 16) % (2 * mean);
        buffer.append(stream.substr(0, piece));
        stream.remove_prefix(std::min(piece, stream.size()));
        while (!buffer.empty()) {
            // Exactly as large as what was received, for the address sanitizer.
            Padded message(buffer, 0);
            size_t size = buffer.size();
            State state = parser.parse(message.data(), size);
            if (state == State::head) state = parser.parse(message.data(), size);
            require(size <= buffer.size(), "the parser takes bytes away, it adds none");
            buffer.assign(message.data(), size);
            if (state == State::failed) {
                outcome.status = parser.refusal().status;
                return outcome;
            }
            if (state == State::needMore) break;
            require(parser.messageSize() <= parser.consumed() && parser.consumed() <= size,
                    "a message ends where the next one begins or before");
            http::Request request;
            parser.describe(buffer.data(), headers, request);
            checkRequest(request, {buffer.data(), parser.messageSize()});
            require(request.body.size() <= limits.bodyBytes, "no body is larger than its limit");
            outcome.requests.push_back(describe(parser, request));
            const bool keep = parser.keepAlive();
            buffer.erase(0, parser.consumed());
            parser.reset();
            if (!keep) return outcome;
        }
    }
    return outcome;
}

inline void checkStream(std::string_view stream) {
    const http::ParserLimits limits{.targetBytes = 256, .headerBytes = 1024, .bodyBytes = 2048};
    const Outcome whole = parseStream(stream, 0, limits);
    uint32_t seed = static_cast<uint32_t>(stream.size());
    for (const char c : stream.substr(0, 32)) seed = seed * 31 + static_cast<uint8_t>(c);
    for (const uint32_t cut : {seed - seed % 13 + 1, seed - seed % 13 + 7}) {
        const Outcome pieces = parseStream(stream, cut, limits);
        require(whole.requests == pieces.requests, "pieces give the same requests as the whole");
        require((whole.status == 0) == (pieces.status == 0), "and the same verdict");
    }
}

}  // namespace cf::fuzz
