#include "api/function_url_event.hpp"

#include <simdjson.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <vector>

#include "base/json.hpp"
#include "functions/sources.hpp"

namespace cf::api {

namespace {

using simdjson::dom::element;

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
}

// '+' and %XX as in application/x-www-form-urlencoded (the URL standard); broken escapes stay as they are.
std::string formDecode(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && std::isxdigit(static_cast<unsigned char>(text[i + 1])) &&
            std::isxdigit(static_cast<unsigned char>(text[i + 2]))) {
            out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
            i += 2;
        } else {
            out += text[i] == '+' ? ' ' : text[i];
        }
    }
    return out;
}

// A name that comes several times becomes an array, in order.
template <typename Map>
void appendMultimap(std::string& out, const Map& values) {
    out += '{';
    bool first = true;
    for (const auto& [name, list] : values) {
        if (!first) out += ',';
        first = false;
        base::appendJsonString(out, name);
        out += ':';
        if (list.size() > 1) out += '[';
        for (size_t i = 0; i < list.size(); ++i) {
            if (i > 0) out += ',';
            base::appendJsonString(out, list[i]);
        }
        if (list.size() > 1) out += ']';
    }
    out += '}';
}

// Encoders that break lines are common; anything else that is no base64 is refused.
std::optional<std::string> fromBase64(std::string_view text) {
    std::string packed(text);
    std::erase_if(packed, [](char c) { return c == '\r' || c == '\n'; });
    return functions::decodeBase64(packed);
}

// RFC 9110 section 5.6.2.
bool isToken(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    });
}

bool isFieldValue(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
}

template <size_t N>
bool isAmong(const std::string_view (&names)[N], std::string_view name) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// Framing belongs to the platform, and these describe the connection, not the response; or say which call it was.
bool isReserved(std::string_view name) {
    static constexpr std::string_view names[] = {"content-length", "transfer-encoding", "connection",      "keep-alive",    "upgrade",   "trailer",  "te",
                                                 "date",           "x-request-id",      "x-invocation-id", "x-duration-ms", "x-queue-ms", "x-init-ms"};
    return isAmong(names, name);
}

// Sent by the platform, or withheld. What a page may read of an answer the settings do not say.
bool isCorsSetting(std::string_view name) { return name.starts_with("access-control-") && name != "access-control-expose-headers"; }

// They speak for everything at this host and port: who answers, what is stored, to whom failures are reported.
bool isOfWholeOrigin(std::string_view name) {
    static constexpr std::string_view names[] = {"alt-svc", "clear-site-data", "nel", "report-to", "service-worker-allowed", "strict-transport-security"};
    return isAmong(names, name);
}

// A page may do all that pages do, but as nobody: not with the origin that it came from.
constexpr std::string_view sandbox =
    "Content-Security-Policy: sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts allow-top-navigation\r\n";

// Those of which a second one makes the response mean two things (RFC 9110, RFC 6266, the Fetch standard).
bool standsOnce(std::string_view name) {
    static constexpr std::string_view names[] = {
        "access-control-allow-credentials", "access-control-allow-origin", "access-control-max-age", "age", "content-disposition",
        "content-location", "content-range", "content-type", "etag", "expires", "last-modified", "location", "retry-after", "server"};
    return isAmong(names, name);
}

base::Failure invalid(std::string detail) {
    return {.reason = "invalid_response",
            .detail = "the function's response cannot be sent: " + std::move(detail),
            .hint = "return {\"status_code\":200,\"headers\":{\"Content-Type\":\"text/plain\"},\"body\":\"...\"} or any other JSON"};
}

