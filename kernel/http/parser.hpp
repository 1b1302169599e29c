// Strict HTTP/1.1 requests (RFC 9112, RFC 9110) from bytes that arrive in any pieces. Connections
// use it; it knows no sockets. It copies nothing: positions are relative to the message's first
// byte, so that the buffer may move between two calls, and views are made once the request is
// complete. It allocates only to say what is wrong.
//
// What it refuses although laxer parsers take it: bare LF or CR as a line end, folded lines, white
// space around field names, a repeated or signed Content-Length, any Transfer-Encoding but one
// "chunked", both of these together, a missing or double Host, HTTP/0.9, fragments and user
// information in targets, white space in chunk sizes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "http/chunk_decoder.hpp"
#include "http/exchange.hpp"
#include "http/refusal.hpp"

namespace cf::http {

constexpr size_t maxFieldCount = 100;

struct ParserLimits {
    size_t targetBytes = 8 * 1024;  // beyond it 414
    size_t headerBytes =
        32 * 1024;  // header section behind the request line; beyond it, or 100 fields, 431
    size_t bodyBytes = 6u << 20;  // of requests for which nobody says otherwise; beyond it 413
};

// One request at a time: parse until complete, then reset. Copyable, so that a server parses in one
// place and a connection keeps a copy only while its request is incomplete. One thread.
class RequestParser {
public:
    enum class State {
        needMore,
        head,  // once, when a body follows the head: setBodyLimit now, or not, then call again
        complete,
        failed,  // refusal() says why; the connection's framing is lost
    };

    explicit RequestParser(const ParserLimits& limits) : limits_(&limits) { reset(); }
    void reset();

    // `data` begins with the message's first byte and holds `size` bytes: those of the calls before
    // and new ones. Of a chunked body `size` may shrink (see ChunkDecoder); the bytes in front may
    // be rewritten.
    State parse(char* data, size_t& size);

    void setBodyLimit(size_t bytes) { bodyLimit_ = bytes; }
    // After head: bytes the client announced; 0 for a chunked body.
    uint64_t contentLength() const { return contentLength_; }
    bool chunked() const { return chunked_; }
    // After head: the client waits for "100 Continue" before it sends the body.
    bool expectsContinue() const { return expectsContinue_; }
    // True once the first byte of a request has been seen; an empty line in front of it does not
    // count.
    bool begun() const { return begun_; }
    bool headComplete() const { return phase_ > Phase::fields; }

    // After complete: head and decoded body lie in [0, messageSize()), the next message begins at
    // consumed().
    size_t messageSize() const { return headSize_ + bodySize_; }
    size_t consumed() const { return consumed_; }
    bool keepAlive() const { return keepAlive_; }
    bool http10() const { return http10_; }
    // After head or complete: views into the message at `base`. `headers` is storage for the header
    // list. At any other time what was understood so far: nothing before the request line was.
    void describe(const char* base, std::vector<Header>& headers, Request& request) const;

    const Refusal& refusal() const { return *refusal_; }

private:
    enum class Phase : uint8_t { requestLine, fields, headDone, body, done };
    struct Slice {
        uint32_t at = 0;
        uint32_t size = 0;
        std::string_view in(const char* base) const { return {base + at, size}; }
    };
    struct Field {
        Slice name;
        Slice value;
    };

    State parseHead(const char* data, size_t size);
    State parseBody(char* data, size_t& size);
    State waitForLine(const char* data, size_t size);
    bool takeRequestLine(const char* data, size_t length);
    bool takeField(const char* data, size_t length);
    bool takeSpecial(std::string_view name, std::string_view value);
    bool takeContentLength(std::string_view value);
    bool finishHead();
    bool refuse(int status, const char* reason, std::string detail, std::string limit = {});
    bool malformed(const char* predicate);
    bool targetTooLong();
    bool tooLarge();
    bool headersTooLarge();

    const ParserLimits* limits_;
    size_t line_ = 0;     // where the present line begins
    size_t scanned_ = 0;  // no LF between line_ and here
    size_t fieldsStart_ = 0;
    size_t headSize_ = 0;
    size_t bodySize_ = 0;
    size_t consumed_ = 0;
    size_t bodyLimit_ = 0;
    uint64_t contentLength_ = 0;
    Slice method_, target_, path_, query_, authority_;
    uint32_t fieldCount_ = 0;
    uint32_t host_ = 0;  // index of the Host field
    Phase phase_ = Phase::requestLine;
    uint8_t hosts_ = 0;
    bool begun_ = false, http10_ = false, rootPath_ = false;
    bool hasLength_ = false, chunked_ = false, expectsContinue_ = false;
    bool wantsClose_ = false, wantsKeepAlive_ = false, keepAlive_ = false;
    std::array<Field, maxFieldCount> fields_;
    ChunkDecoder chunks_;
    std::optional<Refusal> refusal_;
};

}  // namespace cf::http
