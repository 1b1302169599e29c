#include "functions/field_reader.hpp"

#include <cmath>

#include "base/nearest.hpp"
#include "functions/json_text.hpp"

namespace cf::functions {

const char* kindOf(simdjson::dom::element value) {
    switch (value.type()) {
        case simdjson::dom::element_type::ARRAY:
            return "an array";
        case simdjson::dom::element_type::OBJECT:
            return "an object";
        case simdjson::dom::element_type::STRING:
            return "text";
        case simdjson::dom::element_type::BOOL:
            return "true or false";
        case simdjson::dom::element_type::NULL_VALUE:
            return "null";
        default:
            return "a number";
    }
}

std::string inQuotes(std::string_view text) {
    return "\"" + base::toValidUtf8(text.substr(0, 80)) + "\"";
}

void FieldReader::refuse(std::string pointer, std::string detail, std::string limit,
                         std::string observed) {
    if (patch_.limit.empty() && !limit.empty()) {
        patch_.limit = std::move(limit);
        patch_.observed = std::move(observed);
    }
    if (patch_.errors.size() < mostErrors)
        patch_.errors.push_back({std::move(pointer), std::move(detail)});
    else
        ++patch_.moreErrors;
}

void FieldReader::unknownField(const char* parent, std::string_view key,
                               const std::vector<std::string_view>& known) {
    std::string detail = "unknown field";
    if (patch_.errors.size() < mostErrors) {
        if (const auto meant = base::nearest(key, known); !meant.empty()) {
            detail += "; did you mean " + inQuotes(meant) + "?";
        } else if (listed_ != parent) {
            listed_ = parent;
            detail += "; known fields are ";
            for (const auto name : known)
                detail.append(name == known.front() ? "" : ", ").append(name);
        }
    }
    refuse(std::string(parent) + "/" + pointerToken(base::toValidUtf8(key.substr(0, 80))),
           std::move(detail));
}

void FieldReader::text(Field<std::string>& field, const char* pointer, element value,
                       uint64_t maxBytes) {
    if (!wants(field, pointer, value, value.is_string(), "text")) return;
    const auto content = std::string_view(value);
    if (content.size() > maxBytes) return tooLarge(pointer, content.size(), maxBytes);
    if (pointer != std::string_view("/code") && content.find('\0') != content.npos)
        return refuse(pointer, "must not hold a NUL character");
    field.value = std::string(content);
}

void FieldReader::tooLarge(const char* pointer, uint64_t bytes, uint64_t maxBytes) {
    refuse(pointer,
           "is " + std::to_string(bytes) + " bytes, the limit is " + std::to_string(maxBytes),
           std::to_string(maxBytes) + " bytes", std::to_string(bytes) + " bytes");
}

void FieldReader::integer(Field<uint32_t>& field, const char* pointer, element value, uint32_t low,
                          uint32_t high, const char* unit) {
    if (!wants(field, pointer, value, value.is_number(), "a whole number")) return;
    const double number = double(value);
    if (number != std::floor(number)) return refuse(pointer, "must be a whole number");
    if (number < low || number > high)
        return outOfRange(pointer, value, std::to_string(low), std::to_string(high), unit);
    field.value = static_cast<uint32_t>(number);
}

void FieldReader::outOfRange(const char* pointer, element value, const std::string& low,
                             const std::string& high, const char* unit) {
    // What has no place in 64 bits came as something else than it was sent as (base/json.hpp).
    const bool beyond = std::abs(double(value)) >= 0x1p64;
    const std::string observed = beyond ? "a number beyond 64 bits" : simdjson::minify(value);
    refuse(pointer, "must be from " + low + " to " + high + unit + ", not " + observed,
           low + "-" + high + unit, observed + (beyond ? "" : unit));
}

void FieldReader::seconds(Field<std::chrono::milliseconds>& field, const char* pointer,
                          element value, std::chrono::milliseconds low,
                          std::chrono::milliseconds high) {
    if (!wants(field, pointer, value, value.is_number(), "a number of seconds")) return;
    const double ms = double(value) * 1000;
    // 1e-6 keeps 0.1 inside its own limit whatever binary fractions make of it.
    if (ms < static_cast<double>(low.count()) - 1e-6 ||
        ms > static_cast<double>(high.count()) + 1e-6)
        return outOfRange(pointer, value, secondsText(low.count()), secondsText(high.count()),
                          " seconds");
    field.value = std::chrono::milliseconds(std::llround(ms));
}

void FieldReader::flag(const std::string& pointer, element value, bool& out) {
    if (!value.is_null() && value.get(out))
        refuse(pointer, std::string("must be true or false, not ") + kindOf(value));
}

}  // namespace cf::functions