base::Result<std::string> headerLines(element headers, CorsBy cors, Origin origin, bool& hasType) {
    if (!headers.is_object()) return invalid("\"headers\" is not an object");
    std::string lines;
    std::set<std::string> seen;  // of those that stand once
    for (const auto field : simdjson::dom::object(headers)) {
        const std::string name = lower(field.key);
        if (!isToken(field.key)) return invalid("\"" + base::toValidUtf8(field.key.substr(0, 64)) + "\" is not a header name");
        if (isReserved(name) || (cors == CorsBy::platform && isCorsSetting(name)) || (origin == Origin::shared && isOfWholeOrigin(name))) continue;
        std::vector<element> values;
        if (field.value.is_array())
            for (const element value : simdjson::dom::array(field.value)) values.push_back(value);
        else values.push_back(field.value);
        if (name == "content-type") hasType |= !values.empty();
        if (standsOnce(name) && (values.size() > 1 || (!values.empty() && !seen.insert(name).second)))
            return invalid("header \"" + std::string(field.key) + "\" has several values and may have one");
        for (const element value : values) {
            std::string_view text;
            std::string number;
            if (value.get(text)) {
                if (!value.is_number() && !value.is_bool()) return invalid("header \"" + std::string(field.key) + "\" is neither text nor a number");
                number = simdjson::minify(value);
                text = number;
            }
            if (!isFieldValue(text)) return invalid("header \"" + std::string(field.key) + "\" holds a line break or control character");
            ((((lines += field.key) += ": ") += text) += "\r\n");
        }
    }
    return lines;
}

}  // namespace

std::string urlEvent(const http::Request& request, std::string_view rest) {
    std::string out = "{\"method\":";
    base::appendJsonString(out, request.method);
    out += ",\"path\":";
    base::appendJsonString(out, rest.empty() ? std::string_view("/") : rest);
    out += ",\"query\":";
    std::map<std::string, std::vector<std::string>> query, headers;
    for (std::string_view left = request.query; !left.empty();) {
        const size_t end = left.find('&');
        const std::string_view pair = left.substr(0, end);
        const size_t equals = pair.find('=');
        // Names that are not UTF-8 may be equal once they are text; no key may come twice.
        if (!pair.empty()) query[base::toValidUtf8(formDecode(pair.substr(0, equals)))].push_back(equals == std::string_view::npos ? "" : formDecode(pair.substr(equals + 1)));
        left = end == std::string_view::npos ? std::string_view{} : left.substr(end + 1);
    }
    appendMultimap(out, query);
    out += ",\"headers\":";
    for (const auto& header : request.headers) headers[lower(header.name)].emplace_back(header.value);
    appendMultimap(out, headers);
    const bool text = simdjson::validate_utf8(request.body.data(), request.body.size());
    out += ",\"body\":";
    base::appendJsonString(out, text ? request.body : std::string_view(functions::encodeBase64(request.body)));
    out += text ? ",\"is_base64\":false}" : ",\"is_base64\":true}";
    return out;
}

base::Result<UrlResponse> urlResponse(std::string_view result, CorsBy cors, Origin origin) {
    UrlResponse response;
    const std::string padded = std::string(result).append(base::jsonPadding, ' ');
    const auto json = std::string_view(padded).substr(0, result.size());
    base::JsonValidator validator;
    auto read = validator.parse(json);
    const bool isExact(read);
    if (!isExact) read = validator.check(json);
    if (!read) return invalid("it is not JSON");
    const element root = *read;
    uint64_t status = 0;
    element statusField;
    const bool isResponse = root.is_object() && !root["status_code"].get(statusField);
    if (!isResponse) {
        response.headers = "Content-Type: application/json\r\n";
        response.body = result;
        return response;
    }
    if (!isExact) return invalid("beside \"status_code\" there may be no number beyond 64 bits and no half of a surrogate pair");
    if (statusField.get(status) || status < 200 || status > 599) return invalid("\"status_code\" must be a number from 200 to 599");
    response.status = static_cast<int>(status);
    bool hasType = false;
    element field;
    if (!root["headers"].get(field) && !field.is_null()) {
        auto lines = headerLines(field, cors, origin, hasType);
        if (!lines) return std::move(lines).failure();
        response.headers = std::move(*lines);
    }
    if (origin == Origin::shared) response.headers += sandbox;
    bool encoded = false;
    if (!root["is_base64"].get(field) && !field.is_null() && field.get(encoded)) return invalid("\"is_base64\" must be true or false");
    const char* type = "text/plain; charset=utf-8";
    if (!root["body"].get(field) && !field.is_null()) {
        std::string_view text;
        if (!field.get(text)) {
            response.body = text;
            if (encoded) {
                auto bytes = fromBase64(text);
                if (!bytes) return invalid("\"body\" is not base64");
                response.body = std::move(*bytes);
                type = "application/octet-stream";
            }
        } else {
            response.body = simdjson::minify(field);
            type = "application/json";
        }
    }
    if (!hasType && !response.body.empty()) response.headers += std::string("Content-Type: ") + type + "\r\n";
    return response;
}

}  // namespace cf::api
