#include "http/parser.hpp"

#include <algorithm>
#include <cstring>

#include "http/ascii.hpp"
#include "http/field.hpp"
#include "http/request_line.hpp"

namespace cf::http {

namespace {

constexpr size_t requestLineSlack = 64;  // method, version and spaces around the longest target
constexpr size_t maxLengthDigits = 18;   // any such number fits 64 bits

}  // namespace

void RequestParser::reset() {
    line_ = scanned_ = fieldsStart_ = headSize_ = bodySize_ = consumed_ = 0;
    bodyLimit_ = limits_->bodyBytes;
    contentLength_ = 0;
    authority_ = query_ = {};
    fieldCount_ = host_ = 0;
    phase_ = Phase::requestLine;
    hosts_ = 0;
    begun_ = http10_ = rootPath_ = hasLength_ = chunked_ = expectsContinue_ = false;
    wantsClose_ = wantsKeepAlive_ = keepAlive_ = false;
    if (refusal_) refusal_.reset();
}

bool RequestParser::refuse(int status, const char* reason, std::string detail, std::string limit) {
    refusal_.emplace(Refusal{
        .status = status,
        .failure = {.reason = reason, .detail = std::move(detail), .limit = std::move(limit)}});
    return false;
}

bool RequestParser::malformed(const char* predicate) {
    return refuse(400, "malformed_request", std::string("the request ") + predicate);
}

bool RequestParser::headersTooLarge() {
    refuse(431, "headers_too_large", "the request's headers are too large or too many",
           std::to_string(limits_->headerBytes) + " bytes and " + std::to_string(maxFieldCount) +
               " fields");
    refusal_->failure.hint = "send fewer or shorter headers, cookies are the usual cause";
    return false;
}

bool RequestParser::targetTooLong() {
    return refuse(414, "uri_too_long", "the request's target is too long",
                  std::to_string(limits_->targetBytes) + " bytes");
}

bool RequestParser::tooLarge() {
    refuse(413, "body_too_large", "the request's body is too large",
           std::to_string(bodyLimit_) + " bytes");
    refusal_->failure.hint = "send less at once, or let the operator raise the limit";
    if (hasLength_) refusal_->failure.observed = std::to_string(contentLength_) + " bytes";
    return false;
}

RequestParser::State RequestParser::parse(char* data, size_t& size) {
    if (refusal_) return State::failed;
    if (phase_ <= Phase::fields) {
        const State state = parseHead(data, size);
        if (state != State::complete) return state;
        if (hasLength_ && contentLength_ == 0) hasLength_ = false;
        if (!hasLength_ && !chunked_) {
            consumed_ = headSize_;
            phase_ = Phase::done;
            return State::complete;
        }
        phase_ = Phase::headDone;
        return State::head;
    }
    return parseBody(data, size);
}

RequestParser::State RequestParser::parseHead(const char* data, size_t size) {
    for (;;) {
        const void* found =
            size > scanned_ ? std::memchr(data + scanned_, '\n', size - scanned_) : nullptr;
        if (found == nullptr) return waitForLine(data, size);
        const auto end = static_cast<size_t>(static_cast<const char*>(found) - data);
        if (end == line_ || data[end - 1] != '\r')
            return malformed("has a line feed without a carriage return"), State::failed;
        const size_t length = end - 1 - line_;
        if (phase_ == Phase::fields && length == 0) {
            headSize_ = end + 1;
            return finishHead() ? State::complete : State::failed;
        }
        const bool fine =
            phase_ == Phase::fields ? takeField(data, length) : takeRequestLine(data, length);
        if (!fine) return State::failed;
        line_ = scanned_ = end + 1;
    }
}

RequestParser::State RequestParser::waitForLine(const char* data, size_t size) {
    const size_t from = std::max(
        line_, scanned_ - std::min<size_t>(scanned_, 1));  // a CR may have been the last byte
    scanned_ = size;
    if (size == line_) return State::needMore;
    // What cannot become a line (TLS, say) is refused at once: its end may never come.
    const char first = data[line_];
    const bool inFields = phase_ == Phase::fields;
    if (first == '\r' ? !inFields && line_ > 0 : !is(first, ascii::token))
        return malformed(inFields ? "has a header line that begins with something else than a name"
                                  : "does not begin with a method"),
               State::failed;
    if (std::memchr(data + from, '\r', size - 1 - from) != nullptr)
        return malformed("has a carriage return without a line feed"), State::failed;
    if (inFields) {
        // The empty line that ends the section does not count, and neither does its first half.
        const size_t end = first == '\r' ? line_ : size;
        if (end - fieldsStart_ > limits_->headerBytes) return headersTooLarge(), State::failed;
        return State::needMore;
    }
    begun_ = first != '\r';
    if (size - line_ > limits_->targetBytes + requestLineSlack)
        return targetTooLong(), State::failed;
    return State::needMore;
}

bool RequestParser::takeRequestLine(const char* data, size_t length) {
    // RFC 9112 section 2.2: some clients send an empty line behind a body.
    if (length == 0) return line_ == 0 || malformed("begins with more than one empty line");
    begun_ = true;
    const RequestLine line = parseRequestLine({data + line_, length}, limits_->targetBytes);
    switch (line.status) {
        case 0:
            break;
        case 414:
            return targetTooLong();
        case 501:
            return refuse(501, "method_not_implemented", "the request " + std::string(line.error));
        case 505:
            return refuse(505, "version_not_supported", "the request " + std::string(line.error),
                          "HTTP/1.0 and HTTP/1.1");
        default:
            return malformed(line.error);
    }
    const auto slice = [data](std::string_view part) {
        return part.empty() ? Slice{}
                            : Slice{static_cast<uint32_t>(part.data() - data),
                                    static_cast<uint32_t>(part.size())};
    };
    method_ = slice(line.method);
    target_ = slice(line.target);
    query_ = slice(line.query);
    authority_ = slice(line.authority);
    // The path of "http://name" is a literal of the request line's parser, not a part of the
    // buffer.
    rootPath_ = line.path.data() < data || line.path.data() >= data + line_ + length;
    if (!rootPath_) path_ = slice(line.path);
    http10_ = line.http10;
    phase_ = Phase::fields;
    fieldsStart_ = line_ + length + 2;
    return true;
}

bool RequestParser::takeField(const char* data, size_t length) {
    if (line_ + length + 2 - fieldsStart_ > limits_->headerBytes || fieldCount_ == maxFieldCount)
        return headersTooLarge();
    const FieldLine field = splitField({data + line_, length});
    if (field.error != nullptr) return malformed(field.error);
    const auto valueAt =
        field.value.empty() ? line_ : static_cast<size_t>(field.value.data() - data);
    fields_[fieldCount_] = {
        {static_cast<uint32_t>(line_), static_cast<uint32_t>(field.name.size())},
        {static_cast<uint32_t>(valueAt), static_cast<uint32_t>(field.value.size())}};
    if (!takeSpecial(field.name, field.value)) return false;
    ++fieldCount_;
    return true;
}

bool RequestParser::takeSpecial(std::string_view name, std::string_view value) {
    switch (name.size()) {
        case 4:
            if (!equalsLower(name, "host")) return true;
            host_ = fieldCount_;
            if (++hosts_ > 1) return malformed("has more than one Host header");
            return isHost(value) || malformed("has a Host header that is not a host");
        case 6:
            if (!equalsLower(name, "expect") || http10_) return true;
            if (!equalsLower(value, "100-continue"))
                return refuse(417, "expectation_failed",
                              "the request expects something that is not known here",
                              "Expect: 100-continue");
            expectsContinue_ = true;
            return true;
        case 10:
            if (!equalsLower(name, "connection")) return true;
            wantsClose_ |= listHas(value, "close");
            wantsKeepAlive_ |= listHas(value, "keep-alive");
            return true;
        case 14:
            return !equalsLower(name, "content-length") || takeContentLength(value);
        case 17:
            if (!equalsLower(name, "transfer-encoding")) return true;
            if (chunked_) return malformed("has more than one Transfer-Encoding header");
            if (!equalsLower(value, "chunked"))
                return malformed("has a Transfer-Encoding other than \"chunked\"");
            chunked_ = true;
            return true;
        default:
            return true;
    }
}

bool RequestParser::takeContentLength(std::string_view value) {
    if (hasLength_) return malformed("has more than one Content-Length header");
    if (value.empty() || value.size() > maxLengthDigits)
        return malformed("has a Content-Length that is not a length");
    for (const char c : value) {
        if (!isDigit(c)) return malformed("has a Content-Length that is not a length");
        contentLength_ = contentLength_ * 10 + static_cast<uint64_t>(c - '0');
    }
    return hasLength_ = true;
}

bool RequestParser::finishHead() {
    if (hosts_ == 0 && !http10_) return malformed("has no Host header");
    if (chunked_ && hasLength_) return malformed("has both Transfer-Encoding and Content-Length");
    if (chunked_ && http10_)
        return malformed("has Transfer-Encoding, which HTTP/1.0 does not know");
    keepAlive_ = !wantsClose_ && (!http10_ || wantsKeepAlive_);
    return true;
}

RequestParser::State RequestParser::parseBody(char* data, size_t& size) {
    if (phase_ == Phase::headDone) {
        if (!chunked_ && contentLength_ > bodyLimit_) return tooLarge(), State::failed;
        chunks_.begin(headSize_);
        phase_ = Phase::body;
    }
    if (!chunked_) {
        if (size - headSize_ < contentLength_) return State::needMore;
        bodySize_ = contentLength_;
        consumed_ = headSize_ + bodySize_;
    } else {
        switch (chunks_.decode(data, size, bodyLimit_)) {
            case ChunkDecoder::State::needMore:
                return State::needMore;
            case ChunkDecoder::State::tooLarge:
                return tooLarge(), State::failed;
            case ChunkDecoder::State::failed:
                return malformed(chunks_.error()), State::failed;
            case ChunkDecoder::State::complete:
                break;
        }
        bodySize_ = chunks_.bodySize();
        consumed_ = chunks_.consumed();
    }
    phase_ = Phase::done;
    return State::complete;
}

void RequestParser::describe(const char* base, std::vector<Header>& headers,
                             Request& request) const {
    if (phase_ == Phase::requestLine) {
        request = {};
        return;
    }
    request.method = method_.in(base);
    request.target = target_.in(base);
    request.path = rootPath_ ? std::string_view("/") : path_.in(base);
    request.query = query_.in(base);
    headers.resize(fieldCount_);
    for (uint32_t i = 0; i < fieldCount_; ++i)
        headers[i] = {fields_[i].name.in(base), fields_[i].value.in(base)};
    // RFC 9112 section 3.2.2: the authority of an absolute target takes the place of whatever Host
    // says.
    if (authority_.size > 0) {
        if (hosts_ > 0 && host_ < fieldCount_)
            headers[host_].value = authority_.in(base);
        else
            headers.push_back({"Host", authority_.in(base)});
    }
    request.headers = headers;
    request.body = {base + headSize_, bodySize_};
}

}  // namespace cf::http
